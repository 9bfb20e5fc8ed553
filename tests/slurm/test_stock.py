"""Snakemake's own tests of executors on the real Slurm, and workflows of its users."""

import csv
import io
import subprocess
import sys

import pytest
from snakemake.common.tests import TestWorkflowsLocalStorageBase
from snakemake_executor_plugin_submitit import ExecutorSettings
from study import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm")]


class TestOnSlurm(TestWorkflowsLocalStorageBase):
    __test__ = True

    def get_executor(self):
        return "submitit"

    def get_executor_settings(self):
        return ExecutorSettings(poll_interval=1, memory_overhead=500)  # one of the workflows asks for 5 MB


def run_workflow(folder, text, *arguments):
    """A run of a Snakefile on Slurm; the tests' Slurm gives 100 MB by default, too little for Python."""
    (folder / "Snakefile").write_text(text)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--executor",
        "submitit",
        "--submitit-poll-interval",
        "1",
        "--jobs",
        "9",
    ]
    return subprocess.run(
        [*command, "--latency-wait", "10", "--default-resources", "mem_mb=600", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


MPI = """
rule a:
    output: "a.txt"
    resources: tasks=2, mpi="srun"
    shell: "{resources.mpi} -n {resources.tasks} bash -c 'echo $SLURM_PROCID' > {output}"
"""


def test_a_program_of_mpi_starts_its_own_tasks(tmp_path):
    done = run_workflow(tmp_path, MPI)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "a.txt").read_text().split()) == ["0", "1"]


CPUS = """
rule a:
    output: "a.txt"
    threads: 3
    resources: slurm_extra="--job-name=mine"
    shell: "echo $SLURM_CPUS_PER_TASK $(printenv SLURM_STEP_NUM_TASKS) $SLURM_JOB_NAME > {output}"
"""


def test_a_task_has_the_cpus_of_its_rule_and_the_name_that_it_was_given(tmp_path):
    done = run_workflow(tmp_path, CPUS)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.txt").read_text().split() == ["3", "1", "mine"]


BUSY = """
rule all:
    input: "busy.txt", "idle.txt"
rule busy:
    output: "busy.txt"
    threads: 2
    resources: mem_mb=1000, runtime=3
    shell: "timeout 6 bash -c 'while :; do :; done' || touch {output}"
rule idle:
    output: "idle.txt"
    resources: mem_mb=2000, runtime=100
    shell: "sleep 1; touch {output}"
"""
LIMITS = "partitions: {low: {max_runtime: 5}, main: {max_runtime: 600}}"


@pytest.mark.usefixtures("accounting")
def test_a_report_of_use_logs_that_are_kept_and_the_partition_that_fits(tmp_path):
    (tmp_path / "limits.yaml").write_text(LIMITS)
    wanted = (
        "--submitit-efficiency-report",
        "use.csv",
        "--submitit-keep-logs",
        "--submitit-partition-config",
        "limits.yaml",
    )
    done = run_workflow(tmp_path, BUSY, *wanted)
    assert done.returncode == 0, done.stderr
    rows = {row["rules"]: row for row in csv.DictReader(io.StringIO((tmp_path / "use.csv").read_text()))}
    assert rows.keys() == {"busy", "idle"}
    assert (rows["busy"]["cpus"], rows["busy"]["mem_mb"], rows["idle"]["mem_mb"]) == ("2", "1000", "2000")
    assert 2 < float(rows["busy"]["cpu_seconds"]) < 2 * float(rows["busy"]["seconds"]) + 2
    logs = {path.name.rsplit("_", 2)[0] for path in (tmp_path / ".snakemake/submitit/logs").iterdir()}
    assert logs == {row["task"] for row in rows.values()}
    asked = {rules: slurm("scontrol", "show", "job", row["task"]) for rules, row in rows.items()}
    assert "Partition=low" in asked["busy"]
    assert "Partition=main" in asked["idle"]


LIMIT = """
rule all:
    input: "inside.txt", "beyond.txt"
rule inside:
    output: "inside.txt"
    resources: runtime=1
    shell: "echo x >> inside; sleep 50; touch {output}"
rule beyond:
    output: "beyond.txt"
    retries: 2
    resources: runtime=lambda wildcards, attempt: attempt
    # Slurm looks at limits now and then: a minute may last a minute and a half
    shell: "echo {resources.runtime} >> beyond; sleep $((130 / {resources.runtime} - 30)); touch {output}"
"""


def test_a_job_has_all_of_its_time_and_its_next_attempt_what_that_asks_for(tmp_path):
    done = run_workflow(tmp_path, LIMIT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "inside").read_text().split() == ["x"]
    assert (tmp_path / "beyond").read_text().split() == ["1", "2"]
    assert "TIMEOUT" in done.stderr
