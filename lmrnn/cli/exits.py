"""How a command ends: its log, its one message to the user, its exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

from lmrnn.errors import Interrupted, LmrnnError

# EX_TEMPFAIL of sysexits.h: not done, not failed, try again
EXIT_INTERRUPTED = 75


class _Both:
    """A text stream that writes to several."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()


class _Log:
    """A log file; where it cannot be written (a full disk), its lines go to the terminal instead of being lost."""

    def __init__(self, path: Path | str) -> None:
        self._path, self._file, self._line = path, None, ""
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 -- closed by `close`
        except OSError as error:
            self._give_up(error)

    def write(self, text: str) -> int:
        self._line += text
        if self._line.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        line, self._line = self._line, ""
        if self._file:
            try:
                self._file.write(line.encode("utf-8", "replace"))
                return
            except OSError as error:
                self._give_up(error)
        sys.stderr.write(line)

    def close(self) -> None:
        self.flush()
        if self._file:
            self._file.close()

    def _give_up(self, error: OSError) -> None:
        print(f"warning: {self._path} cannot be written ({error.strerror}); the log goes on here", file=sys.stderr)
        if self._file:
            self._file.close()
        self._file = None


@contextmanager
def explained(log: TextIO | None = None) -> Iterator[None]:
    """Turn what goes wrong into one message and an exit status.

    Parameters
    ----------
    log : TextIO, optional
        Also gets the message, and the traceback of an error that nobody foresaw.

    Raises
    ------
    SystemExit
        1 after an error of the user's input or files, 75 (EX_TEMPFAIL) after an interruption that can be resumed.
    """
    streams = _Both(sys.stderr, *([log] if log else []))
    try:
        yield
    except Interrupted as stop:
        print(f"interrupted, resumable: {stop}", file=streams)
        streams.flush()
        raise SystemExit(EXIT_INTERRUPTED) from stop
    except LmrnnError as error:
        print(f"error: {error}", file=streams)
        streams.flush()
        raise SystemExit(1) from error
    except Exception:
        if log:
            traceback.print_exc(file=log)
            log.flush()
        raise


@contextmanager
def logged(path: Path | str) -> Iterator[TextIO]:
    """Run a step of the workflow with its log.

    Parameters
    ----------
    path : Path or str
        Log file, replaced; where it cannot be written, its lines go to the terminal.

    Yields
    ------
    TextIO
        Writes into the log, line by line.

    Raises
    ------
    SystemExit
        See `explained`.
    """
    with closing(_Log(path)) as log, explained(log):
        yield log
