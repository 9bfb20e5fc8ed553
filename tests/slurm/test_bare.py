"""The plugin as a group installs it, without lmrnn: what comes along, and whole workflows on a real Slurm."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmrnn.files.storage import lock

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm"), pytest.mark.timeout(900)]
PLUGIN = Path(__file__).parents[2] / "snakemake-executor-plugin-submitit"
WORKFLOWS = PLUGIN / "tests" / "workflow"
ODD = 'it\'s `touch EXECUTED` $(touch EXECUTED) "x" \\n'
VARIABLES = {"ODD": ODD, "BASH_FUNC_module%%": '() { echo "$*" >> modules; }'}  # for a site's environment modules


@pytest.fixture(scope="module")
def programs(_slurm, tmp_path_factory):
    """Folder of the programs of an environment with the plugin and Snakemake, and what they bring along; made once."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "bare"
    with lock(folder.with_suffix(".lock")):
        if not (folder / "finished").exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            install = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, str(PLUGIN), "snakemake"], check=True, timeout=600)
            (folder / "finished").touch()
    return folder / "bin"


def run(programs, folder, workflow, *arguments):
    """A run of one of the plugin's test workflows on Slurm, which gives too little memory for Python by default."""
    where = ("--snakefile", str(WORKFLOWS / workflow), "--directory", str(folder), "--submitit-folder")
    waits = ("--jobs", "30", "--submitit-poll-interval", "1", "--latency-wait", "10", "--scheduler", "greedy")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [programs / "snakemake", "--executor", "submitit", *where, str(folder.parent / "base"), *waits, *arguments],
        cwd=folder.parent,
        env={**kept, "PATH": f"{programs}:{os.environ['PATH']}", **VARIABLES},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def test_nothing_but_snakemake_comes_along_and_its_help_lists_the_executor(programs):
    listed = subprocess.run([programs / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    names = {line.partition("==")[0].partition(" @")[0].lower() for line in listed.stdout.splitlines()}
    assert {"snakemake", "submitit", "snakemake-executor-plugin-submitit"} <= names
    assert not names & {"torch", "h5py", "matplotlib", "lmrnn"}
    shown = subprocess.run([programs / "snakemake", "--help"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"--executor .*\bsubmitit\b", shown)
    assert "submitit executor plugin settings" in shown


def test_the_tutorials_workflow_runs_and_then_nothing_is_left_to_do(programs, tmp_path):
    folder = tmp_path / "tutorial"
    folder.mkdir()
    told = run(programs, folder, "tutorial.smk", "--default-resources", "mem_mb=600")
    assert "submitit: 3 jobs in 3 tasks" in told
    position, letter, _ = (folder / "calls" / "all.txt").read_text().split()
    assert (position, letter) == ("13", "G")
    assert "<rect" in (folder / "plots" / "quals.svg").read_text()
    assert "Nothing to be done" in run(programs, folder, "tutorial.smk", "--dry-run")


def test_checkpoints_groups_and_all_other_kinds_of_rules_run_and_then_nothing_is_left_to_do(programs, tmp_path):
    folder = tmp_path / "50% it's $(touch EXECUTED)"
    (folder / "in").mkdir(parents=True)
    for index in range(3000):
        (folder / "in" / f"{'x' * 80}{index}.txt").touch()
    wanted = ("--default-resources", "mem_mb=600", "pack=4", "--group-components", "g=3", "--sdm", "env-modules")
    told = run(programs, folder, "well.smk", "--set-resources", "retried:mem_mb=600", *wanted)
    assert "Finished jobid" in told
    assert (folder / "last.txt").read_text().split() == ["dir/1.part", "dir/2.part"]
    assert (folder / "modules").read_text().splitlines() == ["purge", "load tool/1.0"]
    assert (folder / "served.txt").read_text() == "served\n"
    assert (folder / "retried.tries").read_text().split() == ["10", "20", "30"]
    assert not list(tmp_path.rglob("EXECUTED"))
    assert "Nothing to be done" in run(programs, folder, "well.smk", "--dry-run", *wanted)
