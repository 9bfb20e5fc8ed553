"""Small sweeps of stand-in cells (workflow/) and workflows written on the spot, run by the real snakemake."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake_executor_plugin_submitit.ledger import Ledger

WORKFLOWS = Path(__file__).parent / "workflow"
SNAKEFILE = WORKFLOWS / "Snakefile"


def snakemake(cluster, *arguments):
    """Command line of a run on a cluster of this machine, with short waits."""
    command = [sys.executable, "-m", "snakemake", "--executor", "submitit", "--submitit-cluster", cluster]
    waits = ["--submitit-poll-interval", "0.5", "--latency-wait", "5", "--scheduler", "greedy"]
    return [*command, *waits, "--jobs", "20", "--keep-going", *arguments]


def sweep_command(folder, cluster, cells, *arguments, **resources):
    """Configuration and command line of one run on stand-in cells."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"cells": cells, "resources": resources}))
    return snakemake(cluster, "--snakefile", str(SNAKEFILE), "--configfile", "config.yaml", *arguments)


def run_sweep(folder, cluster, cells, *arguments, **resources):
    """One such run."""
    return _run(sweep_command(folder, cluster, cells, *arguments, **resources), folder)


def run_workflow(folder, text, *arguments, cluster="local", **variables):
    """A run of a Snakefile that is written into a folder first."""
    (folder / "Snakefile").write_text(text)
    return _run(snakemake(cluster, *arguments), folder, **variables)


def run_file(folder, name, *arguments, **variables):
    """A run of one of the workflows beside these tests."""
    return _run(snakemake("local", "--snakefile", str(WORKFLOWS / name), *arguments), folder, **variables)


def run_once(tmp_path_factory, name, make):
    """A folder that `make` fills with what several tests look at, and the run that it returned. The first test to ask
    makes it, for the workers of pytest-xdist too.
    """
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, record = root / name, root / f"{name}.json"
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            folder.mkdir()
            done = make(folder)
            record.write_text(json.dumps([done.args, done.returncode, done.stdout, done.stderr]))
    return folder, subprocess.CompletedProcess(*json.loads(record.read_text()))


def _run(command, folder, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def entries(folder, base=None):
    """The ledger's latest entries by output, as the workflow names it."""
    found, _ = Ledger(base or folder / ".snakemake" / "submitit").replay()
    return {os.path.relpath(key, folder): entry for key, entry in found.items()}


def diary(folder, cell):
    """What a stand-in cell noted about itself."""
    return [json.loads(line)["what"] for line in (folder / "diary" / cell).read_text().splitlines()]
