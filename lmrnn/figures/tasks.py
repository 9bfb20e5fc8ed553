"""Pictures of the accuracy on every task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from lmrnn.figures.style import WIDTH, new_figure, note
from lmrnn.figures.text import largest_size, seeds_text

_ROWS_PER_BLOCK = 44
_FEW_COLUMNS = 14


def task_accuracy(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Heat map of test accuracy, tasks by connectivity, one block of rows per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.tables.task_accuracy`; the largest data size of each family is drawn.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        Not used: accuracies have cividis, which colour-blind readers see as others do.
    """
    shown = largest_size(table)
    maps = {str(name): accuracy_map(part) for name, part in shown.groupby("panel", sort=False)}
    heights = [0.118 * min(len(grid), _ROWS_PER_BLOCK) + 1.25 for grid in maps.values()]
    with new_figure(WIDTH, sum(heights) + 0.3, stem) as figure:
        parts = figure.subfigures(len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, (name, grid) in zip(parts, maps.items(), strict=True):
            _draw_heat_map(part, name, grid)
        note(
            figure,
            f"percent, mean over {seeds_text(shown)}; "
            "each connectivity at its best learning rate (highest final validation accuracy)",
        )


def accuracy_map(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracies as a grid.

    Parameters
    ----------
    table : pandas.DataFrame
        One panel's rows of `lmrnn.curves.tables.task_accuracy`.

    Returns
    -------
    pandas.DataFrame
        Rows: tasks in the order of the battery; columns: always fixate (where known), then connectivities.
    """
    grid = table.pivot_table(
        index=["position", "task"], columns="connectivity", values="test_decision_accuracy", sort=False
    )
    grid = grid.sort_index(level="position").droplevel("position")
    fixate = table.drop_duplicates("position").sort_values("position")["always_fixate"].to_numpy(dtype=float)
    if np.isfinite(fixate).all():
        grid.insert(0, "always fixate", fixate)
    return grid


def _draw_heat_map(part: FigureBase, name: str, grid: pd.DataFrame) -> None:
    """One heat map, cut into blocks of rows that stand side by side."""
    blocks = -(-len(grid) // _ROWS_PER_BLOCK)
    rows = -(-len(grid) // blocks)
    panels = part.subplots(1, blocks, squeeze=False)[0]
    for i, axes in enumerate(panels):
        block = grid.iloc[i * rows : (i + 1) * rows]
        image = axes.imshow(block, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_yticks(range(len(block)), block.index)
        axes.set_xticks(range(block.shape[1]), block.columns, rotation=90)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if blocks == 1 and block.shape[1] <= _FEW_COLUMNS:
            _write_values(axes, block)
    panels[0].set_title(name, loc="left")
    part.colorbar(image, ax=list(panels), label="test decision accuracy", shrink=0.8, aspect=30)


def _write_values(axes: Axes, block: pd.DataFrame) -> None:
    """Write each accuracy into its cell, in percent."""
    for (i, j), value in np.ndenumerate(block.to_numpy()):
        axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color="k" if value > 0.5 else "w")
