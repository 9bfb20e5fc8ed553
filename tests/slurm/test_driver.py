"""The driver stops, or is stopped, and what it stands on fails for a while."""

import os
import shlex
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
    time.sleep(0.05)
    study.signal(signal.SIGINT)  # an impatient hand
    assert study.finish(60) != 0
    wait_for(lambda: not study.queued(), 30, "an empty queue")
    assert not any(study.result(cell) for cell in cells)
    assert study.run() == 0
    assert all(study.right(cell) for cell in cells)
    assert sum(study.starts(cell) for cell in cells) <= 4 + 2
    assert not any(study.overlaps(cell) for cell in cells)


def test_ctrl_c_in_the_middle_of_a_submission_leaves_an_empty_queue(study):
    study.configure({name: {"steps": 200, "seconds": 0.3} for name in "ab"})
    study.slow_down("sbatch", before=3)
    study.start()
    wait_for(lambda: study.calls("sbatch"), 60, "the submission")
    study.signal(signal.SIGINT)
    assert study.finish(60) != 0
    assert study.task_id("a"), "the submission was cut short"
    assert not study.queued()
    assert study.entry("a").outcome == "interrupted"


def test_ctrl_c_while_slurm_is_silent_is_tried_again(study):
    study.configure({name: {"steps": 200, "seconds": 0.3} for name in "ab"})
    silent = study.silence("scancel", "squeue")
    study.start()
    wait_for(lambda: study.starts("a") and study.starts("b"), 60, "the cells at work")
    silent.touch()
    study.signal(signal.SIGINT)
    time.sleep(5)
    silent.unlink()
    assert study.finish(60) != 0
    assert not study.queued()


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


def test_a_driver_inside_a_job_does_not_hand_its_own_resources_on(study):
    study.configure({"a": {}, "b": {}}, gpus=1)
    command = shlex.join(study.command())
    place = ("-D", str(study.folder), "-o", "driver.log")
    slurm("sbatch", "--wait", "--mem-per-cpu=400", "--cpus-per-task=2", *place, "--wrap", command, seconds=180)
    assert study.right("a")
    assert study.right("b")


@pytest.mark.usefixtures("accounting")
def test_accounting_that_is_down_for_a_minute_is_made_up_for_by_the_queue_and_every_job_ends_once(study):
    run = os.environ.get("LMRNN_SLURM_DIR", "/var/tmp/lmrnn-slurm") + "/run/slurmdbd.pid"
    short = {f"c{index}": {"steps": 1} for index in range(6)}
    study.configure({"long": {"steps": 70, "seconds": 1}, "bad": {"fault": "kill"}, **short})
    study.start(array_parallelism=3)
    wait_for(lambda: study.starts("long"), 60, "the cell at work")
    with open(run) as pid:
        os.kill(int(pid.read()), signal.SIGTERM)
    try:
        time.sleep(60)
        assert study.process.poll() is None
    finally:
        subprocess.run(["slurmdbd"], check=True)
        wait_for(lambda: subprocess.run(["sacctmgr", "-n", "show", "cluster"], capture_output=True).returncode == 0, 30)
    assert study.finish() != 0
    assert study.entry("bad").outcome == "failed"
    assert all(study.right(cell) for cell in ("long", *short))
    assert {cell: study.starts(cell) for cell in study.cells} == dict.fromkeys(study.cells, 1)


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


def test_a_stale_or_hostile_environment_of_the_driver_does_not_reach_its_tasks(study):
    study.configure({"a": {}, "b": {}})
    study.variables = {
        "SBATCH_EXPORT": "NONE",
        "SLURM_MEM_PER_NODE": "99999999",
        "SLURM_NTASKS": "7",
        "SLURM_CPU_BIND": "x",
        "SBATCH_WAIT": "1",
        "SQUEUE_PARTITION": "low",
        "SACCT_FORMAT": "User",
    }
    assert study.run() == 0
    assert study.right("a")
    assert study.right("b")
