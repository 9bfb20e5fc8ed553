"""How a command ends: its log, its one message to the user, its exit status. The only place that catches failures."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

from lmrnn.errors import Interrupted, LmrnnError, advice, reason
from lmrnn.files import lives
from lmrnn.files.records import append_record, records_file
from lmrnn.files.removal import remove

# EX_TEMPFAIL of sysexits.h: not done, not failed, try again
EXIT_INTERRUPTED = 75
# what shells give a command that Ctrl-C has ended: 128 and the number of SIGINT
EXIT_KEYBOARD = 130


class _Log:
    """A log file; where it cannot be written (a full disk), its lines go to the terminal instead of being lost."""

    def __init__(self, path: Path | str) -> None:
        self._path, self._file, self._line = path, None, ""
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 -- closed by `close`
        except OSError as error:
            self._give_up(error)

    def record(self, event: str, **fields: object) -> None:
        """Tell programs something, in the file of records beside the log; a training does where its log can."""
        append_record(records_file(self._path), event, **fields)

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
        _say(line, end="")

    def close(self) -> None:
        self.flush()
        if self._file:
            self._file.close()

    def _give_up(self, error: OSError) -> None:
        _say(f"warning: {self._path} cannot be written ({reason(error)}); the log goes on here")
        if self._file:
            self._file.close()
        self._file = None


def _say(text: str, log: TextIO | None = None, end: str = "\n") -> None:
    """Print on the terminal and into a log; a terminal that is gone is no reason to stop."""
    with suppress(OSError, ValueError):
        print(text, end=end, file=sys.stderr, flush=True)
    if log:
        print(text, end=end, file=log, flush=True)


class _Lasting:
    """A standard stream whose reader may go away (a closed terminal, a full disk): then its lines are dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def secure_streams() -> None:
    """See to it that standard input, output and error are open and that messages on the latter cannot stop the work.

    A process started with one of them closed (``2>&-``, some schedulers) would give its number to the next file that it
    opens, and every message of a library would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, None)
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 -- for the life of the process
            setattr(sys, name, stream)
    if not isinstance(sys.stderr, _Lasting):
        sys.stderr = _Lasting(sys.stderr)


def message(error: BaseException) -> str | None:
    """What to tell the user about an error; None for one that nobody foresaw (a mistake in lmrnn)."""
    if isinstance(error, LmrnnError):
        return str(error)
    if _lacks_memory(error):
        more = f" ({error})" if str(error) else ""
        return (
            f"out of memory{more}. What was finished is kept. Lower network.neurons, training.batch_size or "
            "trials_per_task, run fewer cells at once, or run it where there is more"
        )
    if isinstance(error, OSError) and error.errno:
        names = [str(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
        return f"{' -> '.join([*names, ''][:-1]) or 'a file'}: {reason(error)}. {advice(error)}"
    return None


# What runs out of memory without an exception of its own says so in words alone: torch on the processor, C++ in a
# library, a thread's stack, and the system's loader at a library of some hundred MB.
_MEMORY_WORDS = (
    "DefaultCPUAllocator: can't allocate memory",
    "std::bad_alloc",
    "can't start new thread",
    "failed to map segment from shared object",
)


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch has a class of its own for that of a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, (ImportError, RuntimeError)) and any(words in str(error) for words in _MEMORY_WORDS)


@contextmanager
def explained(log: TextIO | None = None) -> Iterator[None]:
    """Turn what goes wrong into one message and an exit status, by SystemExit.

    The status is 1 after an error of the user's input, files or machine, 75 (EX_TEMPFAIL) after an interruption that
    can be resumed, 130 after Ctrl-C elsewhere. `log` also gets the message. An error that nobody foresaw shows its
    traceback, in the log where there is one, and a last line that says so.
    """
    try:
        yield
    except Interrupted as stop:
        _say(f"interrupted, resumable: {stop}", log)
        raise SystemExit(EXIT_INTERRUPTED) from stop
    except KeyboardInterrupt as stop:
        _say("interrupted", log)
        raise SystemExit(EXIT_KEYBOARD) from stop
    except Exception as error:
        text = message(error)
        if text is None:
            traceback.print_exc(file=log or sys.stderr)
            text = f"{type(error).__name__}: {error}. This is a mistake in lmrnn; please report it with the traceback"
        _say(f"error: {text}", log)
        raise SystemExit(1) from error


@contextmanager
def explained_as(kind: type[Exception]) -> Iterator[None]:
    """Turn an error that has a message into an exception of another kind with that message (Snakemake's, for rules)."""
    try:
        yield
    except Exception as error:
        text = message(error)
        if text is None:
            raise
        raise kind(text) from None


@contextmanager
def logged(path: Path | str) -> Iterator[TextIO]:
    """Run a step of the workflow with its log, a file that is replaced; ends as `explained` says.

    Where the log cannot be written, its lines go to the terminal. The first of the records beside the log says which
    process runs it, the last how it ended: its exit status, and the reason where it is not 0. Without a last one it was
    killed (`lmrnn.files.lives`).
    """
    secure_streams()
    with suppress(LmrnnError):  # what cannot be removed cannot be written either, and the log says so
        remove(records_file(path))
    with closing(_Log(path)) as log:
        log.record("begin", **lives.this_process())
        try:
            stream = cast(TextIO, log)  # it has what print and traceback need of one
            with explained(stream):
                yield stream
        except SystemExit as end:
            cause = end.__cause__ or end
            why = message(cause) or f"{type(cause).__name__}: {cause}"
            log.record("end", status=end.code, reason=why)
            raise
        log.record("end", status=0, reason="")
