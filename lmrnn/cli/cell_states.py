"""What is known of every cell of a study, from its files and the dispatch's ledger alone.

A cell is done or diverged when its file says so. Else the ledger knows whether it waits, runs or has failed; without a
ledger (a run on this machine) its lock tells whether a process is at work on it, and the last line of its log what
became of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_submitit.identity import shown
from snakemake_executor_plugin_submitit.ledger import DEFAULT_FOLDER, FAILED, OPEN, Entry, Ledger
from snakemake_executor_plugin_submitit.states import Phase, meaning

from lmrnn.datasets import SPLITS
from lmrnn.errors import FileError
from lmrnn.files.locks import is_held
from lmrnn.study.cells import read_cell
from lmrnn.study.grid import Cell

# in the order of the table
STATES = ("done", "diverged", "running", "waiting", "failed", "stopped", "missing")
_PACE = re.compile(r"step (\d+)/(\d+),.*?([\d.]+) steps/s")


@dataclass(frozen=True)
class CellState:
    """What is known of one cell.

    Parameters
    ----------
    cell : Cell
        The cell.
    state : str
        One of `STATES`; ``stopped`` has a saved state and goes on with the next run.
    reason : str
        Why it failed.
    log : str
        Where to read more about it.
    seconds : float
        What it took, where it is done; what it will take at its present pace, where it runs; 0 where nobody knows.
    left : float
        Seconds that it will still run; 0 where nobody knows.
    task : str
        Folder with the pickles and the log of the task in which it failed.
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
    """Something other than a cell that failed.

    Parameters
    ----------
    name : str
        Its file.
    reason, log, task : str
        As for `CellState`.
    """

    name: str
    reason: str
    log: str
    task: str


class Reader:
    """Reads states again and again; a finished file is opened only once.

    Parameters
    ----------
    results : Path or str
        Folder of results.
    folder : Path or str
        Folder of the dispatch's ledger.
    """

    def __init__(self, results: Path | str, folder: Path | str = DEFAULT_FOLDER) -> None:
        self.results, self.ledger = Path(results), Ledger(folder)
        self._finished: dict[tuple[Path, int, int], CellState] = {}

    def states(self, cells: Iterable[Cell]) -> list[CellState]:
        """State of every cell.

        Parameters
        ----------
        cells : iterable of Cell
            The study's.

        Returns
        -------
        list of CellState
            In their order.
        """
        entries, _ = self.ledger.replay()
        return [self._state(cell, entries.get(os.path.abspath(cell.path(self.results)))) for cell in cells]

    def _state(self, cell: Cell, entry: Entry | None) -> CellState:
        path = cell.path(self.results)
        log = str(self.results / "logs" / "cells" / f"{cell.stem}.log")
        if path.exists():
            return self._finished_state(cell, path, log)
        if entry is not None and entry.outcome == OPEN:
            runs = bool(entry.task.state) and meaning(entry.task.state).phase != Phase.WAITS
            return self._running_state(cell, log) if runs else CellState(cell, "waiting")
        if is_held(cell.checkpoint(self.results).with_suffix(".lock")):
            return self._running_state(cell, log)
        if entry is not None and entry.outcome == FAILED:
            return self._failed_state(cell, entry, log)
        if cell.checkpoint(self.results).exists():
            return CellState(cell, "stopped", log=log)
        last = _last_line(Path(log))
        return CellState(cell, "failed", last, log) if last.startswith("error") else CellState(cell, "missing")

    def _running_state(self, cell: Cell, log: str) -> CellState:
        left, whole = pace(_last_line(Path(log)))
        return CellState(cell, "running", log=log, seconds=whole, left=left)

    def _failed_state(self, cell: Cell, entry: Entry, log: str) -> CellState:
        """A cell that the dispatch knows as failed."""
        reason, read = self._why(entry, entry.log or log)
        return CellState(cell, "failed", reason, read, task=self._task_folder(entry))

    def _why(self, entry: Entry, log: str) -> tuple[str, str]:
        """Reason of a failure and the log that tells more: the job's own, unless the whole task came to grief."""
        if entry.status is None:
            return entry.reason, _task_log(self.ledger.folder, entry) or log
        last = _last_line(Path(log)) if log else ""
        return last if last.startswith("error") else entry.reason, log

    def _task_folder(self, entry: Entry) -> str:
        folder = entry.task.path(self.ledger.folder)
        return str(folder) if folder.is_dir() else ""

    def other_failures(self, cells: Iterable[Cell], study: str) -> list[Failure]:
        """What else of a study has failed, according to the ledger: its datasets, tables and figures.

        Parameters
        ----------
        cells : iterable of Cell
            The study's.
        study : str
            Its name.

        Returns
        -------
        list of Failure
            In the order of their submission.
        """
        datasets = {os.path.abspath(cell.dataset_path(self.results, split)) for cell in cells for split in SPLITS}
        failed = []
        for key, entry in self.ledger.replay()[0].items():
            ours = key in datasets or Path(key).is_relative_to((self.results / study).absolute())
            if ours and entry.outcome == FAILED and not Path(key).exists():
                failed.append(Failure(shown(key), *self._why(entry, entry.log), self._task_folder(entry)))
        return failed

    def _finished_state(self, cell: Cell, path: Path, log: str) -> CellState:
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._finished:
            try:
                result = read_cell(path, cell.spec, weights=False)
            except FileError as error:
                return CellState(cell, "failed", str(error), log)
            took = [result.provenance.get(name) or 0.0 for name in ("training_seconds", "evaluation_seconds")]
            state = "done" if result.status == "completed" else result.status
            self._finished[key] = CellState(cell, state, log=log, seconds=float(sum(took)))
        return self._finished[key]


def _task_log(folder: Path, entry: Entry) -> str:
    """Log of the task in which a cell failed, or the cell's own."""
    return next((str(path) for path in sorted(entry.task.path(folder).glob("*_log.out"))), entry.log)


def pace(line: str) -> tuple[float, float]:
    """What a running training says of its speed.

    Parameters
    ----------
    line : str
        Of its log.

    Returns
    -------
    tuple of float
        Seconds that it will still take, and seconds for all of its steps; zeros if the line does not say.

    Examples
    --------
    >>> pace("step 100/300, loss 2.0, decision accuracy 0.5, 20.0 steps/s, time left 0:00:10")
    (10.0, 15.0)
    """
    found = _PACE.search(line)
    if not found or not float(found[3]):
        return 0.0, 0.0
    step, steps, rate = int(found[1]), int(found[2]), float(found[3])
    return (steps - step) / rate, steps / rate


def _last_line(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace")[-4000:].strip().splitlines()
    return lines[-1].strip() if lines else ""
