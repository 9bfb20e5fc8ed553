"""Time limits, preemption, lost nodes, cancelled tasks: what was done is kept, what was half done goes on."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from study import slurm, wait_for

pytestmark = pytest.mark.slurm
DIR = Path(os.environ.get("LMRNN_SLURM_DIR", "/var/tmp/lmrnn-slurm"))


def test_a_cell_longer_than_the_time_limit_goes_on_in_the_requeued_task(study):
    study.configure({"long": {"steps": 70, "seconds": 1, "every": 1000}, "short": {}}, runtime=1)
    assert study.run(seconds=280) == 0
    assert study.right("long")
    assert study.right("short")
    assert study.starts("short") == 1
    assert study.starts("long") == 1 + sum(line["what"] == "interrupted" for line in study.diary("long"))
    assert 2 <= study.starts("long") <= 3
    assert not study.overlaps("long")


def test_a_run_time_too_short_to_save_anything_is_a_reason_to_fail(study):
    study.configure({"deaf": {"fault": "deaf"}, "short": {}}, runtime=1)
    assert study.run(requeues=0, signal_delay=600, seconds=200) != 0
    assert study.right("short")
    entry = study.entry("deaf")
    assert entry.outcome == "failed"
    assert "--submitit-requeues" in entry.reason or "time limit" in entry.reason
    assert study.starts("deaf") == 1


def test_a_signal_that_comes_before_the_task_is_up_does_not_kill_it(study):
    study.configure({"a": {"steps": 5, "seconds": 0.5}})
    study.start()
    job = study.task_id("a")
    wait_for(lambda: slurm("squeue", "--noheader", f"--jobs={job}", "--format=%T").strip() == "RUNNING", 60, "the task")
    for _ in range(5):
        subprocess.run(["scancel", "--signal=USR2", job], check=False)
    assert study.finish() == 0
    assert study.right("a")


@pytest.mark.usefixtures("preemptible")
def test_preempted_cells_go_on_also_when_caught_writing_a_checkpoint(study):
    cells = {
        "plain": {"steps": 40, "seconds": 0.5, "every": 1000},
        "saving": {"steps": 12, "seconds": 0.2, "every": 2, "fault": "slow checkpoint"},
    }
    study.configure(cells, slurm_partition="low")
    study.start()
    wait_for(lambda: study.starts("plain") and study.noted("saving", "saving"), 60, "both cells at work")
    slurm("sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3")
    assert study.finish() == 0
    for cell in cells:
        assert study.right(cell)
        assert study.starts(cell) == 2
        assert not study.overlaps(cell)


def test_a_lost_node_costs_one_start_and_a_survivor_none(study):
    cells = {name: {"steps": 60, "seconds": 1, "every": 5} for name in ("dead", "survivor")}
    study.configure(cells, slurm_partition="lossy")
    study.start(grace=60)
    wait_for(lambda: all(study.starts(cell) for cell in cells), 60, "both cells at work")
    assert {slurm("squeue", "-h", "-j", study.task_id(cell), "-o", "%N").strip() for cell in cells} == {"node4"}
    pidfile = DIR / "run" / "slurmd-node4.pid"
    try:
        os.kill(int(pidfile.read_text()), signal.SIGKILL)
        for process in whole_step(study.diary("dead")[0]["pid"]):
            process.kill()
        assert study.finish(240) == 0
    finally:
        subprocess.run(["slurmd", "-N", "node4"], check=True)
    assert study.right("dead")
    assert study.right("survivor")
    assert study.starts("dead") == 2
    assert study.starts("survivor") == 1
    assert not study.overlaps("dead")


def whole_step(pid):
    """All processes of the job that a cell belongs to, from Slurm's own step daemons down."""
    job = psutil.Process(pid).environ()["SLURM_JOB_ID"]
    daemons = [one for one in psutil.process_iter() if command(one).startswith(f"slurmstepd: [{job}.")]
    assert daemons
    # The daemons first: one that sees its processes die reports a failure, and a lost node reports nothing.
    return [*daemons, *(one for daemon in daemons for one in daemon.children(recursive=True))]


def command(process):
    """Command line of a process; empty if it is gone."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def test_a_task_that_the_user_cancels_fails_and_the_others_finish(study):
    study.configure({"doomed": {"steps": 200, "seconds": 0.5}, "other": {"steps": 20, "seconds": 0.5}})
    study.start()
    wait_for(lambda: study.starts("doomed"), 60, "the cell at work")
    subprocess.run(["scancel", study.task_id("doomed")], check=True)
    assert study.finish() != 0
    assert study.right("other")
    assert study.entry("doomed").outcome == "failed"
    assert "CANCELLED" in study.entry("doomed").reason
    assert study.starts("doomed") == 1
    study.configure({"doomed": {"steps": 200, "seconds": 0.01}, "other": {"steps": 20, "seconds": 0.5}})
    assert study.run() == 0
    assert study.right("doomed")
