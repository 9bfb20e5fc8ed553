"""How a sweep stands, from its files and the dispatch's ledger alone: no question to Slurm, no torch.

A cell is done or diverged when its file says so. Else the ledger knows whether it waits, runs or has failed; without a
ledger (a run on this machine) its lock tells whether a process is at work on it, and the last line of its log what
became of it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmrnn.cells import read_cell
from lmrnn.errors import DamagedFileError
from lmrnn.ledger import DEFAULT_FOLDER, FAILED, OPEN, Entry, Ledger
from lmrnn.plan import duration
from lmrnn.sweep import Cell

# in the order of the table
STATES = ("done", "diverged", "running", "waiting", "failed", "stopped", "missing")
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT")


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
        What it took, where it is done; 0 elsewhere.
    """

    cell: Cell
    state: str
    reason: str = ""
    log: str = ""
    seconds: float = 0.0


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
        return [self._state(cell, entries.get(str(cell.path(self.results)))) for cell in cells]

    def _state(self, cell: Cell, entry: Entry | None) -> CellState:
        path = cell.path(self.results)
        log = str(self.results / "logs" / "cells" / f"{cell.stem}.log")
        if path.exists():
            return self._finished_state(cell, path, log)
        if entry is not None and entry.outcome == OPEN:
            running = entry.task.state in _RUNNING
            return CellState(cell, "running" if running else "waiting", log=log if running else "")
        if _locked(cell.checkpoint(self.results).with_suffix(".lock")):
            return CellState(cell, "running", log=log)
        if entry is not None and entry.outcome == FAILED:
            return CellState(cell, "failed", entry.reason, _task_log(self.ledger.folder, entry) or log)
        if cell.checkpoint(self.results).exists():
            return CellState(cell, "stopped", log=log)
        last = _last_line(Path(log))
        return CellState(cell, "failed", last, log) if last.startswith("error") else CellState(cell, "missing")

    def _finished_state(self, cell: Cell, path: Path, log: str) -> CellState:
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._finished:
            try:
                result = read_cell(path, cell.spec, weights=False)
            except DamagedFileError as error:
                return CellState(cell, "failed", str(error), log)
            took = [result.provenance.get(name) or 0.0 for name in ("training_seconds", "evaluation_seconds")]
            state = "done" if result.status == "completed" else result.status
            self._finished[key] = CellState(cell, state, log=log, seconds=float(sum(took)))
        return self._finished[key]


