"""Sweeps of many cells: arrays, packs, retries, resources."""

import itertools
import json

import pytest
from study import slurm, wait_for

pytestmark = pytest.mark.slurm


def test_one_sbatch_for_sixty_cells_and_at_most_one_sacct_a_round(study):
    cells = {f"c{i}": {"steps": 1} for i in range(60)}
    study.configure(cells, pack=15)
    study.count_calls("sbatch", "sacct", "squeue")
    assert study.run(poll_interval=2) == 0
    assert all(study.right(cell) for cell in cells)
    assert len(study.calls("sbatch")) == 1
    times = [float(call.split()[0]) for call in study.calls("sacct")]
    assert times
    assert all(later - earlier > 1.5 for earlier, later in itertools.pairwise(times))
    assert not list((study.folder / ".snakemake/submitit").glob("*/*/*"))
    study.count_calls("sbatch")
    assert study.run() == 0
    assert "Nothing to be done" in study.log.read_text()
    assert len(study.calls("sbatch")) == 1


def test_two_bad_cells_among_thirty_are_all_that_is_left_to_do(study):
    bad = {"c7": {"fault": "exception"}, "c19": {"fault": "exit"}}
    study.configure({f"c{i}": {"steps": 1} for i in range(30)} | bad, pack=8)
    assert study.run() != 0
    assert study.run("--dry-run", "--quiet", "host") == 0
    planned = [line.split("cell=")[1] for line in study.log.read_text().splitlines() if "wildcards: cell=" in line]
    assert sorted(planned) == ["c19", "c7"]
    (study.folder / "repaired").touch()
    assert study.run() == 0
    assert all(study.right(cell) for cell in study.cells)
    starts = {cell: study.starts(cell) for cell in study.cells}
    assert starts == {cell: 2 if cell in bad else 1 for cell in study.cells}


def test_retries_go_out_as_one_array_a_round(study):
    bad = {f"b{i}": {"fault": "exception"} for i in range(4)}
    study.configure(bad | {"good": {}}, pack=5)
    study.count_calls("sbatch")
    assert study.run("--retries", "2") != 0
    assert [study.starts(cell) for cell in bad] == [3, 3, 3, 3]
    assert study.right("good")
    assert study.starts("good") == 1
    assert len(study.calls("sbatch")) == 3


def test_grouped_jobs_are_one_task_that_is_done_when_all_of_them_are(study):
    study.configure({f"c{i}": {"steps": 2 * i + 1, "seconds": 0.3} for i in range(6)})
    assert study.run("--groups", "cell=g", "--group-components", "g=3") == 0
    assert all(study.right(cell) and study.starts(cell) == 1 for cell in study.cells)


def test_resources_arrive(study):
    study.configure(
        {"a": {"steps": 40, "seconds": 0.3}},
        runtime=7,
        mem_mb=700,
        threads=2,
        gpus=1,
        slurm_partition="main",
        constraint="test",
        slurm_extra="--nice=7",
    )
    study.start()
    wait_for(lambda: study.starts("a"), 60, "the cell at work")
    shown = slurm("scontrol", "show", "job", study.task_id("a"))
    assert study.finish() == 0
    wanted = ("TimeLimit=00:07:00", "MinMemoryNode=700M", "NumCPUs=2", "Partition=main", "gres:gpu:1", "Features=test")
    for part in (*wanted, "Nice=7"):
        assert part in shown, f"{part} is not in\n{shown}"
    devices = {line["cuda"] for line in study.diary("a")}
    assert devices in ({"0"}, {"1"})  # one of the node's two, whichever another test leaves free
    assert study.diary("a")[0]["threads"] == "2"


@pytest.mark.parametrize("name", ["gpus", "gpu"])
def test_a_pack_shares_one_gpu_and_keeps_its_threads_apart(study, name):
    cells = {f"c{i}": {"steps": 20, "seconds": 0.2} for i in range(4)}
    study.configure(cells, **{name: 1, "pack": 4})
    study.start()
    wait_for(lambda: all(study.starts(cell) for cell in cells), 60, "all cells at work")
    shown = slurm("scontrol", "show", "job", study.task_id("c0"))
    assert study.finish() == 0
    assert "NumCPUs=4" in shown
    assert "MinMemoryNode=2400M" in shown
    lines = [json.loads(line) for cell in cells for line in (study.folder / "diary" / cell).read_text().splitlines()]
    devices = {line["cuda"] for line in lines}
    assert len(devices) == 1
    assert "," not in devices.pop()
    assert {line["threads"] for line in lines} == {"1"}
    spans = [(study.diary(cell)[0]["time"], study.diary(cell)[-1]["time"]) for cell in cells]
    assert max(start for start, _ in spans) < min(end for _, end in spans), "the cells did not run side by side"
