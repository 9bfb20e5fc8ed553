"""Small sweeps of stand-in cells (workflow/) and workflows written on the spot, run by the real snakemake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake_executor_plugin_submitit.ledger import Ledger

SNAKEFILE = Path(__file__).parent / "workflow" / "Snakefile"


def snakemake(cluster, *arguments):
    """Command line of a run on a cluster of this machine, with short waits."""
    command = [sys.executable, "-m", "snakemake", "--executor", "submitit", "--submitit-cluster", cluster]
    waits = ["--submitit-poll-interval", "0.5", "--latency-wait", "5"]
    return [*command, *waits, "--jobs", "4", "--keep-going", *arguments]


def sweep_command(folder, cluster, cells, *arguments, **resources):
    """Configuration and command line of one run on stand-in cells."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"cells": cells, "resources": resources}))
    return snakemake(cluster, "--snakefile", str(SNAKEFILE), "--configfile", "config.yaml", *arguments)


def run_sweep(folder, cluster, cells, *arguments, **resources):
    """One such run."""
    return _run(sweep_command(folder, cluster, cells, *arguments, **resources), folder)


def run_workflow(folder, text, *arguments, cluster="local", **variables):
    """A run of a Snakefile that is written into a folder first."""
    folder.mkdir(exist_ok=True)
    (folder / "Snakefile").write_text(text)
    return _run(snakemake(cluster, *arguments), folder, **variables)


def _run(command, folder, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=200, check=False, env=environment
    )


def entries(folder):
    """The ledger's latest entries by output, as the workflow names it."""
    found, _ = Ledger(folder / ".snakemake" / "submitit").replay()
    return {os.path.relpath(key, folder): entry for key, entry in found.items()}


def diary(folder, cell):
    """What a stand-in cell noted about itself."""
    return [json.loads(line)["what"] for line in (folder / "diary" / cell).read_text().splitlines()]
