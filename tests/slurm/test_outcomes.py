"""Each way in which a cell can go wrong, one by one, on a real Slurm."""

import psutil
import pytest
from study import Study, wait_for

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exception", "exit status 1"),
        ("exit", "exit status 3"),
        ("exit without output", "missing"),
    ],
)
def test_a_cell_that_fails_leaves_its_neighbours_done_and_says_why(study, fault, reason):
    study.configure({"good": {}, "bad": {"fault": fault}})
    assert study.run() != 0
    assert study.right("good")
    assert study.result("bad") is None
    assert study.entry("good").outcome == "done"
    assert study.entry("bad").outcome == "failed"
    assert reason in study.entry("bad").reason.lower()
    assert [study.starts("good"), study.starts("bad")] == [1, 1]
    assert list(study.entry("bad").task.path(study.folder / ".snakemake/submitit").glob("*_log.out"))
    assert not study.entry("good").task.path(study.folder / ".snakemake/submitit").exists()


def test_a_killed_step_fails_its_cell_and_takes_no_finished_neighbour_along(study):
    study.configure({"quick": {"steps": 1}, "victim": {"fault": "kill", "steps": 1}}, pack=2)
    assert study.run() != 0
    assert study.entry("victim").outcome == "failed"
    assert "FAILED" in study.entry("victim").reason or "CANCELLED" in study.entry("victim").reason
    # killed in the pack, perhaps by its neighbour for all that anybody knows, and then once more alone
    assert study.starts("victim") <= 2
    (study.folder / "repaired").touch()
    assert study.run() == 0
    assert study.right("quick")
    assert study.right("victim")
    assert study.starts("quick") <= 2


def test_a_cell_that_brings_its_pack_down_is_found_out_and_the_others_end_well(study):
    good = {f"c{i}": {"steps": 40, "seconds": 0.3} for i in range(5)}
    study.configure({**good, "hog": {"fault": "memory"}}, pack=6, mem_mb=350)
    study.count_calls("sbatch")
    assert study.run() != 0
    assert all(study.right(cell) for cell in good)
    assert "memory" in study.entry("hog").reason
    assert [study.starts(cell) for cell in study.cells] == [2] * 6
    assert not any(study.overlaps(cell) for cell in study.cells)
    assert len(study.calls("sbatch")) == 2  # one pack, then its six cells apart, as one array


def test_what_outlives_its_killed_task_is_waited_for(study):
    study.configure({"orphan": {"fault": "orphan", "steps": 2}})
    assert study.run("--retries", "1") == 0
    assert study.right("orphan")
    assert study.starts("orphan") == 1


def test_a_killed_snakemake_in_the_task_leaves_no_cell_running_beside_its_successor(study):
    study.configure({name: {"steps": 30, "seconds": 0.5, "every": 1000} for name in "ab"}, pack=2)
    study.start()
    wait_for(lambda: study.starts("a") and study.starts("b"), 60, "the cells at work")
    above = psutil.Process(study.diary("a")[0]["pid"]).parents()
    next(one for one in above if "snakemake_executor_plugin_submitit.nested" in one.cmdline()).kill()
    assert study.finish() == 0
    for cell in "ab":
        assert study.right(cell)
        assert study.starts(cell) == 2
        assert not study.overlaps(cell)


def test_names_with_odd_characters_arrive_whole(study, tmp_path):
    odd = Study(tmp_path / "odd d'ir &x")
    odd.folder.mkdir()
    odd.configure({name: {"steps": 1} for name in ("per%cent", "ü", "a=b", "a:b", "-dash", "st*r", "%j")}, pack=4)
    assert odd.run() == 0
    assert all(odd.right(cell) and odd.starts(cell) == 1 for cell in odd.cells)


def test_a_name_that_snakemake_cannot_hand_on_fails_alone_before_anything_is_submitted(study):
    study.configure({"x,y": {}, "good": {}}, pack=2)
    assert study.run() != 0
    assert study.right("good")
    assert study.entry("x,y") is None
    assert study.starts("x,y") == 0
    assert "wildcard cell='x,y'" in study.log.read_text()


def test_a_folder_whose_name_slurm_would_change_is_refused(study, tmp_path):
    odd = Study(tmp_path / "100%a")
    odd.folder.mkdir()
    odd.configure({"a": {}})
    assert odd.run() != 0
    assert "percent" in odd.log.read_text()


def test_memory_over_the_limit_is_named(study):
    study.configure({"good": {}, "hog": {"fault": "memory"}}, mem_mb=400)
    assert study.run() != 0
    assert study.right("good")
    entry = study.entry("hog")
    assert entry.outcome == "failed"
    assert "OUT_OF_MEMORY" in entry.reason or "memory" in entry.reason
    assert study.starts("hog") == 1


def test_a_refused_submission_fails_its_cells_with_slurms_message(study):
    study.configure({"a": {}, "b": {}}, slurm_partition="nowhere")
    assert study.run() != 0
    for cell in ("a", "b"):
        assert study.starts(cell) == 0
        assert study.entry(cell).outcome == "failed"
        assert "invalid partition" in study.entry(cell).reason
    assert "invalid partition" in study.log.read_text()
    study.configure({"a": {}, "b": {}})
    assert study.run() == 0
    assert study.right("a")
    assert study.right("b")
