"""The processes of a task: told to make room, and kept apart from those of another run."""

from __future__ import annotations

import ctypes
import fcntl
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36


def ignore_usr2() -> None:
    """Ignore USR2 in this process and all that it starts."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def keep_orphans() -> None:
    """Stay the parent of whatever outlives its own parent below this process, so that it can be ended too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def interrupt_children(grace: float) -> None:
    """Tell all processes below this one to save their state, until they have ended or the time is up.

    Parameters
    ----------
    grace : float
        Seconds they get; then they are killed.
    """
    end = time.monotonic() + grace
    me = psutil.Process()
    while time.monotonic() < end:
        children = me.children(recursive=True)
        if not any(child.status() != psutil.STATUS_ZOMBIE for child in _alive(children)):
            return
        # Again and again: a trainer that is still starting ignores the first.
        for child in _alive(children):
            _signal(child, signal.SIGUSR2)
        time.sleep(0.5)
    for child in _alive(me.children(recursive=True)):
        _signal(child, signal.SIGKILL)


def _alive(children: list[psutil.Process]) -> list[psutil.Process]:
    return [child for child in children if child.is_running()]


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


@contextmanager
def task_lock(folder: Path) -> Iterator[IO[str] | None]:
    """Keep two incarnations of a task apart: after a lost node the first may still be alive when the second starts.

    Parameters
    ----------
    folder : Path
        The task's folder.

    Yields
    ------
    file or None
        The open lock; None where the file system has no locks.
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
