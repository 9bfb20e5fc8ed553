"""Surroundings that fail: the work goes on where it can, and else one message says what to do."""

import errno
import json
import os
import subprocess
import sys

import pytest

from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from tests.studies import TINY, merged

CONFIG = merged(TINY, {"results": "results", "compute": {"path": "reference"}})
CELL = cells_of(validate_config(CONFIG))[0]
TRAIN = [sys.executable, "-m", "lmrnn.cli.main", "train", "--config", "study.yaml", "--cell", CELL.stem]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study.yaml").write_text(json.dumps(CONFIG))
    return tmp_path


def train(folder, before="", after="", **options):
    command = f'{before} exec "$@" {after}'
    shell = ["bash", "-c", command, "bash", *TRAIN]
    return subprocess.run(shell, cwd=folder, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_worked_on_and_said_once(folder, faults, name):
    done = train(folder, env=faults("flock", getattr(errno, name), "/"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"without locks ({os.strerror(getattr(errno, name))})") == 2  # checkpoints and datasets
    assert not [*folder.rglob("*.soft"), *(folder / "results" / "checkpoints").rglob("*.lock")]
    read_cell(CELL.path(folder / "results"), CELL.spec)


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
def test_closed_streams_stop_nothing(folder, closed):
    assert train(folder, after=closed).returncode == 0
    read_cell(CELL.path(folder / "results"), CELL.spec)


@pytest.mark.parametrize(("limit", "says"), [("-f 4", "ulimit -f")])
def test_a_limit_of_the_shell_is_one_message(folder, limit, says):
    done = train(folder, before=f"ulimit {limit};", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if says in line and line.startswith("error: ")], done.stderr
    assert "Traceback" not in done.stderr


def test_a_foreign_library_as_kernel_is_said_and_done_without(run_python, tmp_path):
    (tmp_path / "x.c").write_text("int nothing(void) { return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "x.so", tmp_path / "x.c"], check=True)
    done = run_python(
        "from lmrnn.networks import kernel; print(kernel.why_not())",
        env={**os.environ, "LMRNN_KERNEL": str(tmp_path / "x.so")},
    )
    assert done.stdout.startswith("no compiled kernel at"), done.stderr
