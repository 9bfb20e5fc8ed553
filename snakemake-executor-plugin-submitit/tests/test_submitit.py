"""What is used of submitit beyond its documented face, part by part: what a later version lacks is seen here first."""

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import submitit
from packaging.requirements import Requirement
from submitit.core.utils import DelayedSubmission, JobPaths, UncompletedJobError
from submitit.local import local


def test_the_installed_version_is_in_the_range_that_the_plugin_asks_for():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    [submitits] = [one for one in map(Requirement, project["dependencies"]) if one.name == "submitit"]
    assert submitits.specifier.contains(submitit.__version__)
    assert not submitits.specifier.contains("1.5.3"), "it imports pkg_resources"
    assert not submitits.specifier.contains("1.6"), "nobody has tried it"


def test_a_pickle_is_found_by_its_name_and_run_by_the_main_program(tmp_path):
    assert JobPaths(tmp_path, "7_0").submitted_pickle == tmp_path / "7_0_submitted.pkl"
    delayed = DelayedSubmission(os.getpid)
    delayed.set_timeout(10, 3)
    delayed.dump(tmp_path / "7_0_submitted.pkl")
    task = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}
    place = {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0"}
    command = [sys.executable, "-m", "submitit.core._submit", str(tmp_path)]
    environment = {**os.environ, **task, **place, "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "here"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "7_0_0_result.pkl").exists()
    assert re.search(r"completed successfully", done.stdout + done.stderr)


def test_a_task_that_is_cut_short_for_good_ends_with_the_error_that_is_caught():
    assert issubclass(UncompletedJobError, Exception)


def test_a_local_controller_is_known_by_its_module(tmp_path):
    assert local.LOCAL_REQUEUE_RETURN_CODE == 144
    executor = submitit.LocalExecutor(tmp_path, max_num_timeout=0)
    executor.update_parameters(timeout_min=1, signal_delay_s=0, gpus_per_node=0, stderr_to_stdout=True)
    job = executor.submit(os.getpid)
    command = Path(f"/proc/{job.job_id}/cmdline")
    end = time.monotonic() + 60
    while "submitit.local._local" not in command.read_text().split("\0"):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert job.result() > 0
