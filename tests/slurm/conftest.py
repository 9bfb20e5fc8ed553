"""Fixtures of the tests that need a Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from study import Study

from lmrnn.files.storage import lock

HOW = "tests/slurm/start.sh starts one on this machine (as root, from Debian packages); tests/slurm/README.md says more"


def slurm_is_up() -> bool:
    """Whether a Slurm that tests may use answers."""
    if shutil.which("sbatch") is None:
        return False
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=60)
    return answer.returncode == 0 and "ClusterName             = lmrnn\n" in answer.stdout


@pytest.fixture(scope="session")
def _slurm() -> None:
    """Skip without a Slurm, unless it is demanded; or because it is wished so."""
    wish = os.environ.get("LMRNN_SLURM", "")
    if wish == "skip":
        pytest.skip("LMRNN_SLURM=skip")
    if not slurm_is_up():
        if wish == "require":
            pytest.fail(f"LMRNN_SLURM=require, but the tests' Slurm does not answer. {HOW}")
        pytest.skip(f"the tests' Slurm does not answer. {HOW}")


@pytest.fixture
def preemptible(_slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Partition low for this test alone: whoever preempts there preempts everybody."""
    with lock(tmp_path_factory.getbasetemp().parent / "partition-low.lock"):
        yield


@pytest.fixture
def accounting(_slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Slurm's accounting for this test alone: one stops it, others read what it says afterwards."""
    with lock(tmp_path_factory.getbasetemp().parent / "accounting.lock"):
        yield


@pytest.fixture
def study(_slurm: None, tmp_path: Path) -> Iterator[Study]:
    """An empty study; what it leaves running ends with the test."""
    study = Study(tmp_path)
    yield study
    if study.process is not None and study.process.poll() is None:
        study.process.kill()
        study.process.wait()
    left = {line.split()[0] for line in study.queued()}
    if left:
        subprocess.run(["scancel", *left], check=False)
