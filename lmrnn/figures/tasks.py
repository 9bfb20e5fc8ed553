"""Pictures of the accuracy on every task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase

from lmrnn.curves.comparison import largest_size
from lmrnn.figures.style import WIDTH, new_figure, note, title
from lmrnn.figures.text import in_lines, seeds_text

_ROWS_PER_BLOCK = 44
_FEW_COLUMNS = 14
_LEAST_ROWS = 6  # the bar of colours beside them needs so much
_LABEL = 24  # characters of a name in one line


def task_accuracy(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Heat map of test accuracy, tasks by connectivity, a block of rows per panel of the largest data size.

    The palette is not used: accuracies have cividis, which colour-blind readers see as others do.
    """
    shown = largest_size(table)
    maps = [(str(part["panel"].iloc[0]), accuracy_map(part)) for _, part in shown.groupby("panel_id", sort=False)]
    heights = [_height(grid) for _, grid in maps]
    with new_figure(WIDTH, sum(heights) + 0.3, stem) as figure:
        parts = figure.subfigures(len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, (name, grid) in zip(parts, maps, strict=True):
            _draw_heat_map(part, name, grid)
        note(
            figure,
            f"percent, mean over {seeds_text(shown)}; "
            "each connectivity at its best learning rate (highest final validation accuracy)",
        )


def _height(grid: pd.DataFrame) -> float:
    """Height of a heat map, in inches: its rows, its title, and the names below it, which stand upright."""
    longest = max(len(line) for name in grid.columns for line in in_lines(name, _LABEL).split("\n"))
    return 0.118 * max(min(len(grid), _ROWS_PER_BLOCK), _LEAST_ROWS) + 0.5 + 0.065 * longest


def accuracy_map(table: pd.DataFrame) -> pd.DataFrame:
    """One panel's accuracies as a grid: tasks in the order of the battery by connectivity.

    Before them stands what always fixating reaches, after them the ideal observer (column ideal), where known.
    """
    accuracy = "test_decision_accuracy"
    grid = table.pivot(index=["position", "task"], columns="connectivity_id", values=accuracy)
    labels = table.drop_duplicates("connectivity_id").set_index("connectivity_id")["connectivity"]
    grid = grid[list(labels.index)].sort_index(level="position").droplevel("position").set_axis(list(labels), axis=1)
    tasks = table.drop_duplicates("position").sort_values("position")
    for place, column, name in ((0, "always_fixate", "always fixate"), (grid.shape[1] + 1, "ideal", "ideal observer")):
        known = tasks[column].to_numpy(dtype=float) if column in tasks else np.array([np.nan])
        if np.isfinite(known).all():
            grid.insert(min(place, grid.shape[1]), name, known)
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
        axes.set_xticks(range(block.shape[1]), [in_lines(name, _LABEL) for name in block.columns], rotation=90)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if blocks == 1 and block.shape[1] <= _FEW_COLUMNS:
            for (y, x), value in np.ndenumerate(block.to_numpy()):
                shade = "k" if value > 0.5 else "w"
                axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=shade)
    title(panels[0], name)
    part.colorbar(image, ax=list(panels), label="test decision accuracy", shrink=0.8, aspect=30)
