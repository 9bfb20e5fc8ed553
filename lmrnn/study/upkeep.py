"""What is put in order before a study runs: times that lie ahead, and tables that are not as they were written."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lmrnn.errors import ConfigError, DamagedFileError, UnwritableFileError, reason
from lmrnn.files.removal import remove, set_aside
from lmrnn.files.tables import check_table
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout, Study
from lmrnn.study.record import changes, note_study

# Clocks of a cluster's machines differ by less; what lies further ahead was written before a clock was set right.
AHEAD_SECONDS = 60
_HELD: list[IO[str]] = []  # for the life of the process


def take_up(
    study: Study, config: Mapping[str, Any], cells: Sequence[Cell], tables: Iterable[str], files: Iterable[str]
) -> dict[str, Path]:
    """Put a study's files in order before it runs, say on the standard error what was found, and note what it asks for.

    `tables` are its tables, `files` all of its files in the order in which they are made. Returns where study.json
    and its parts are. Raises `ConfigError` when another process runs the study with other settings.
    """
    handle = take_study(study.lock, changes=bool(changes(study, config, cells)))
    _HELD.extend([handle] if handle else [])
    for line in set_damaged_aside(tables, Layout(config["results"])):
        print(f"warning: {line}", file=sys.stderr)
    found, ahead = set_clocks_right(files)
    if found:
        words = f"{found} files of results had times up to {ahead:,.0f} s ahead of this machine's clock"
        print(f"warning: {words}; they have the present time now", file=sys.stderr)
    if lacks_cells(study, config, cells):
        remove(study.trained)  # what rests on it then needs them all
    return note_study(study, config, cells)


def lacks_cells(study: Study, config: Mapping[str, Any], cells: Sequence[Cell]) -> bool:
    """Whether the file that stands for all cells is there while one of them is missing."""
    layout = Layout(config["results"])
    return study.trained.exists() and not all(layout.cell(cell.stem).exists() for cell in cells)


def take_study(path: Path | str, changes: bool) -> IO[str] | None:
    """Join those who run a study, or, to change what it asks for, be the only one; the lock goes with the process.

    Returns the open file, to be kept for as long as the study runs; None where the file system has no locks. Raises
    `ConfigError` when `changes` and another process runs the study.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a", encoding="utf-8")  # noqa: SIM115 (held for the life of the process)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if changes else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        if changes and isinstance(error, BlockingIOError):
            raise ConfigError(
                f"{path.parent.parent}: another run of this study is at work with other settings. Wait for it to end, "
                "or give this one a name of its own (`study:` in its configuration, or --config study=NAME)"
            ) from error
        return None
    return handle


def set_clocks_right(paths: Iterable[Path | str]) -> tuple[int, float]:
    """Give files whose times lie ahead the present time, in their order; how many there were, and the seconds ahead.

    Snakemake refuses a job whose input is newer than its output, and removes the output, at every run until the clock
    has caught up. Raises `UnwritableFileError` where a time cannot be set.
    """
    found, furthest, now = 0, 0.0, time.time()
    for path in paths:
        try:
            ahead = os.stat(path).st_mtime - now
        except (FileNotFoundError, NotADirectoryError):
            continue
        if ahead <= AHEAD_SECONDS:
            continue
        try:
            os.utime(path)
        except OSError as error:
            what = f"its time lies {ahead:,.0f} s ahead of this machine's clock, and cannot be set ({reason(error)})"
            raise UnwritableFileError(path, what, "Set the clock right, or let the file's owner `touch` it") from error
        found, furthest = found + 1, max(furthest, ahead)
    return found, furthest


def set_damaged_aside(tables: Iterable[Path | str], layout: Layout) -> list[str]:
    """Move tables that are not as they were written to the trash, so that they are made anew; a line for each."""
    lines = []
    for table in map(Path, tables):
        try:
            if table.exists():
                check_table(table)
        except DamagedFileError as error:
            place = set_aside(table, layout.results)
            lines.append(f"{table}: {error.what}. It is made anew; what was there is now {place}")
    return lines
