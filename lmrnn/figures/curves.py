"""Pictures of the curves: training speed and data efficiency, as their tables stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lmrnn.curves.comparison import largest_size
from lmrnn.figures.style import (
    ROW,
    SEEDS_NOTE,
    WIDTH,
    Style,
    accuracy_axis,
    draw_references,
    few_ticks,
    new_figure,
    note,
    side_legend,
    styles_of,
    title,
)
from lmrnn.figures.text import describe, error_bars, in_lines, one_rate, percent, seeds_text

_RATE_NOTE = (
    "each connectivity at its best learning rate (in the legend; * = smallest or largest tried): "
    "highest final validation accuracy"
)
_ONE_RATE = "one learning rate tried"
_FEW_PANELS = 6  # up to which a figure also has room for networks that have no other beside them
_ALIKE = 0.01  # relative difference up to which numbers of trials per step count as equal
_X_LABELS = {"step": "training steps", "trials": "trials seen", "training_seconds": "training time (s)"}
_EARLY = 0.25  # share of the training in which all networks rise steeply, and which an axis need not show


def training_speed(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Accuracy against training steps, trials seen and training seconds, the largest data size; a row for each panel.

    Where every step sees the same number of trials, a panel of trials would be that of steps once more: its axis then
    lies above that panel instead. Of many panels, those of a single network are left out where others compare several.
    """
    shown = largest_size(table)
    several = shown.groupby("panel_id")["connectivity_id"].transform("nunique") > 1
    cut = several.any() and shown["panel_id"].nunique() > _FEW_PANELS
    alone = shown.loc[~several, "panel"].unique() if cut else []
    shown = shown[several] if cut else shown
    panels = list(shown.groupby("panel_id", sort=False))
    each = {panel: _trials_per_step(part) for panel, part in panels}
    labels = {x: label for x, label in _X_LABELS.items() if x != "trials" or np.isnan(list(each.values())).any()}
    styles = styles_of(shown, palette)
    row = (ROW if len(panels) < 4 else 0.85 * ROW) + 0.25 * ("trials" not in labels)
    with new_figure(WIDTH, row * len(panels) + 0.35, stem) as figure:
        grid = figure.subplots(len(panels), len(labels), squeeze=False, sharey="row")
        for line, (panel, part) in zip(grid, panels, strict=True):
            late = part[part["step"] >= _EARLY * part["step"].max()]
            accuracy_axis(line[0], "validation decision accuracy", *_focus(late, "decision_accuracy"))
            for axes, (x, label) in zip(line, labels.items(), strict=True):
                _draw_courses(axes, part, x, styles)
                axes.set_xlabel(label)
            title(line[0], str(part["panel"].iloc[0]))
            side_legend(line[-1])
            if "trials" not in labels:
                _trials_above(line[0], each[panel])
        left_out = f"\nof a single network, in the table only: {'; '.join(alone)}" if len(alone) else ""
        rate = _ONE_RATE if one_rate(shown) else _RATE_NOTE
        note(figure, f"mean over {seeds_text(shown)}; {SEEDS_NOTE}; diverged: 0\n{rate}{left_out}")


def _focus(part: pd.DataFrame, accuracy: str) -> tuple[float, float]:
    """Limits of an axis, in tenths, that shows where the networks' accuracies and their intervals part."""
    ends = part[["low", "high", accuracy]].to_numpy()
    low, high = np.floor(10 * np.nanmin(ends)) / 10, np.ceil(10 * np.nanmax(ends)) / 10
    low = 0.0 if low < 0.3 else low  # little would be gained
    return (low, high) if high - low >= 0.1 else (max(high - 0.1, 0.0), max(high, 0.1))


def _trials_per_step(part: pd.DataFrame) -> float:
    """Trials seen in each step, if that is the same for all networks throughout, else NaN."""
    ratio = (part["trials"] / part["step"])[part["step"] > 0]
    alike = len(ratio) > 0 and ratio.max() - ratio.min() <= _ALIKE * ratio.mean()
    return float(ratio.mean()) if alike else float("nan")


def _trials_above(axes: Axes, each: float) -> None:
    """A second scale, of trials seen, above a panel of steps."""
    both_ways = (lambda step: np.asarray(step) * each, lambda trials: np.asarray(trials) / each)
    above = axes.secondary_xaxis("top", functions=both_ways)
    few_ticks(above.xaxis)
    above.set_xlabel(_X_LABELS["trials"])


def _draw_courses(axes: Axes, part: pd.DataFrame, x: str, styles: dict[str, Style]) -> None:
    """One line per connectivity, with its interval as a band."""
    for network, line in part.groupby("connectivity_id", sort=False):
        style = styles[str(network)]
        axes.plot(
            line[x], line["decision_accuracy"], linestyle=style.dashes, color=style.colour, label=describe(line.iloc[0])
        )
        if line["low"].notna().all():
            axes.fill_between(line[x], line["low"], line["high"], color=style.colour, alpha=0.15, linewidth=0)
    draw_references(axes, part)
    # networks whose every training ended at its first step have no extent
    axes.set_xlim(0, part[x].max() if part[x].max() > 0 else 1)
    few_ticks(axes.xaxis)


def data_efficiency(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Test accuracy against training trials per task, one panel per family.

    Families of a single data size are left out where others have several.
    """
    several = table.groupby("family_id")["trials_per_task"].transform("nunique") > 1
    table = table[several] if several.any() else table
    families = list(table.groupby("family_id", sort=False))
    styles = styles_of(table, palette)
    rate = _ONE_RATE if one_rate(table) else "each point at its best learning rate (highest final validation accuracy)"
    with new_figure(WIDTH * 0.75, 2.4 * len(families) + 0.35, stem) as figure:
        for axes, (_, part) in zip(figure.subplots(len(families), 1, squeeze=False)[:, 0], families, strict=True):
            _draw_efficiency(axes, part, styles)
            title(axes, str(part["family"].iloc[0]), 60)
        note(figure, f"mean over {seeds_text(table)}; {SEEDS_NOTE}\na diverged cell counts as 0; {rate}")


def _draw_efficiency(axes: Axes, part: pd.DataFrame, styles: dict[str, Style]) -> None:
    accuracy_axis(axes, "test decision accuracy", *_focus(part, "test_decision_accuracy"))
    for network, line in part.groupby("connectivity_id", sort=False):
        line = line.sort_values("trials_per_task")
        style, first = styles[str(network)], line.iloc[0]
        lost = f", {line['diverged'].sum()} diverged" if line["diverged"].sum() else ""
        axes.errorbar(
            line["trials_per_task"],
            line["test_decision_accuracy"],
            error_bars(line, "test_decision_accuracy"),
            linestyle=style.dashes,
            marker=style.marker,
            color=style.colour,
            elinewidth=0.8,
            label=in_lines(f"{first['connectivity']} ({percent(first['density'])}), n={line['seeds'].min()}{lost}"),
        )
    draw_references(axes, part)
    axes.set_xscale("log")
    sizes = np.sort(part["trials_per_task"].unique())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training trials per task")
    side_legend(axes)
