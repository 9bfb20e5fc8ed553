"""Pictures of the curves: one function per figure, each drawing one table of `lmrnn.curves.tables` as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lmrnn.figures.style import (
    ROW,
    SEEDS_NOTE,
    WIDTH,
    accuracy_axis,
    draw_baseline,
    few_ticks,
    new_figure,
    note,
    row_style,
    side_legend,
)
from lmrnn.figures.text import describe, error_bars, largest_size, percent, seeds_text, short_number

_RATE_NOTE = (
    "each connectivity at its best learning rate (in the legend; * = smallest or largest tried): "
    "highest final validation accuracy"
)
_ALIKE = 0.01  # relative difference up to which numbers of trials per step count as equal
_X_LABELS = {"step": "training steps", "trials": "trials seen", "training_seconds": "training time (s)"}


def _families(table: pd.DataFrame, column: str = "family") -> Iterator[tuple[int, str, pd.DataFrame]]:
    for number, (name, rows) in enumerate(table.groupby(column, sort=False)):
        yield number, str(name), rows


def training_speed(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Accuracy against training steps, trials seen and training seconds; one row of panels per family.

    Where every step sees the same number of trials, a panel of trials would be that of steps once more: its axis then
    lies above that panel instead.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.tables.training_speed`; the largest data size of each family is drawn.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    shown = largest_size(table)
    each = shown.groupby("panel", sort=False).apply(_trials_per_step, include_groups=False)
    labels = {x: label for x, label in _X_LABELS.items() if x != "trials" or each.isna().any()}
    rows = shown["panel"].nunique()
    with new_figure(WIDTH, (ROW + 0.25 * ("trials" not in labels)) * rows + 0.35, stem) as figure:
        panels = figure.subplots(rows, len(labels), squeeze=False, sharey=True)
        for i, name, part in _families(shown, "panel"):
            for axes, (x, label) in zip(panels[i], labels.items(), strict=True):
                _draw_courses(axes, part, x, palette)
                axes.set_xlabel(label)
            accuracy_axis(panels[i, 0], "validation decision accuracy")
            panels[i, 0].set_title(name, loc="left")
            side_legend(panels[i, -1])
            if "trials" not in labels:
                _trials_above(panels[i, 0], float(each[name]))
        note(
            figure,
            f"mean over {seeds_text(shown)}; {SEEDS_NOTE}; diverged: 0\n{_RATE_NOTE}",
        )


def _trials_per_step(part: pd.DataFrame) -> float:
    """Trials seen in each step, if that is the same for all networks throughout, else NaN."""
    ratio = (part["trials"] / part["step"])[part["step"] > 0]
    alike = len(ratio) > 0 and ratio.max() - ratio.min() <= _ALIKE * ratio.mean()
    return float(ratio.mean()) if alike else float("nan")


def _trials_above(axes: Axes, each: float) -> None:
    """A second scale, of trials seen, above a panel of steps."""
    above = axes.secondary_xaxis("top", functions=(lambda step: step * each, lambda trials: trials / each))
    above.xaxis.set_major_locator(few_ticks())
    above.xaxis.set_major_formatter(short_number)
    above.set_xlabel(_X_LABELS["trials"])


def _draw_courses(axes: Axes, part: pd.DataFrame, x: str, palette: str) -> None:
    """One line per connectivity, with its interval as a band."""
    for _, line in part.groupby("connectivity", sort=False):
        style = row_style(line.iloc[0], palette)
        look: dict[str, Any] = {"linestyle": style.dashes, "color": style.colour, "label": describe(line.iloc[0])}
        axes.plot(line[x], line["decision_accuracy"], **look)
        if line["low"].notna().all():
            axes.fill_between(line[x], line["low"], line["high"], color=style.colour, alpha=0.15, linewidth=0)
    draw_baseline(axes, part["always_fixate"].iloc[0])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(few_ticks())
    axes.xaxis.set_major_formatter(short_number)


def data_efficiency(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Test accuracy against training trials per task, one panel per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.tables.data_efficiency`; families of a single data size are left out where others have several.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    several = table.groupby("family")["trials_per_task"].transform("nunique") > 1
    table = table[several] if several.any() else table
    rows = table["family"].nunique()
    with new_figure(WIDTH * 0.75, 2.4 * rows + 0.35, stem) as figure:
        panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
        for i, name, part in _families(table):
            _draw_efficiency(panels[i], part, palette)
            panels[i].set_title(name, loc="left")
        note(
            figure,
            f"mean over {seeds_text(table)}; {SEEDS_NOTE}\na diverged cell counts as 0; "
            "each point at its best learning rate (highest final validation accuracy)",
        )


def _draw_efficiency(axes: Axes, part: pd.DataFrame, palette: str) -> None:
    for _, line in part.groupby("connectivity", sort=False):
        line = line.sort_values("trials_per_task")
        style, first = row_style(line.iloc[0], palette), line.iloc[0]
        lost = f", {line['diverged'].sum()} diverged" if line["diverged"].sum() else ""
        axes.errorbar(
            line["trials_per_task"],
            line["test_decision_accuracy"],
            error_bars(line, "test_decision_accuracy"),
            linestyle=style.dashes,
            marker=style.marker,
            color=style.colour,
            elinewidth=0.8,
            label=f"{first['connectivity']} ({percent(first['density'])}), n={line['seeds'].min()}{lost}",
        )
    draw_baseline(axes, part["always_fixate"].iloc[0])
    accuracy_axis(axes, "test decision accuracy")
    axes.set_xscale("log")
    sizes = np.sort(part["trials_per_task"].unique())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training trials per task")
    side_legend(axes)
