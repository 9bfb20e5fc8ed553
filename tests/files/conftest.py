"""Surroundings that fail: what the system answers, and another user."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """Environment in which a call of the system fails with an errno on files whose path has a part."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    def environment(call, number, part):
        fault = {"FAULT_CALL": call, "FAULT_ERRNO": str(int(number)), "FAULT_PATH": part}
        return {**os.environ, "LD_PRELOAD": str(library), **fault}

    return environment
