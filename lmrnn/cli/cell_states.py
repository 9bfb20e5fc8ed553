"""What is known of every cell of a study, from its files and the dispatch's ledger alone.

A cell is done or diverged when its file says so. Else the ledger knows whether it waits, runs or has failed; without a
ledger (a run on this machine) its lock tells whether a process is at work on it, and its records, beside its log, what
became of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_submitit.identity import shown
from snakemake_executor_plugin_submitit.ledger import DEFAULT_FOLDER, FAILED, OPEN, Entry, Ledger
from snakemake_executor_plugin_submitit.states import Phase, meaning

from lmrnn.cli.exits import EXIT_INTERRUPTED
from lmrnn.datasets import SPLITS
from lmrnn.errors import FileError
from lmrnn.files.lives import fate
from lmrnn.files.locks import is_held
from lmrnn.files.records import latest_records, records_file
from lmrnn.study.cell_checks import CLOCKS
from lmrnn.study.cells import read_cell
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout

# in the order of the table
STATES = ("done", "diverged", "running", "waiting", "failed", "stopped", "missing")


@dataclass(frozen=True)
class CellState:
    """What is known of one cell: its state, one of `STATES` (``stopped`` has a saved state and goes on with the next
    run), why it failed, and the log to read more in.

    `seconds` are what it took, where it is done, and what it will take at its present pace, where it runs; `left` those
    that it will still run; both 0 where nobody knows. `task` is the folder with the pickles and the log of the task in
    which it failed.
    """

    cell: Cell
    state: str
    reason: str = ""
    log: str = ""
    seconds: float = 0.0
    left: float = 0.0
    task: str = ""


@dataclass(frozen=True)
class Failure:
    """Something other than a cell that failed: its file, and reason, log and task as for `CellState`."""

    name: str
    reason: str
    log: str
    task: str


class Reader:
    """Reads states from a folder of results and that of the dispatch's ledger, again and again; a finished file is
    opened only once.
    """

    def __init__(self, results: Path | str, folder: Path | str = DEFAULT_FOLDER) -> None:
        self.results, self.layout, self.ledger = Path(results), Layout(results), Ledger(folder)
        self._finished: dict[tuple[Path, int, int], CellState] = {}

    def states(self, cells: Iterable[Cell]) -> list[CellState]:
        """State of every cell, in their order."""
        entries, _ = self.ledger.replay()
        return [self._state(cell, entries.get(os.path.abspath(cell.path(self.results)))) for cell in cells]

    def _state(self, cell: Cell, entry: Entry | None) -> CellState:
        path = cell.path(self.results)
        log = str(self.layout.cell_log(cell.stem))
        if path.exists():
            return self._finished_state(cell, path, log)
        if entry is not None and entry.outcome == OPEN:
            runs = bool(entry.task.state) and meaning(entry.task.state).phase != Phase.WAITS
            return self._running_state(cell, log) if runs else CellState(cell, "waiting")
        if is_held(cell.checkpoint(self.results).with_suffix(".lock")):
            return self._running_state(cell, log)
        if entry is not None and entry.outcome == FAILED:
            reason, read = self._why(entry, entry.log or log)
            return CellState(cell, "failed", reason, read, task=self._task_folder(entry))
        if cell.checkpoint(self.results).exists():
            return CellState(cell, "stopped", _killed(log), log)
        error = _error(log) or _killed(log)
        return CellState(cell, "failed", error, log) if error else CellState(cell, "missing")

    def _running_state(self, cell: Cell, log: str) -> CellState:
        left, whole = pace(latest_records(records_file(log)).get("step", {}))
        return CellState(cell, "running", log=log, seconds=whole, left=left)

    def _why(self, entry: Entry, log: str) -> tuple[str, str]:
        """Reason of a failure and the log that tells more: the job's own, unless the whole task came to grief."""
        if entry.status is None:
            return entry.reason, _task_log(self.ledger.folder, entry) or log
        return (_error(log) if log else "") or entry.reason, log

    def _task_folder(self, entry: Entry) -> str:
        folder = entry.task.path(self.ledger.folder)
        return str(folder) if folder.is_dir() else ""

    def other_failures(self, cells: Iterable[Cell], study: str) -> list[Failure]:
        """What else of a study has failed, according to the ledger: its datasets, tables and figures, in the order of
        their submission; then those of its own rules that failed here, by their records, since it was last changed.
        """
        datasets = {os.path.abspath(cell.dataset_path(self.results, split)) for cell in cells for split in SPLITS}
        failed = []
        for key, entry in self.ledger.replay()[0].items():
            ours = key in datasets or Path(key).is_relative_to((self.results / study).absolute())
            if ours and entry.outcome == FAILED and not Path(key).exists():
                failed.append(Failure(shown(key), *self._why(entry, entry.log), self._task_folder(entry)))
        told = {os.path.abspath(one.log) for one in failed}
        own = self.layout.study(study)
        asked = own.file.stat().st_mtime if own.file.exists() else 0.0  # before, it may have had other rules
        here = [log for log in own.logs() if log.stat().st_mtime >= asked and os.path.abspath(log) not in told]
        return [*failed, *(Failure(log.stem, why, str(log), "") for log in here if (why := _error(str(log))))]

    def _finished_state(self, cell: Cell, path: Path, log: str) -> CellState:
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._finished:
            try:
                result = read_cell(path, cell.spec, weights=False)
            except FileError as error:
                return CellState(cell, "failed", str(error), log)
            state = "done" if result.status == "completed" else result.status
            took = float(sum(result.provenance[name] for name in CLOCKS))
            self._finished[key] = CellState(cell, state, log=log, seconds=took)
        return self._finished[key]


def _task_log(folder: Path, entry: Entry) -> str:
    """Log of the task in which a cell failed, or the cell's own."""
    return next((str(path) for path in sorted(entry.task.path(folder).glob("*_log.out"))), entry.log)


def pace(record: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds that a training will still take and those for all of its steps, by its last record; zeros if unknown.

    >>> pace({"step": 100, "steps": 300, "done": 100, "seconds": 5.0})
    (10.0, 15.0)
    """
    try:
        each = record["seconds"] / record["done"]
        left, whole = (record["steps"] - record["step"]) * each, record["steps"] * each
    except (KeyError, TypeError, ZeroDivisionError, OverflowError):
        return 0.0, 0.0
    return (left, whole) if 0 <= left <= whole < math.inf else (0.0, 0.0)


def _killed(log: str) -> str:
    """How the step of a log was killed, by its records, which then have no end; empty where nobody knows."""
    records = latest_records(records_file(log))
    return "" if "end" in records else fate(records.get("begin", {}))


def _error(log: str) -> str:
    """Why the step of a log failed, by its records; empty if it did not, or was interrupted and can go on."""
    end = latest_records(records_file(log)).get("end", {})
    failed = end.get("status") not in (None, 0, EXIT_INTERRUPTED)
    return f"error: {end.get('reason') or 'no reason given'}" if failed else ""
