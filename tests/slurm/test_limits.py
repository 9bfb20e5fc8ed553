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


MIXED = """
ASKED = {{"fits": {fits}, "beyond": {beyond}}}
rule all:
    input: "fits.txt", "beyond.txt"
rule sized:
    output: "{{name}}.txt"
    resources: {resource}=lambda wildcards: ASKED[wildcards.name]
    shell: "touch {{output}}"
"""


def mixed(study, resource, fits, beyond):
    """A study of two jobs that are nearly alike, of which one is beyond what Slurm has."""
    study.snakefile, study.configfile = study.folder / "Snakefile", ()
    study.snakefile.write_text(MIXED.format(resource=resource, fits=fits, beyond=beyond))
    study.start("--default-resources", "mem_mb=600")


def test_a_job_that_slurm_refuses_takes_none_along_that_asks_for_a_little_less(study):
    mixed(study, "mem_mb", 60_000, 65_000)  # nodes have 64,000
    assert study.finish() != 0
    assert study.output_entry("fits.txt").outcome == "done"
    assert study.output_entry("beyond.txt").outcome == "failed"
    assert "refused" in study.output_entry("beyond.txt").reason


def test_a_job_that_will_wait_for_ever_is_told_of_and_holds_up_no_other(study):
    mixed(study, "runtime", 590, 700)  # partitions allow 600
    wait_for(lambda: "PartitionTimeLimit" in study.log.read_text(), 60, "a word about it")
    wait_for(lambda: (study.folder / "fits.txt").exists(), 60, "the other job")
    study.signal(signal.SIGINT)
    assert study.finish(60) != 0
    assert not study.queued()
