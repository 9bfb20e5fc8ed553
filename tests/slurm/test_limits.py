"""What Slurm does not take at once: limits of jobs, and passing errors."""

import signal

import pytest
from study import wait_for

pytestmark = pytest.mark.slurm


def test_a_limit_of_submitted_jobs_is_waited_for_and_every_job_runs_once(study):
    study.configure({f"c{index}": {"steps": 1} for index in range(12)}, slurm_account="small")
    assert study.run() == 0
    assert all(study.right(cell) and study.starts(cell) == 1 for cell in study.cells)
    assert "takes no more jobs for now" in study.log.read_text()
    assert not list((study.folder / ".snakemake/submitit").glob("*/*/*")), "folders are left"


@pytest.mark.parametrize("message", ["Socket timed out on send/recv operation", "Unexpected message received"])
def test_passing_errors_of_sbatch_cost_no_job_and_start_none_twice(study, message):
    study.configure({f"c{index}": {"steps": 1} for index in range(12)})
    study.fail_every_third("sbatch", f"sbatch: error: Batch job submission failed: {message}")
    assert study.run(array_size=2) == 0
    assert all(study.right(cell) and study.starts(cell) == 1 for cell in study.cells)
    assert len(study.calls("sbatch")) > 6


def test_a_job_that_will_wait_for_ever_is_told_of(study):
    study.configure({"a": {}}, runtime=700)  # more than any partition allows
    study.start()
    wait_for(lambda: "PartitionTimeLimit" in study.log.read_text(), 60, "a word about it")
    study.signal(signal.SIGINT)
    assert study.finish(60) != 0
    assert not study.queued()
