"""The processes of a task: told to make room, ended, and kept apart from those of another run."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36
# What a job leaves in the background gets this long to end by itself once it is told to.
BACKGROUND_SECONDS = 2.0


def keep_orphans() -> None:
    """Stay the parent of whatever outlives its own parent below this process, so that it can be ended too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def family(leader: int | None) -> list[psutil.Process]:
    """Living processes of the session of `leader` and all that they have started; for None, all below this process."""
    if leader is None:
        return [process for process in psutil.Process().children(recursive=True) if _is_alive(process)]
    members: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                members |= {one.pid: one for one in [process, *process.children(recursive=True)]}
    return [process for process in members.values() if _is_alive(process)]


def end_family(leader: int | None, number: int = signal.SIGTERM, grace: float = BACKGROUND_SECONDS) -> None:
    """Tell a family's processes to end, or by SIGUSR2 to save their state; kill what is left after `grace` seconds."""
    end = time.monotonic() + grace
    while left := family(leader):
        over = time.monotonic() > end
        if time.monotonic() > end + 5:
            return  # in the kernel's hands
        # Again and again: a program that is still starting ignores the first.
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL if over else number)
        time.sleep(0.2 if over or number == signal.SIGTERM else 0.5)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def task_lock(folder: Path) -> Iterator[IO[str] | None]:
    """Keep two incarnations of a task apart: after a lost node the first may still be alive when the second starts.
    Gives the open lock file, or None where the file system has no locks.
    """
    with open(folder / "lock", "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another run is still alive in {folder}; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            print(f"no file locks here ({error}); going on without", file=sys.stderr, flush=True)
            yield None
            return
        yield handle
