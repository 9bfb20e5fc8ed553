"""The steps of the sweep as functions: what the workflow's scripts and the command line both call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import pandas as pd

from lmrnn.datasets.overlap import seen_in_training
from lmrnn.errors import UnreadableFileError
from lmrnn.files.storage import write_text
from lmrnn.files.tables import read_table, write_table, write_tables
from lmrnn.networks import network_size
from lmrnn.study.cells import CellResult, cell_row, cells_table, read_cell
from lmrnn.study.grid import Cell

if TYPE_CHECKING:
    from lmrnn.analysis.own import OwnAnalysis


def note_cells(files: Iterable[Path | str], output: Path | str) -> None:
    """Write size and time of every cell's file, so that one file stands for all of them.

    Raises `UnreadableFileError` naming the first one that is missing.
    """
    lines = []
    for path in files:
        try:
            stat = os.stat(path)
        except OSError as error:
            raise UnreadableFileError.of(path, "this cell file cannot be found", error) from error
        lines.append(f"{path}\t{stat.st_size}\t{stat.st_mtime_ns}\n")
    write_text(output, "".join(lines))


def collect_cells(cells: Iterable[Cell], results: Path | str, table: Path | str) -> None:
    """Write cells.csv, one tidy row per cell; `DamagedFileError` names the first cell file that is not good."""
    write_table(table, _table_of(cells, results))


def _table_of(cells: Iterable[Cell], results: Path | str) -> pd.DataFrame:
    """One row per cell, read from its file."""
    rows = []
    for cell in cells:
        path = cell.path(results)
        result = read_cell(path, cell.spec, weights=False)
        size = network_size(cell.spec["connectivity"], cell.spec["network"]["neurons"], cell.spec["seed"])
        trained_on = float(np.mean(seen_in_training(cell.dataset("train"), cell.dataset("test"))))
        rows.append(cell_row(result, cell.connectivity_label, *size, str(path), cell.hash, trained_on))
    return cells_table(rows)


def compute_curves(cells: Iterable[Cell], study: Mapping[str, Any], table: Path | str, outputs: Iterable[str]) -> None:
    """Write a study's curves from its cells and its cells.csv; the name of each output is the name of its curve.

    `study` is the complete configuration. Raises `DamagedFileError` naming the first file that is not good.
    """
    from lmrnn.curves.tables import compute

    settings = study["curves"]["thresholds"], study["curves"]["bootstrap"], study["curves"]["budgets"]
    write_tables(compute(read_table(table), _results(cells, study), *settings), outputs)


def _results(cells: Iterable[Cell], study: Mapping[str, Any]) -> list[CellResult]:
    """Results of all cells of a study, without weights."""
    return [read_cell(cell.path(study["results"]), cell.spec, weights=False) for cell in cells]


def map_locality(times: Path | str, outputs: Iterable[str]) -> None:
    """Write where locality helps, by learning rate and threshold and at equal synapses, from threshold_times.csv."""
    from lmrnn.curves.maps import MAPS

    table = read_table(times)
    write_tables({name: make(table) for name, make in MAPS.items()}, outputs)


def analyse_networks(
    cells: Iterable[Cell], study: Mapping[str, Any], table: Path | str, outputs: Iterable[str]
) -> None:
    """Look into the best network of each kind and write what is found; outputs are named after their tables.

    `study` is the complete configuration, `table` its cells.csv. Raises `DamagedFileError` naming the first file that
    is not good.
    """
    from lmrnn.analysis.tables import analyse_study

    write_tables(analyse_study(read_table(table), _results(cells, study), read_cell), outputs)


def analyse_own(own: OwnAnalysis, table: Path | str, output: Path | str) -> None:
    """Write what an own analysis finds in each cell of a study; `table` is its cells.csv.

    Raises `lmrnn.plugins.PluginError` with the file, the line and the cell, and `DamagedFileError` naming the first
    file that is not good.
    """
    from lmrnn.analysis.tables import own_table
    from lmrnn.science.trained import load

    write_table(output, own_table(own, read_table(table), load))


def analyse_cells(
    cells: list[Cell],
    results: Path | str,
    folder: Path | str,
    log: TextIO | None = None,
    own: Iterable[OwnAnalysis] = (),
) -> list[Path]:
    """Look into chosen finished networks, apart from any study, and return the figures and the tables of `own`
    analyses, which go to a folder with the other tables.

    Of several cells of one kind the best is looked into, by own analyses all; `log`, by default the standard output, is
    told which and what was found. Raises `DamagedFileError` naming the first cell file that is missing or not good.
    """
    from lmrnn.analysis.tables import analyse_study, choose_networks, own_table, summary
    from lmrnn.figures.registry import figures_of
    from lmrnn.science.trained import load

    read = [read_cell(cell.path(results), cell.spec, weights=False) for cell in cells]
    table = _table_of(cells, results)
    found = analyse_study(table, read, read_cell, controls=True)
    looked = set(choose_networks(table, read, controls=True)["cell"])
    for left in (cell for i, cell in enumerate(cells) if i not in looked):
        print(f"left out: {left.stem} (diverged, or not the best of its kind on the largest battery)", file=log)
    for line in summary(found):
        print(line, file=log)
    folder, drawn = Path(folder), []
    write_tables(found, [str(folder / f"{name}.csv") for name in found])
    for name, figure in figures_of(cells, claims=True).items():
        tables = [Path(table) for table in figure.tables]
        if all(table.parent.name == "analysis" for table in tables):
            drawn.append(folder / f"{name}.png")
            draw_figure(name, [folder / f"{table.name}.csv" for table in tables], drawn[-1], "okabe_ito")
    for one in own:
        drawn.append(folder / f"{one.name}.csv")
        write_table(drawn[-1], own_table(one, table, load))
    return drawn


def measure_claims(
    cells: Iterable[Cell],
    study: Mapping[str, Any],
    table: Path | str,
    rotation: Path | str,
    claims: Path | str,
    page: Path | str,
) -> None:
    """Measure the paper's claims on a study's cells and write them as a table and as a page.

    `study` is the complete configuration, `table` its cells.csv, `rotation` the table of `analyse_networks`. Raises
    `DamagedFileError` naming the first file that is not good.
    """
    from lmrnn.claims import compute
    from lmrnn.claims.page import write_page

    thresholds = study["curves"]["thresholds"]
    turned = read_table(rotation)
    found = compute(read_table(table), _results(cells, study), thresholds, rotation=turned if len(turned) else None)
    write_table(claims, found)
    write_page(found, page, study["study"])


def draw_figure(name: str, tables: Iterable[Path | str], png: Path | str, palette: str) -> None:
    """Draw a figure of `lmrnn.figures.registry` from its CSV files, as PNG and, under the same name, as SVG."""
    from lmrnn.figures.registry import draw

    draw(name, [read_table(table) for table in tables], Path(png).with_suffix(""), palette)
