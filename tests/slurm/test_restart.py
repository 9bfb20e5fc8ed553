"""The driver dies, and the same command goes on."""

import signal
import subprocess
import time

import pytest
from snakemake_executor_plugin_submitit.ledger import Ledger
from study import slurm, wait_for

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize("crash", ["after submission", "before its answer was noted"])
def test_a_killed_driver_is_replaced_and_no_cell_starts_twice(study, crash):
    cells = {"quick": {"steps": 8, "seconds": 0.5}} | {name: {"steps": 40, "seconds": 0.5} for name in "abc"}
    study.configure(cells)
    study.count_calls("sbatch")
    study.start(array_parallelism=2)
    wait_for(lambda: sum(study.starts(cell) for cell in cells) >= 2, 60, "two cells at work")
    study.signal(signal.SIGKILL)
    study.finish()
    ledger = study.folder / ".snakemake/submitit/ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    if crash == "before its answer was noted":
        lines = [line for line in lines if '"ids"' not in line]
    ledger.write_text("".join(lines) + '{"event": "states", "time": 17955')
    study.unlock()
    assert study.run(array_parallelism=2) == 0
    assert all(study.right(cell) for cell in cells)
    assert {cell: study.starts(cell) for cell in cells} == dict.fromkeys(cells, 1)
    assert len(study.calls("sbatch")) == 1
    assert study.run("--dry-run") == 0
    assert "Nothing to be done" in study.log.read_text()


def test_a_restart_takes_in_what_ended_and_submits_what_failed_meanwhile(study):
    study.configure({"good": {"steps": 10, "seconds": 0.5}, "bad": {"steps": 80, "seconds": 0.5}, "new": {}})
    study.start("out/good.txt", "out/bad.txt")
    wait_for(lambda: study.starts("good") and study.starts("bad"), 60, "both cells at work")
    study.signal(signal.SIGKILL)
    study.finish()
    subprocess.run(["scancel", study.task_id("bad")], check=True)
    wait_for(lambda: not study.queued(), 60, "the tasks to end")
    study.unlock()
    assert study.run() == 0
    assert all(study.right(cell) for cell in ("good", "bad", "new"))
    assert [study.starts(cell) for cell in ("good", "bad", "new")] == [1, 2, 1]


def test_a_driver_killed_between_sbatch_and_its_answer_finds_its_array_again(study):
    study.configure({name: {"steps": 50, "seconds": 0.5} for name in "abc"})
    study.slow_down("sbatch", after=30)
    study.start()
    wait_for(lambda: study.calls("sbatch"), 60, "the submission")
    folder = next(iter(Ledger(study.folder / ".snakemake/submitit").replay()[1])).split("/")[1]
    wait_for(lambda: folder in slurm("squeue", "--noheader", "--format=%k"), 60, "the array")
    for _ in range(2):  # the second driver dies as well
        study.signal(signal.SIGKILL)
        study.finish()
        study.unlock()
        study.start()
        wait_for(lambda: "taken over" in study.log.read_text(), 60, "the array to be found")
    assert study.finish() == 0
    assert all(study.right(cell) for cell in study.cells)
    assert [study.starts(cell) for cell in study.cells] == [1, 1, 1]
    assert len(study.calls("sbatch")) == 1


def test_a_task_that_was_taken_over_and_is_cancelled_stays_cancelled(study):
    study.configure({name: {"steps": 60, "seconds": 0.5} for name in "ab"})
    study.start()
    wait_for(lambda: study.starts("a") and study.starts("b"), 60, "both cells at work")
    study.signal(signal.SIGKILL)
    study.finish()
    study.unlock()
    study.start()
    wait_for(lambda: study.log.read_text().count("taken over") == 2, 60, "the tasks to be taken over")
    time.sleep(4)
    subprocess.run(["scancel", study.task_id("a")], check=True)
    assert study.finish() != 0
    assert "CANCELLED" in study.entry("a").reason
    assert study.right("b")
    assert [study.starts("a"), study.starts("b")] == [1, 1]


def test_a_changed_study_takes_over_what_it_still_asks_for_and_nothing_else(study):
    cells = {name: {"steps": 40, "seconds": 0.5} for name in ("same", "changed", "dropped")}
    study.configure(cells, pack=3)
    study.start()
    wait_for(lambda: all(study.starts(cell) for cell in cells), 60, "the cells at work")
    study.signal(signal.SIGKILL)
    study.finish()
    study.unlock()
    study.configure({"same": cells["same"], "changed": {"steps": 50, "seconds": 0.1}, "new": {}})
    assert study.run() == 0
    assert all(study.right(cell) for cell in study.cells)
    assert {cell: study.starts(cell) for cell in study.cells} == {"same": 1, "changed": 2, "new": 1}
    assert not study.overlaps("changed")
    assert study.entry("dropped").outcome == "done"
    assert not list((study.folder / ".snakemake/submitit").glob("*/*/*")), "folders of finished tasks are left"
