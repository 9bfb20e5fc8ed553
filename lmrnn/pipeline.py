"""The steps of the sweep as functions: what the workflow's scripts and the command line both call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from lmrnn.cells import cell_row, cells_table, read_cell, write_cell
from lmrnn.connectivity_size import network_size
from lmrnn.datasets import Dataset, generate_dataset, load_dataset
from lmrnn.errors import DamagedFileError
from lmrnn.storage import lock, temporaries, write_text
from lmrnn.sweep import SPLITS, Cell


def ensure_datasets(cell: Cell, results: Path | str) -> dict[str, Dataset]:
    """The cell's datasets in memory; those that are missing are made first.

    Parameters
    ----------
    cell : Cell
        The cell.
    results : Path or str
        Folder of results.

    Returns
    -------
    dict of str to Dataset
        ``train``, ``validation`` and ``test``.

    Raises
    ------
    DamagedFileError
        When a file is there but not good.
    """
    loaded = {}
    for split in SPLITS:
        spec = cell.dataset(split)
        path = cell.dataset_path(results, split)
        if not path.exists():
            generate_dataset(spec, path)
        loaded[split] = load_dataset(path, spec)
    return loaded


def run_cell(cell: Cell, results: Path | str, compute: Mapping[str, Any], log: TextIO, progress: bool = False) -> str:
    """Train one cell, or take its finished file; a cell that was interrupted continues.

    Parameters
    ----------
    cell : Cell
        The cell.
    results : Path or str
        Folder of results; the cell's file and checkpoint lie below it.
    compute : mapping
        The section ``compute`` of the configuration.
    log : TextIO
        Gets a line per evaluation.
    progress : bool
        Draw a progress bar on the terminal.

    Returns
    -------
    str
        ``completed`` or ``diverged``.

    Raises
    ------
    Interrupted
        On SIGTERM, SIGINT or SIGUSR2, after the state was saved.
    DamagedFileError
        When a dataset is not good.
    """
    from lmrnn.checkpoint import remove
    from lmrnn.training import Compute, train

    path, checkpoint = cell.path(results), cell.checkpoint(results)
    # Two processes on one cell (two terminals, a laptop and a cluster): the later one waits, and finds it done.
    with lock(checkpoint.with_suffix(".lock")):
        for leftover in temporaries(path):
            leftover.unlink()
        finished = _finished(cell, path, log)
        if finished is None:
            data = ensure_datasets(cell, results)
            names = ("threads", "device", "path", "checkpoint_seconds")
            settings = Compute(**{name: compute[name] for name in names}, progress=progress)
            result = train(cell.spec, data["train"], data["validation"], data["test"], checkpoint, log, settings)
            write_cell(path, result)
            finished = result.status
        remove(checkpoint)
    return finished


def _finished(cell: Cell, path: Path, log: TextIO) -> str | None:
    """Status of a cell that is already done, or None."""
    if not path.exists():
        return None
    try:
        status = read_cell(path, cell.spec, weights=False).status
    except DamagedFileError as error:
        print(f"warning: {error.what}; the cell is trained again and this file replaced: {path}", file=log, flush=True)
        return None
    print(f"{path} is finished ({status}) and valid: nothing to train", file=log, flush=True)
    os.utime(path)
    return status


def collect_cells(cells: Iterable[Cell], results: Path | str, table: Path | str) -> None:
    """Write cells.csv, one tidy row per cell.

    Parameters
    ----------
    cells : iterable of Cell
        All cells of a study.
    results : Path or str
        Folder of results.
    table : Path or str
        The CSV file to write.

    Raises
    ------
    DamagedFileError
        Naming the first cell file that is not good.
    """
    rows = []
    for cell in cells:
        path = cell.path(results)
        result = read_cell(path, cell.spec, weights=False)
        size = network_size(cell.spec["connectivity"], cell.spec["network"]["neurons"])
        rows.append(cell_row(result, cell.connectivity_label, *size, str(path), cell.hash))
    write_text(table, cells_table(rows).to_csv(index=False))


def compute_curves(cells: Iterable[Cell], study: Mapping[str, Any], table: Path | str, outputs: Iterable[str]) -> None:
    """Write the study's curves, one CSV file each.

    Parameters
    ----------
    cells : iterable of Cell
        All cells of the study.
    study : mapping
        Its complete configuration.
    table : Path or str
        Its cells.csv.
    outputs : iterable of str
        Files to write; the name of each is the name of its curve.

    Raises
    ------
    DamagedFileError
        Naming the first cell file that is not good.
    """
    from lmrnn.curves import compute

    results = [read_cell(cell.path(study["results"]), cell.spec, weights=False) for cell in cells]
    curves = compute(pd.read_csv(table), results, study["curves"]["thresholds"], study["curves"]["bootstrap"])
    for output in outputs:
        write_text(output, curves[Path(output).stem].to_csv(index=False))


def draw_figure(name: str, table: Path | str, png: Path | str, palette: str) -> None:
    """Draw one figure as PNG and SVG.

    Parameters
    ----------
    name : str
        A figure of `lmrnn.figures`.
    table : Path or str
        CSV file of the curve that it shows.
    png : Path or str
        Picture to write; the SVG gets the same name.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    from lmrnn import figures

    getattr(figures, name)(pd.read_csv(table), Path(png).with_suffix(""), palette)
