"""Files of version 0.1, whose names carried 8 digits of a cell's hash: they get the name of today and train nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import TextIO

import h5py

from lmrnn.errors import LmrnnError
from lmrnn.files.removal import rename
from lmrnn.files.storage import lock
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout


class _BusyError(Exception):
    """Another process is at work on the cell."""


def take_over(cells: Iterable[Cell], results: Path | str, log: TextIO, held: bool = False) -> int:
    """Rename files that version 0.1 has left of these cells, with their times, and return the number of cells.

    A file is renamed when its whole spec is the cell's and nothing stands at the new name; one of which this cannot be
    said stays as it is, with a line in the log where it cannot be read. Two processes never rename the same: each holds
    the locks that trainings of both versions hold. A cell at which another process works is left alone, unless the
    caller holds its lock already (`held`), and then only waits for a training of version 0.1.
    """
    renamed, layout = 0, Layout(results)

    def busy() -> None:
        if not held:
            raise _BusyError
        print("an earlier version of lmrnn is at work on this cell: waiting for it to end", file=log, flush=True)

    for cell in _with_old_files(cells, layout, log):
        try:
            with ExitStack() as stack:
                if not held:
                    stack.enter_context(lock(layout.lock(cell.stem), busy))
                stack.enter_context(lock(layout.lock(cell.old_stem), busy))
                renamed += sum(_rename(cell, *pair, log) for pair in _pairs(cell, layout)) > 0
        except _BusyError:
            print(f"another process is at work on {cell.old_stem}: it keeps its old name", file=log)
        except (LmrnnError, OSError) as error:
            print(f"warning: {cell.old_stem} cannot be taken over: {error}", file=log)
    if renamed:
        print(f"{renamed} cells of an earlier version of lmrnn are taken over under their names of today", file=log)
    return renamed


def _pairs(cell: Cell, layout: Layout) -> list[tuple[Path, Path]]:
    """Old and new names of the cell's result and of both generations of its checkpoint, the older one first."""
    newest = layout.checkpoint(cell.old_stem), layout.checkpoint(cell.stem)
    before, after = (path.with_name(f"{path.name}.previous") for path in newest)
    return [(layout.cell(cell.old_stem), layout.cell(cell.stem)), (before, after), newest]


def _with_old_files(cells: Iterable[Cell], layout: Layout, log: TextIO) -> list[Cell]:
    """The cells that have a file of the old name; each folder is listed once."""
    names = cache(partial(_names, log=log))

    def has_one(cell: Cell) -> bool:
        files = [*(old for old, _ in _pairs(cell, layout)), layout.lock(cell.old_stem)]
        return any(old.name in names(old.parent) for old in files)

    return list(filter(has_one, cells))


def _names(folder: Path, log: TextIO) -> set[str]:
    """Names of what lies in a folder, which need not be there."""
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        print(f"warning: {folder} cannot be searched for files of an earlier version: {error}", file=log)
        return set()


def _rename(cell: Cell, old: Path, new: Path, log: TextIO) -> bool:
    """Rename one file of this cell; whether it was."""
    if not old.is_file() or old.is_symlink() or new.exists() or new.is_symlink():
        return False
    try:
        with h5py.File(old, "r") as file:
            spec = file.attrs.get("spec")
    except (OSError, RuntimeError) as error:
        print(f"warning: {old} cannot be read and keeps its name: {error}", file=log)
        return False
    if spec != cell.identity:
        return False
    rename(old, new)
    return True
