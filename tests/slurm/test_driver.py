"""The driver stops, is stopped, or dies, and the same command goes on."""

import os
import signal
import subprocess
import time

import pytest
from study import slurm, wait_for

pytestmark = pytest.mark.slurm


def test_ctrl_c_leaves_an_empty_queue_and_the_next_run_goes_on(study):
    cells = {name: {"steps": 60, "seconds": 0.3, "every": 1000} for name in "abcd"}
    study.configure(cells)
    study.start(array_parallelism=2)
    wait_for(lambda: sum(study.starts(cell) for cell in cells) == 2, 60, "two cells at work")
    study.signal(signal.SIGINT)
    assert study.finish(60) != 0
    wait_for(lambda: not study.queued(), 30, "an empty queue")
    assert not any(study.result(cell) for cell in cells)
    assert study.run() == 0
    assert all(study.right(cell) for cell in cells)
    assert sum(study.starts(cell) for cell in cells) <= 4 + 2
    assert not any(study.overlaps(cell) for cell in cells)


def test_sigterm_lets_running_cells_end_and_starts_nothing_new(study):
    study.configure({name: {"steps": 20, "seconds": 0.3} for name in "ab"})
    study.start()
    wait_for(lambda: study.starts("a") and study.starts("b"), 60, "the cells at work")
    study.signal(signal.SIGTERM)
    assert study.finish(90) != 0
    assert study.right("a")
    assert study.right("b")
    wait_for(lambda: not study.queued(), 30, "an empty queue")
    assert study.run() == 0
    assert [study.starts("a"), study.starts("b")] == [1, 1]


@pytest.mark.parametrize("crash", ["after submission", "before its answer was noted"])
def test_a_killed_driver_is_replaced_and_no_cell_starts_twice(study, crash):
    cells = {"quick": {"steps": 8, "seconds": 0.5}} | {name: {"steps": 40, "seconds": 0.5} for name in "abc"}
    study.configure(cells)
    study.count_calls("sbatch")
    study.start(array_parallelism=2)
    wait_for(lambda: sum(study.starts(cell) for cell in cells) >= 2, 60, "two cells at work")
    study.signal(signal.SIGKILL)
    study.finish()
    ledger = study.folder / ".lmrnn/dispatch/ledger.jsonl"
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


def test_accounting_that_is_down_for_a_while_is_made_up_for_by_the_queue(study):
    run = os.environ.get("LMRNN_SLURM_DIR", "/var/tmp/lmrnn-slurm") + "/run/slurmdbd.pid"
    study.configure({"a": {"steps": 20, "seconds": 0.5}, "bad": {"fault": "kill"}})
    study.start()
    wait_for(lambda: study.starts("a"), 60, "the cell at work")
    with open(run) as pid:
        os.kill(int(pid.read()), signal.SIGTERM)
    try:
        assert study.finish() != 0
    finally:
        time.sleep(1)
        subprocess.run(["slurmdbd"], check=True)
        wait_for(lambda: subprocess.run(["sacctmgr", "-n", "show", "cluster"], capture_output=True).returncode == 0, 30)
    assert study.right("a")
    assert study.entry("bad").outcome == "failed"
    assert [study.starts("a"), study.starts("bad")] == [1, 1]


def test_a_restarted_controller_loses_nothing(study):
    run = os.environ.get("LMRNN_SLURM_DIR", "/var/tmp/lmrnn-slurm") + "/run/slurmctld.pid"
    study.configure({"a": {"steps": 30, "seconds": 0.5}, "b": {}, "later": {}})
    study.start("out/a.txt", "out/b.txt")
    wait_for(lambda: study.starts("a"), 60, "the cell at work")
    with open(run) as pid:
        os.kill(int(pid.read()), signal.SIGTERM)
    time.sleep(4)
    subprocess.run(["slurmctld"], check=True)
    assert "UP" in slurm("scontrol", "ping")
    assert study.finish() == 0
    assert study.right("a")
    assert study.right("b")
    assert [study.starts("a"), study.starts("b")] == [1, 1]


def test_a_result_that_shows_up_late_is_waited_for(study):
    study.configure({"late": {"fault": "late"}})
    assert study.run() == 0
    assert study.right("late")
    assert study.starts("late") == 1
