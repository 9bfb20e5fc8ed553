"""One process at a time at one file; and locks that the dead have left behind."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lmrnn.errors import BusyError


def _nothing() -> None:
    pass


@contextmanager
def lock(path: Path | str, wait: bool = True, waiting: Callable[[], object] = _nothing) -> Iterator[None]:
    """Hold a file for this process alone; the lock goes with the process, however it ends.

    Parameters
    ----------
    path : Path or str
        Lock file; made, and removed when the lock is given back.
    wait : bool
        Wait for the other process; else raise at once.
    waiting : callable
        Called once before waiting, to say so.

    Raises
    ------
    BusyError
        When another process holds it and `wait` is false.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if not wait:
                    raise BusyError(f"{path}: another process is at work on this; wait for it or stop it") from error
                waiting()
                waiting = _nothing
                fcntl.flock(handle, fcntl.LOCK_EX)
            # the holder before us removed the file: whoever comes next would make, and hold, another one
            if not _is_at(handle.fileno(), path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def take_part(path: Path | str, abandoned: Path | str) -> tuple[IO[str] | None, int]:
    """Join those at work in a folder, clearing locks away that nobody alive has set.

    Snakemake keeps its locks as files, which stay when it is killed and then stop every further run. Whoever joins
    shares a lock on `path` that the system takes back with the process, however it ends: if nobody else shares it, the
    others have ended. Locks are left alone where somebody joined from another machine since they were last cleared (not
    all file systems carry such locks between machines), or where they were there before anybody joined.

    Parameters
    ----------
    path : Path or str
        File to share, made if it is not there.
    abandoned : Path or str
        Folder whose files are the locks of those who have joined.

    Returns
    -------
    handle : file or None
        To be kept open for as long as one takes part; None where the file system has no locks.
    cleared : int
        How many locks were cleared away.
    """
    path, cleared = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (held for the life of the process)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(handle, fcntl.LOCK_SH)
        return handle, 0
    except OSError:
        handle.close()
        return None, 0
    handle.seek(0)
    hosts, own = set(handle.read().split()), socket.gethostname()
    left = list(Path(abandoned).glob("*.lock"))
    if hosts == {own}:
        for each in left:
            each.unlink(missing_ok=True)
        cleared, left = len(left), []
    if not left:
        handle.truncate(0)
    handle.write(f"{own}\n" if hosts or not left else f"{own}\nunknown\n")
    handle.flush()
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle, cleared


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
