"""Errors that speak to the user: what was wrong, where, what is allowed, what to do."""

from __future__ import annotations

from pathlib import Path


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


class BusyError(LmrnnError):
    """Another process is at work on the same file."""


class Interrupted(LmrnnError):
    """The work stopped on request after its state was saved; the same command continues it."""


class DamagedFileError(LmrnnError):
    """A file that is truncated, changed, foreign or of another schema version.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What is wrong with it.
    do : str
        What the user can do about it.
    """

    def __init__(self, path: Path | str, what: str, do: str) -> None:
        super().__init__(f"{path}: {what}. {do}")
        self.path, self.what, self.do = Path(path), what, do

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.what, self.do)
