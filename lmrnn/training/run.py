"""One cell of a study from its datasets to its file, by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from lmrnn import plugins
from lmrnn.datasets import SPLITS, Dataset, DatasetSpec, generate_dataset, load_dataset
from lmrnn.errors import DamagedFileError, UnwritableFileError
from lmrnn.files.removal import remove_temporaries, set_aside
from lmrnn.files.storage import lock
from lmrnn.networks.masks import read_mask
from lmrnn.study.cells import read_cell, write_cell
from lmrnn.study.grid import Cell
from lmrnn.study.old_names import take_over
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.state import Compute
from lmrnn.training.train import train


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
    loaded = {}
    for split in SPLITS:
        spec = cell.dataset(split)
        path = cell.dataset_path(results, split)
        if not path.exists():
            generate_dataset(spec, path)
        loaded[split] = load(path, spec)
    return loaded


@contextmanager
def claimed(cell: Cell, results: Path | str, log: Any, waiting: Callable[[], object]) -> Iterator[str | None]:
    """Hold a cell's files for this process alone; gives its status where it is finished already, else None.

    Another process that holds them is waited for, after calling `waiting`. When the context ends well the cell's file
    is there, and what was kept on the way is removed.
    """
    path, checkpoint = cell.path(results), cell.checkpoint(results)
    with lock(checkpoint.with_suffix(".lock"), waiting=waiting):
        take_over([cell], results, log, held=True)
        remove_temporaries(path)
        yield _finished(cell, path, results, log)
        try:
            checkpoints.remove(checkpoint)
        except UnwritableFileError as error:  # the cell is finished all the same
            print(f"warning: {error}", file=log, flush=True)


def run_cell(cell: Cell, results: Path | str, compute: Mapping[str, Any], log: TextIO, progress: bool = False) -> str:
    """Train one cell by itself, or take its finished file, and return its status; one that was interrupted continues.

    File and checkpoint lie below the folder `results`; `compute` is that section of the configuration; `log` gets a
    line per evaluation; `progress` draws a bar on the terminal. Raises `Interrupted` on SIGTERM, SIGINT or SIGUSR2,
    after the state was saved, and `DamagedFileError` when a dataset is not good.
    """
    path = cell.path(results)

    def say_waiting() -> None:
        print(f"another process is at work on {path}: waiting for it to end", file=log, flush=True)

    # Two processes on one cell (two terminals, a laptop and a cluster): the later one waits, and finds it done.
    with claimed(cell, results, log, say_waiting) as finished:
        if finished is None:
            data = ensure_datasets(cell, results)
            settings = Compute.of(compute, progress)
            checkpoint = cell.checkpoint(results)
            result = train(cell.spec, data["train"], data["validation"], data["test"], checkpoint, log, settings)
            write_cell(path, result)
            finished = result.status
    return finished


def _finished(cell: Cell, path: Path, results: Path | str, log: TextIO) -> str | None:
    """Status of a cell that is already done, or None; a damaged file, or one of another cell, is set aside."""
    if not path.exists():
        return None
    try:
        status = read_cell(path, cell.spec, weights=False).status
    except DamagedFileError as error:
        aside = set_aside(path, results)
        print(
            f"warning: {path}: {error.what}; the cell is trained again, this file is now {aside}", file=log, flush=True
        )
        return None
    print(f"{path} is finished ({status}) and valid: nothing to train", file=log, flush=True)
    os.utime(path)
    return status
