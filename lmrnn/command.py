"""How a command ends: its log, its one message to the user, its exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
        Log file, replaced.

    Yields
    ------
    TextIO
        Writes into the log, line by line.

    Raises
    ------
    SystemExit
        See `explained`.
    """
    with open(path, "w", buffering=1, encoding="utf-8") as log, explained(log):
        yield log