def _locked(path: Path) -> bool:
    """Whether a process holds a lock file."""
    if not path.exists():
        return False
    with open(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _task_log(folder: Path, entry: Entry) -> str:
    """Log of the task in which a cell failed; empty where the cell's own log says more."""
    if entry.reason.startswith("its command"):
        return entry.log
    return next((str(path) for path in sorted(entry.task.path(folder).glob("*_log.out"))), entry.log)


def _last_line(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace")[-4000:].strip().splitlines()
    return lines[-1].strip() if lines else ""


def table(states: Sequence[CellState]) -> str:
    """Counts per connectivity and size.

    Parameters
    ----------
    states : sequence of CellState
        From `Reader.states`.

    Returns
    -------
    str
        One line per connectivity, tasks and trials per task, and a last one for all.
    """
    groups: dict[tuple[str, int, int], list[CellState]] = {}
    for one in states:
        spec = one.cell.spec
        key = (one.cell.connectivity_label, len(one.cell.tasks), spec["trials_per_task"])
        groups.setdefault(key, []).append(one)
    overall = _mean_seconds(states)
    columns = "".join(f"{name:>10}" for name in STATES)
    lines = [f"{'connectivity':<24}{'tasks':>6}{'trials':>8}{columns}{'time left':>14}"]
    for (label, tasks, trials), group in groups.items():
        lines.append(f"{label:<24}{tasks:>6}{trials:>8}{_counts(group)}{_time_left(group, overall):>14}")
    lines.append(f"{'all':<24}{'':>14}{_counts(states)}{_time_left(states, overall):>14}")
    return "\n".join(lines)


def _counts(group: Iterable[CellState]) -> str:
    counts = Counter(one.state for one in group)
    return "".join(f"{counts[name] or '.':>10}" for name in STATES)


def _mean_seconds(group: Iterable[CellState]) -> float:
    took = [one.seconds for one in group if one.seconds]
    return sum(took) / len(took) if took else 0.0


def _time_left(group: Sequence[CellState], overall: float) -> str:
    """Time until the group is done, from what finished cells took and how many run at the same time."""
    left = [one for one in group if one.state in ("running", "waiting", "stopped", "missing")]
    running = sum(one.state == "running" for one in group)
    each = _mean_seconds(group) or overall
    if not left:
        return "-"
    if not each or not running:
        return "?"
    return duration(len(left) * each / running)


def failures(states: Iterable[CellState]) -> str:
    """Failed cells with reason and log.

    Parameters
    ----------
    states : iterable of CellState
        From `Reader.states`.

    Returns
    -------
    str
        Three lines per cell; empty if none failed.
    """
    lines = []
    for one in states:
        if one.state == "failed":
            lines += [f"failed: {one.cell.stem}", f"        {one.reason}", f"        log: {one.log}"]
    return "\n".join(lines)


def unasked_files(results: Path | str, studies: Iterable[Sequence[Cell]]) -> list[Path]:
    """Cell files that no study asks for.

    Parameters
    ----------
    results : Path or str
        Folder of results.
    studies : iterable of sequence of Cell
        Cells of every study that counts.

    Returns
    -------
    list of Path
        Sorted.
    """
    asked = {cell.path(results) for cells in studies for cell in cells}
    return sorted(path for path in (Path(results) / "cells").rglob("*.h5") if path not in asked)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``lmrnn status``.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Gets them, beside the study's configuration.
    """
    parser.add_argument("--watch", action="store_true", help="refresh until interrupted")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks (5)")
    parser.add_argument("--ledger", default=str(DEFAULT_FOLDER), help=f"the dispatch's folder ({DEFAULT_FOLDER})")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell, for programs")


def status_command(arguments: argparse.Namespace) -> None:
    """Say how a study stands, from its files and the dispatch's ledger."""
    from lmrnn.config import load_config
    from lmrnn.sweep import cells_of

    config = load_config(arguments.config)
    cells = cells_of(config)
    reader = Reader(config["results"], arguments.ledger)
    try:
        while True:
            text = _report(reader.states(cells), config, arguments)
            print("\x1b[H\x1b[2J" + text if arguments.watch else text, flush=True)
            if not arguments.watch:
                return
            time.sleep(arguments.interval)
    except KeyboardInterrupt:
        print()


def _report(states: list[CellState], config: Mapping[str, Any], arguments: argparse.Namespace) -> str:
    if arguments.json:
        return "\n".join(
            json.dumps({"cell": one.cell.stem, "state": one.state, "reason": one.reason, "log": one.log})
            for one in states
        )
    parts = [table(states), failures(states), _unasked(config, arguments)]
    return "\n\n".join(part for part in parts if part)


def _studies_beside(config: str) -> tuple[list[Path], list[list[Cell]]]:
    """Every configuration in a configuration's folder, and the cells of each."""
    from lmrnn.config import load_config
    from lmrnn.sweep import cells_of

    beside = sorted({Path(config), *Path(config).parent.glob("*.yaml")})
    return beside, [cells_of(load_config(path)) for path in beside]


def _unasked(config: Mapping[str, Any], arguments: argparse.Namespace) -> str:
    """Files that neither this study nor any other configuration beside it asks for."""
    beside, studies = _studies_beside(arguments.config)
    files = unasked_files(config["results"], studies)
    if not files:
        return ""
    shown = [f"        {path}" for path in files[:10]] + ["        ..."] * (len(files) > 10)
    head = f"{len(files)} files that none of {', '.join(str(path) for path in beside)} asks for (`lmrnn prune`):"
    return "\n".join([head, *shown])


def prune_command(arguments: argparse.Namespace) -> None:
    """Remove cell files that no configuration asks for; lists them, and removes with --yes."""
    from lmrnn.config import load_config

    beside, studies = _studies_beside(arguments.config)
    files = unasked_files(load_config(arguments.config)["results"], studies)
    for path in files:
        print("removed" if arguments.yes else "would remove", path)
        if arguments.yes:
            path.unlink()
    names = ", ".join(str(path) for path in beside)
    print(f"{len(files)} cell files that none of {names} asks for", end="")
    print("" if arguments.yes or not files else "; `lmrnn prune --yes` removes them")
