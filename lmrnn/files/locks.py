"""One process at a time at one file; and locks that the dead have left behind."""

from __future__ import annotations

import errno
import fcntl
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lmrnn.errors import UnwritableFileError, reason
from lmrnn.files.removal import remove

if TYPE_CHECKING:
    from filelock import BaseFileLock

# what a file system without locks of the kernel answers (FUSE, some NFS and Lustre mounts)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
# often enough that nobody notices, rarely enough that hundreds may wait for one file
_POLL_SECONDS = 0.1
_told: set[Path] = set()


def _tell_once(folder: Path, error: OSError, instead: str) -> None:
    """Say, once for each folder, what takes the place of the system's locks."""
    if folder not in _told and sys.stderr is not None:
        _told.add(folder)
        with suppress(OSError):
            print(f"warning: {folder} is on a file system without locks ({reason(error)}): {instead}", file=sys.stderr)


def _soft(path: Path) -> Path:
    """The lock file that takes the place of a lock of the system."""
    return path.with_name(f"{path.name}.soft")


@contextmanager
def lock(path: Path | str, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a file for this process alone; waits for another process that holds it, after calling `waiting` once.

    The lock goes with the process, however it ends, and its file is removed when it is given back. On a file system
    without locks a file with host and process number takes its place, which is cleared away on the same host once that
    process has ended; a warning says so once. Raises UnwritableFileError where the lock's file cannot be made.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _acquire(path, waiting)
    except OSError as error:
        raise UnwritableFileError.of(path, "this lock cannot be made", error) from error
    try:
        yield
    finally:
        if Path(held.lock_file) == path:
            # gone before it is released: whoever waits for it sees that it is no file any more, and makes another one
            with suppress(UnwritableFileError):
                remove(path)
        held.release()


def _acquire(path: Path, waiting: Callable[[], object]) -> BaseFileLock:
    from filelock import FileLock, SoftFileLock  # which training without files does without

    was_there = path.exists()
    held: BaseFileLock = FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    try:
        return _wait(held, waiting)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        if not was_there:  # else a machine on which locks work may hold it
            with suppress(UnwritableFileError):
                remove(path)
        instead = "files ending in .soft are used instead; remove one that a dead machine has left"
        _tell_once(path.parent, error, instead)
    return _wait(SoftFileLock(_soft(path), poll_interval=_POLL_SECONDS), waiting)


def _wait(held: BaseFileLock, waiting: Callable[[], object]) -> BaseFileLock:
    from filelock import Timeout

    try:
        held.acquire(blocking=False)
    except Timeout:
        waiting()
        held.acquire()
    return held


def is_held(path: Path | str) -> bool:
    """Whether a process holds a lock; changes nothing, and needs no right to write."""
    path = Path(path)
    try:
        with open(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return _soft(path).exists()


def take_part(path: Path | str, abandoned: Path | str) -> tuple[IO[str] | None, int]:
    """Join those at work in a folder, clearing locks away that nobody alive has set.

    Snakemake keeps its locks as files, which stay when it is killed and then stop every further run. Whoever joins
    shares a lock on `path` that the system takes back with the process, however it ends: if nobody else shares it, the
    others have ended, and the files of the folder `abandoned` go. They are left alone where somebody joined from
    another machine since they were last cleared (not all file systems carry such locks between machines), or where
    they were there before anybody joined. Returns the file to be kept open for as long as one takes part (None where
    the file system has no locks), and how many locks were cleared. Raises UnwritableFileError.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (held for the life of the process)
    except OSError as error:
        raise UnwritableFileError.of(path, "cannot be written", error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(handle, fcntl.LOCK_SH)
        return handle, 0
    except OSError as error:
        handle.close()
        _tell_once(path.parent, error, "after a kill -9 `snakemake --unlock` is needed before the next run")
        return None, 0
    cleared = _clear(handle, Path(abandoned))
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle, cleared


def _clear(handle: IO[str], abandoned: Path) -> int:
    """Remove what the dead of this machine have left, and note that this machine has joined."""
    handle.seek(0)
    hosts, own = set(handle.read().split()), socket.gethostname()
    left, cleared = list(abandoned.glob("*.lock")), 0
    if hosts == {own}:
        for each in left:
            remove(each)
        cleared, left = len(left), []
    if not left:
        handle.truncate(0)
    handle.write(f"{own}\n" if hosts or not left else f"{own}\nunknown\n")
    handle.flush()
    return cleared
