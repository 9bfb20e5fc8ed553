"""What several tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def reference():
    """Folder of reference trials; demanded in CI, elsewhere tests that need it are skipped."""
    folder = ROOT.parent / "shared" / "reference"
    if not folder.is_dir():
        message = f"the reference trials are not at {folder}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return folder


@pytest.fixture
def run_python():
    """Run a piece of Python in a process of its own."""

    def run(code, **options):
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, **options)

    return run
