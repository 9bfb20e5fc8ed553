"""Picture of how fast networks learn against how fast they move."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lmrnn.curves.comparison import largest_size
from lmrnn.curves.identity import number_texts
from lmrnn.figures.style import ROW, SEEDS_NOTE, WIDTH, Style, new_figure, note, plain_log_ticks, styles_of, title
from lmrnn.figures.text import error_bars, in_lines, percent, seeds_text

_FEW_RATES = 5  # whose labels fit side by side
_X_LABELS = {"learning_rate": "learning rate", "drive": "drive: learning rate x recurrent rate x in-degree"}


def drive(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Area under the learning curve against the learning rate, and against the drive that a step moves; two rows, the
    smallest and the largest budget, for each panel; those of a single network are left out where others compare some.
    """
    shown = largest_size(table)
    compared = shown.groupby("drive_id")["connectivity_id"].transform("nunique") > 1
    shown = shown[compared] if compared.any() else shown
    budget = shown.groupby("drive_id")["budget"]
    shown = shown[(shown["budget"] == budget.transform("min")) | (shown["budget"] == budget.transform("max"))]
    rows = list(shown.groupby(["drive_id", "budget"], sort=False))
    styles = styles_of(shown, palette)
    with new_figure(WIDTH, 1.1 * ROW * len(rows) + 0.3, stem) as figure:
        grid = figure.subplots(len(rows), 2, squeeze=False, sharey="row")
        for line, (_, part) in zip(grid, rows, strict=True):
            for axes, x in zip(line, _X_LABELS, strict=True):
                _draw_areas(axes, part, x, styles)
            line[0].set_ylabel("area under the learning curve")
            title(line[0], f"{part['drive_panel'].iloc[0]}, to step {part['budget'].iloc[0]:,}")
            _name_networks(line[1], part, styles)
            plain_log_ticks(line[1].xaxis)
            rates = sorted(part["learning_rate"].unique())
            if len(rates) > _FEW_RATES:
                plain_log_ticks(line[0].xaxis)
                continue
            line[0].set_xticks(rates, number_texts(rates))
            line[0].minorticks_off()
        for axes, label in zip(grid[-1], _X_LABELS.values(), strict=True):
            axes.set_xlabel(label)
        note(
            figure,
            f"mean over {seeds_text(shown)}; {SEEDS_NOTE}\n"
            "filled: one rate for all weights; open: the recurrent weights at a rate of their own",
        )


def _draw_areas(axes: Axes, part: pd.DataFrame, x: str, styles: dict[str, Style]) -> None:
    """One line per connectivity and recurrent rate, along the learning rates."""
    for (network, factor), line in part.groupby(["connectivity_id", "recurrent_rate"], sort=False):
        style, line = styles[str(network)], line.sort_values(x)
        shared = pd.to_numeric(factor, errors="coerce") == 1  # a file that also has in_degree holds texts
        axes.errorbar(
            line[x],
            line["area"],
            error_bars(line, "area"),
            color=style.colour,
            marker=style.marker,
            markerfacecolor=style.colour if shared else "white",
            linestyle=style.dashes,
            linewidth=0.9 if shared else 0.5,
            elinewidth=0.7,
        )
    axes.set_xscale("log")


def _name_networks(axes: Axes, part: pd.DataFrame, styles: dict[str, Style]) -> None:
    """The connectivities of a row, to its right."""
    handles = []
    for network, line in part.groupby("connectivity_id", sort=False):
        style, first = styles[str(network)], line.iloc[0]
        words = in_lines(f"{first['connectivity']} ({percent(first['density'])})")
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.dashes, label=words))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.02), borderaxespad=0, handlelength=2.2)
