"""One cell of a study from its datasets to its file, by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from lmrnn import plugins
from lmrnn.datasets import SPLITS, Dataset, DatasetSpec, generate_dataset, load_dataset
from lmrnn.errors import DamagedFileError, UnwritableFileError
from lmrnn.files.removal import remove_temporaries, set_aside
from lmrnn.files.storage import lock
from lmrnn.networks.masks import read_mask
from lmrnn.study.cells import CellResult, read_cell, write_cell
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout
from lmrnn.study.old_names import take_over
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.again import go_on, keep_end, look_again
from lmrnn.training.state import Compute
from lmrnn.training.train import train
from lmrnn.training.watching import Places


def get_to_know(request: Mapping[str, Any]) -> None:
    """Read what a cell may need of its study's own: the files of `plugins`, and those of `masks`."""
    for path in request["plugins"]:
        plugins.load(path)
    for path in request["masks"]:
        read_mask(path)


def ensure_datasets(
    cell: Cell, results: Path | str, load: Callable[[Path, DatasetSpec], Dataset] = load_dataset
) -> dict[str, Dataset]:
    """The cell's ``train``, ``validation`` and ``test`` data in memory; files that are missing are made first.

    Raises `DamagedFileError` when a file is there but not good.
    """
    return {split: ensure_dataset(cell, results, split, load) for split in SPLITS}


def ensure_dataset(
    cell: Cell, results: Path | str, split: str, load: Callable[[Path, DatasetSpec], Dataset] = load_dataset
) -> Dataset:
    """One of the cell's datasets in memory, as `ensure_datasets` has them."""
    spec, path = cell.dataset(split), cell.dataset_path(results, split)
    if not path.exists():
        generate_dataset(spec, path)
    return load(path, spec)


@contextmanager
def claimed(cell: Cell, results: Path | str, log: Any, waiting: Callable[[], object]) -> Iterator[str | None]:
    """Hold a cell's files for this process alone; gives its status where it is finished already, else None.

    A cell whose weights a finished one has is finished by that, too; where one has its first steps, its checkpoint is
    what that one ended with (`lmrnn.training.again`).

    Another process that holds them is waited for, after calling `waiting`. When the context ends well the cell's file
    is there, and what was kept on the way is removed.
    """
    path, checkpoint = cell.path(results), cell.checkpoint(results)
    with lock(checkpoint.with_suffix(".lock"), waiting=waiting):
        take_over([cell], results, log, held=True)
        remove_temporaries(path)
        say = partial(print, file=log, flush=True)
        yield _finished(cell, path, results, say) or _looked_again(cell, results, say)
        try:
            checkpoints.remove(checkpoint)
        except UnwritableFileError as error:  # the cell is finished all the same
            say(f"warning: {error}")


def run_cell(cell: Cell, results: Path | str, compute: Mapping[str, Any], log: TextIO, progress: bool = False) -> str:
    """Train one cell by itself, or take its finished file, and return its status; one that was interrupted continues.

    File and checkpoint lie below the folder `results`; `compute` is that section of the configuration; `log` gets a
    line per evaluation; `progress` draws a bar on the terminal. Raises `Interrupted` on SIGTERM, SIGINT or SIGUSR2,
    after the state was saved, and `DamagedFileError` when a dataset is not good.
    """
    # Two processes on one cell (two terminals, a laptop and a cluster): the later one waits, and finds it done.
    line = f"another process is at work on {cell.path(results)}: waiting for it to end"
    with claimed(cell, results, log, partial(print, line, file=log, flush=True)) as finished:
        if finished is None:
            data = ensure_datasets(cell, results)
            settings = settings_of(compute, cell, results, progress)
            checkpoint = cell.checkpoint(results)
            result = train(cell.spec, data["train"], data["validation"], data["test"], checkpoint, log, settings)
            keep(cell, results, result)
            finished = result.status
    return finished


def settings_of(compute: Mapping[str, Any], cell: Cell, results: Path | str, progress: bool = False) -> Compute:
    """How a cell is computed, by the section ``compute`` and, under ``log`` in it, that of the same name."""
    asked, layout = compute.get("log", {}), Layout(results)
    csv = layout.cell_csv(cell.stem) if asked.get("csv") else None
    events = layout.cell_events(cell.stem) if asked.get("tensorboard") else None
    return replace(Compute.of(compute, progress), watch=Places(csv, events))


def keep(cell: Cell, results: Path | str, result: CellResult) -> None:
    """Write a cell's file, and the state at its end where there is one."""
    keep_end(cell, results, result)
    write_cell(cell.path(results), result)


def _looked_again(cell: Cell, results: Path | str, say: Callable[[str], object]) -> str | None:
    """Status of a cell that is done by what a finished one has, or None."""
    found = look_again(cell, results, partial(ensure_dataset, cell, results), say)
    if found is not None:
        keep(cell, results, found)
        return found.status
    checkpoint = cell.checkpoint(results)
    if not (checkpoint.exists() or checkpoints.previous(checkpoint).exists()):
        go_on(cell, results, say)
    return None


def _finished(cell: Cell, path: Path, results: Path | str, say: Callable[[str], object]) -> str | None:
    """Status of a cell that is already done, or None; a damaged file, or one of another cell, is set aside."""
    if not path.exists():
        return None
    try:
        status = read_cell(path, cell.spec, weights=False).status
    except DamagedFileError as error:
        aside = set_aside(path, results)
        say(f"warning: {path}: {error.what}; the cell is trained again, this file is now {aside}")
        return None
    say(f"{path} is finished ({status}) and valid: nothing to train")
    os.utime(path)
    return status
