"""A cell that was killed says so in `lmrnn status`, and for want of memory where that is known or may be."""

import errno
import json
import os
import shutil
import signal
import subprocess

import pytest
import torch
from snakemake_executor_plugin_submitit.events import Event
from snakemake_executor_plugin_submitit.ledger import Ledger
from snakemake_executor_plugin_submitit.nested import Reporter
from snakemake_executor_plugin_submitit.outcome import Judge

from lmrnn.cli.cell_states import Reader
from lmrnn.cli.exits import logged
from lmrnn.cli.status import failures
from lmrnn.errors import ResourceError
from lmrnn.files import lives
from lmrnn.files.records import append_record, latest_records, records_file
from lmrnn.files.storage import write_text
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from tests.cli.test_plan_status import STUDY, submit


@pytest.fixture
def cell():
    return cells_of(validate_config(STUDY))[0]


@pytest.fixture
def log(cell, tmp_path):
    path = Layout(tmp_path).cell_log(cell.stem)
    path.parent.mkdir(parents=True)
    return path


def states(cell, tmp_path):
    return Reader(tmp_path, tmp_path / "dispatch").states([cell])


def in_a_step(log, work):
    """Do something as a step of the workflow does, in a child of this process; how the child ended."""
    child = os.fork()
    if not child:
        try:
            with logged(log):
                work()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def shoot():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("saved", [False, True])
def test_a_cell_killed_on_this_machine(cell, log, tmp_path, saved):
    assert in_a_step(log, shoot) == -signal.SIGKILL
    if saved:
        cell.checkpoint(tmp_path).parent.mkdir(parents=True)
        cell.checkpoint(tmp_path).touch()
    found = states(cell, tmp_path)
    assert found[0].state == ("stopped" if saved else "failed")
    assert "SIGKILL, status 137): out of memory, a kill -9" in failures(found)
    assert f"{found[0].state}: {cell.stem}" in failures(found)


def test_a_machine_that_has_killed_for_memory_since_a_cell_began_is_the_reason(cell, log, tmp_path, monkeypatch):
    monkeypatch.setattr(lives, "VMSTAT", tmp_path / "vmstat")
    lives.VMSTAT.write_text("nr_free_pages 7\noom_kill 2\n")
    in_a_step(log, shoot)
    lives.VMSTAT.write_text("nr_free_pages 7\noom_kill 3\n")
    assert (
        "killed: out of memory (since it began, this machine has killed 1 processes" in states(cell, tmp_path)[0].reason
    )


def test_a_cell_that_lives_is_elsewhere_or_was_told_to_stop_was_not_killed(cell, log, tmp_path):
    records = records_file(log)
    for begin in (
        lives.this_process(),
        {**lives.this_process(), "host": "elsewhere", "pid": 1},
        {"host": lives.this_process()["host"], "pid": "7", "began": None, "killed": []},
        {},
    ):
        records.write_text(json.dumps({"event": "begin", **begin}) + "\n")
        assert states(cell, tmp_path)[0].state == "missing"
    later = {**lives.this_process(), "began": 1.0}  # this process has its number now
    records.write_text(json.dumps({"event": "begin", **later}) + "\n")
    assert states(cell, tmp_path)[0].state == "failed"
    in_a_step(log, shoot)
    append_record(records, "end", status=75, reason="SIGTERM")
    assert states(cell, tmp_path)[0].state == "missing"


def test_the_first_record_is_known_however_long_the_rest(log):
    append_record(records_file(log), "begin", pid=7)
    for step in range(3000):
        append_record(records_file(log), "step", step=step, steps=3000)
    assert latest_records(records_file(log))["begin"]["pid"] == 7
    assert latest_records(records_file(log))["step"]["step"] == 2999


def fail(error):
    raise error


@pytest.mark.parametrize(
    "work",
    [
        lambda: fail(MemoryError()),
        lambda: torch.empty(2**46),
        lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB")),
        lambda: fail(ImportError("libtorch_cpu.so: failed to map segment from shared object")),
        lambda: fail(OSError(errno.ENOMEM, "Cannot allocate memory")),
    ],
)
def test_memory_that_ran_out_inside_a_cell(cell, log, tmp_path, work):
    assert in_a_step(log, work) == 1
    assert "memory" in states(cell, tmp_path)[0].reason
    assert "mistake in lmrnn" not in states(cell, tmp_path)[0].reason
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("code", [-9, 137])
def test_a_cell_killed_inside_a_task(code):
    reporter = Reporter(None, {})
    event = reporter.event_of("", subprocess.CalledProcessError(code, "python"))
    assert event.kind == "killed"
    assert "out of memory" in event.reason


def test_a_task_that_slurm_killed_for_memory(cell, tmp_path):
    ledger = Ledger(tmp_path / "dispatch")
    submit(ledger, [cell], tmp_path, "OUT_OF_MEMORY")
    task = tmp_path / "dispatch" / "20300101" / "a" / "0"
    task.mkdir(parents=True)
    outcome = Judge(-1.0, -1.0).judge(task, "a", "OUT_OF_MEMORY", Event("started"), True)
    end = {"outcome": outcome.kind, "reason": outcome.reason, "status": outcome.status}
    ledger.append("end", folder="20300101/a", index=0, key=str(cell.path(tmp_path)), **end)
    assert "OUT_OF_MEMORY: more memory was used than `mem_mb`" in failures(states(cell, tmp_path))


@pytest.fixture
def small_disk(tmp_path):
    """A file system for eight files, where somebody may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "nr_inodes=8,size=4m", "lmrnn", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_without_inodes_is_not_called_full(small_disk):
    for number in range(7):  # and the folder itself
        write_text(small_disk / f"{number}.csv", "text")
    with pytest.raises(ResourceError, match=r"7\.csv \(inodes are used up"):
        write_text(small_disk / "7.csv", "text")
    assert [path.read_text() for path in small_disk.iterdir()] == ["text"] * 7


def test_a_disk_without_bytes_is_called_full(small_disk):
    with pytest.raises(ResourceError, match="no space left on the disk"):
        write_text(small_disk / "x.csv", "text" * 2_000_000)
    assert list(small_disk.iterdir()) == []
