"""One process at a time at one file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
