"""Pictures of when locality helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm

from lmrnn.curves.identity import number_texts
from lmrnn.figures.style import SEEDS_NOTE, WIDTH, empty_figure, new_figure, note, plain_log_ticks, style_of, title
from lmrnn.figures.text import error_bars, seeds_text

_LARGEST = 2.0  # log2 of the ratio at which colours end


def rate_threshold_map(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Heat map of steps to threshold, full over local, learning rate by threshold, a panel per battery and layout.

    The palette is not used: orange is for local, purple for full, which colour-blind readers tell apart.
    """
    if table.empty:
        empty_figure(stem, "no learning rate at which both local\nand full networks were trained")
        return
    reached = table.groupby("threshold")["ratio"].transform(lambda ratios: ratios.notna().any())
    beyond = sorted(table.loc[~reached, "threshold"].unique()) if reached.any() else []
    never = f"\nnor to {', '.join(number_texts(beyond))}, at any rate" if beyond else ""
    panels = [part for _, part in (table[reached] if reached.any() else table).groupby("panel_id", sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with new_figure(WIDTH, 2.3 * rows + 0.6, stem) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        norm = TwoSlopeNorm(0, -_LARGEST, _LARGEST)
        for axes, part in zip(grid.flat, panels, strict=False):
            image = _draw_map(axes, part, norm)
            title(axes, str(part["panel"].iloc[0]), 48)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        label = "steps to threshold, full / best local"
        bar = figure.colorbar(image, ax=grid, shrink=0.9, aspect=30, label=label, extend="both")
        bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/4", "1/2", "1", "2", "4"])
        seeds = seeds_text(table.rename(columns={"cells": "seeds"}))
        note(
            figure,
            f"restricted mean over {seeds}, both at the same rate; above 1 (orange): local is faster\n"
            "best of the local networks at that rate; >, <: a bound, as not every cell gets there; ~: not even that\n"
            "colours end at 4 and 1/4, numbers go on; (1): one seed only; -: neither network ever gets there, or both "
            f"are there before the first step{never}",
        )


def _draw_map(axes: Axes, part: pd.DataFrame, norm: TwoSlopeNorm) -> ScalarMappable:
    """One panel: thresholds upwards, learning rates to the right, the ratio written into each cell."""
    grid = part.pivot(index="threshold", columns="learning_rate", values="ratio").sort_index()
    bounds, cells = (
        part.pivot(index="threshold", columns="learning_rate", values=name).reindex_like(grid)
        for name in ("bound", "cells")
    )
    bounds = bounds.astype(object).fillna("")  # a column without any bound was read as one of numbers
    with np.errstate(divide="ignore"):  # one of the two may be there before its first step
        logarithms = np.log2(grid.to_numpy(dtype=float))
    image = axes.imshow(
        np.clip(logarithms, -1.01 * _LARGEST, 1.01 * _LARGEST), norm=norm, cmap="PuOr_r", origin="lower", aspect="auto"
    )
    for (i, j), ratio in np.ndenumerate(grid.to_numpy(dtype=float)):
        single = " (1)" if cells.iat[i, j] == 1 else ""
        text = "-" if np.isnan(ratio) else f"{bounds.iat[i, j]}{ratio:.2f}{single}"
        dark = abs(logarithms[i, j]) > 0.75 * _LARGEST
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
    axes.set_xticks(range(grid.shape[1]), number_texts(list(grid.columns)))
    axes.set_yticks(range(len(grid)), number_texts(list(grid.index)))
    axes.set(xlabel="learning rate", ylabel="threshold (decision accuracy)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def equal_synapses(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Steps and seconds to threshold of networks with as many synapses, a row per battery and layout."""
    if table.empty:
        empty_figure(stem, "no larger local network with as many\nsynapses as the full one")
        return
    rows = list(table.groupby("group_id", sort=False))
    names = [f"{part['tasks'].iloc[0]} tasks, {part['layout'].iloc[0]} trials" for _, part in rows]
    if len(set(names)) < len(names):  # they differ in more: all that the panels' names say
        names = [str(part["panel"].iloc[0]) for _, part in rows]
    with new_figure(WIDTH, 2.2 * len(rows) + 0.5, stem) as figure:
        panels = figure.subplots(len(rows), 2, squeeze=False)
        for line, name, (_, part) in zip(panels, names, rows, strict=True):
            for axes, unit in zip(line, ("steps", "seconds"), strict=True):
                _draw_equal(axes, part[part["unit"] == unit], palette)
                axes.set_ylabel({"steps": "training steps", "seconds": "training time (s)"}[unit])
            title(line[0], name)
            line[1].legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), borderaxespad=0)
        note(
            figure,
            f"median over {seeds_text(table)}; {SEEDS_NOTE}\neach network at the rate of its fewest steps"
            "\nwhere a point is missing, half of the seeds or more never get there, or are there before the first step",
        )


def _draw_equal(axes: Axes, part: pd.DataFrame, palette: str) -> None:
    """One line per network; thresholds it does not reach are left open."""
    for _, line in part.groupby("network_id", sort=False):
        line = line.sort_values("threshold")
        style = style_of(str(line["kind"].iloc[0]), float(line["neurons"].iloc[0]) / 200, palette)
        label = f"{line['network'].iloc[0]}\n({line['synapses'].iloc[0]:,} synapses)"
        drawn = line[np.isfinite(line["median"]) & (line["median"] > 0)]
        axes.errorbar(
            drawn["threshold"], drawn["median"], error_bars(drawn, "median"), marker=style.marker,
            linestyle=style.dashes, color=style.colour, elinewidth=0.8, label=label,
        )  # fmt: skip
    if (np.isfinite(part["median"]) & (part["median"] > 0)).any():
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    thresholds = sorted(part["threshold"].unique())
    axes.set_xticks(thresholds, number_texts(thresholds))
    axes.set_xlabel("threshold (decision accuracy)")
