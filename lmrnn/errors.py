"""Errors that speak to the user: what was wrong, where, what is allowed, what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Self


class LmrnnError(Exception):
    """Base of all errors that lmrnn raises on purpose; the command line prints them without a traceback."""


class ConfigError(LmrnnError):
    """A setting is missing, misspelt, of the wrong type or out of range."""


class TaskNameError(LmrnnError):
    """A task or battery that does not exist."""


class ConnectivityError(LmrnnError):
    """A connectivity that cannot be built."""


class ResourceError(LmrnnError):
    """Less disk, memory or devices than the work needs."""


class Interrupted(LmrnnError):
    """The work stopped on request after its state was saved; the same command continues it."""


class FileError(LmrnnError):
    """Something about one file: `path`, `what` is wrong with it, and what the user can `do`."""

    def __init__(self, path: Path | str, what: str, do: str) -> None:
        super().__init__(f"{path}: {what}. {do}")
        self.path, self.what, self.do = Path(path), what, do

    @classmethod
    def of(cls, path: Path | str, what: str, error: OSError) -> Self:
        """The same of what the system has refused: its reason behind `what`, and the advice on it."""
        return cls(path, f"{what} ({reason(error)})", advice(error))

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.what, self.do)


class DamagedFileError(FileError):
    """A file that was read and found to be missing, truncated, changed, foreign or of an older schema version.

    The only error about a file after which it may be replaced or set aside.
    """


class UnreadableFileError(FileError):
    """A file of which nothing is known, because it could not be read or is of a newer schema version.

    The disk, the network or the rights on it may be in the way for a moment only (EIO, ESTALE, EMFILE, EACCES), so the
    file is never removed, replaced or taken for missing: the work stops with this message or does without it.
    """


class UnwritableFileError(FileError):
    """A file that the system does not let us write; what was there before is still there."""


_DO = {
    errno.EROFS: "Choose a folder that can be written to (`results:` in the configuration)",
    errno.EACCES: "It belongs to another user or is protected: see to its rights (ls -l), or choose another folder",
    errno.EPERM: "It belongs to another user or is protected: see to its rights (ls -l), or choose another folder",
    errno.ENOTDIR: "A file lies where a folder is needed: move it away, or choose another folder",
    errno.EISDIR: "A folder lies where a file is needed: move it away",
    errno.EEXIST: "A file or a dangling link lies where a folder is needed: move it away, or choose another folder",
    errno.ENOENT: "See whether a link in its path leads nowhere, and whether the command runs in the right folder",
    errno.ELOOP: "Links in its path lead in a circle: see to them (ls -l)",
    errno.ENAMETOOLONG: "Choose shorter names (`results:`, `study:` in the configuration)",
    errno.EMFILE: "The limit of open files is too low (ulimit -n): raise it and run the same command again",
    errno.ENFILE: "The machine has too many open files: run the same command again later",
    errno.ENOMEM: "There is not enough memory: close other programs, or run it where there is more",
    errno.EFBIG: "The limit of a file's size is too low (ulimit -f, or the file system): raise it and run it again",
    errno.ENOSPC: "Files that were finished are whole; make space and run the same command again",
    errno.EDQUOT: "Files that were finished are whole; make space within your quota and run the same command again",
}


def advice(error: OSError) -> str:
    """What a user can do about an error of the system."""
    return _DO.get(error.errno or 0, "See to the disk and the rights on it, then run the same command again")


def reason(error: OSError) -> str:
    """What the system says of an error, in words; without its number."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
