"""Pictures of what a threshold costs: steps, seconds and trials per task needed, against the density of synapses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lmrnn.figures.style import SEEDS_NOTE, WIDTH, empty_figure, new_figure, note, plain_log_ticks, row_style, style_of
from lmrnn.figures.text import error_bars, largest_size, seeds_text

_UNIT_LABELS = {"steps": "training steps", "trials": "trials seen", "seconds": "training time (s)"}
# kinds that share their density with another are drawn a little aside
_ASIDE = {"random": 1.2, "small_world": 1.4, "full_matched": 0.8}
_CENSORED = "k/n: k of n get there; open triangle: fewer than half"


def steps_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Training steps and seconds to threshold against density; a column per threshold, two rows per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.tables.steps_to_threshold`; the largest data size of each family is drawn.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    shown = largest_size(table)
    shown = shown[shown["unit"] != "trials"]
    reason = (
        f"median over {seeds_text(shown)}; {SEEDS_NOTE}\n{_CENSORED}; each point at the learning rate of the fewest "
        "(restricted mean)\nsteps to that threshold on validation trials; * = smallest or largest rate tried; "
        "random and matched networks are drawn a little aside"
    )
    rows = [
        (str(panel) if unit == "steps" else "", _UNIT_LABELS[unit], part.assign(limit=_limits(part, unit)))
        for (panel, unit), part in shown.groupby(["panel", "unit"], sort=False)
    ]
    _density_figure(rows, reason, stem, palette)


def _limits(part: pd.DataFrame, unit: str) -> float:
    """Where censored medians are drawn: the length of training, in seconds above all that were reached."""
    if unit == "steps":
        return float(part["limit_steps"].max())
    reached = part.loc[np.isfinite(part["median"]), "median"]
    return 1.5 * float(reached.max()) if len(reached) else 1.0


def trials_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Trials per task needed to reach each threshold, against density.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.tables.trials_to_threshold`.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    if table.empty:
        empty_figure(stem, "one data size only: no trials to threshold")
        return
    reason = (
        f"median over {seeds_text(table)}; {SEEDS_NOTE}\n{_CENSORED}; "
        "test accuracy; ≤: reached with the smallest size already\neach size at its best rate (validation), "
        "* = smallest or largest tried around the threshold; random and matched networks a little aside"
    )
    rows = [
        (str(family), "training trials per task", part.assign(limit=part["largest"].max()))
        for family, part in table.groupby("family", sort=False)
    ]
    _density_figure(rows, reason, stem, palette)


def _density_figure(rows: list[tuple[str, str, pd.DataFrame]], reason: str, stem: Path | str, palette: str) -> None:
    """Grid of panels, a row for each (title, y label, table), a column for each threshold: median against density."""
    everything = pd.concat([part for *_, part in rows])
    reached = everything.groupby("threshold")["reached"].max() > 0
    thresholds = sorted(reached.index[reached]) or sorted(reached.index)
    if never := sorted(set(reached.index) - set(thresholds)):
        reason += f"\nno seed of any network gets to {', '.join(f'{threshold:g}' for threshold in never)}"
    with new_figure(WIDTH, 1.7 * len(rows) + 0.8, stem) as figure:
        panels = figure.subplots(len(rows), len(thresholds), squeeze=False, sharex=True, sharey="row")
        for line, (title, y_label, part) in zip(panels, rows, strict=True):
            line[0].set(xscale="log", yscale="log", ylim=_bounds(part), xlim=(0.2, 180))
            for axes, threshold in zip(line, thresholds, strict=True):
                _draw_density(axes, part[part["threshold"] == threshold], palette)
                if title:
                    axes.set_title(f"\nto {threshold:g}", loc="left")  # the line above is for the panel's name
            name = line[0].annotate(title, (0, 1), (0, 15), xycoords="axes fraction", textcoords="offset points")
            name.set_in_layout(False)  # it may reach over the next column
            line[0].set_ylabel(y_label)
            plain_log_ticks(line[0].yaxis)
        for axes in panels[-1]:
            axes.set_xlabel("density (% of synapses)" if len(thresholds) <= 4 else "density (%)")
        _kind_legend(figure, everything, palette)
        note(figure, reason)


def _bounds(part: pd.DataFrame) -> tuple[float, float]:
    """Limits of the y axis around all that is drawn, with room for remarks."""
    drawn = part[["median", "low", "high", "limit"]].to_numpy(dtype=float)
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    return 0.75 * float(drawn.min()), 1.45 * float(drawn.max())


def _draw_density(axes: Axes, part: pd.DataFrame, palette: str) -> None:
    """Medians against density in percent: local radii joined, censored medians as open triangles at the limit."""
    part = part.sort_values("density")
    part["percent"] = 100 * part["density"] * part["kind"].map(_ASIDE).fillna(1.0)
    part["drawn"] = part["median"].where(np.isfinite(part["median"]), part["limit"])
    local = part[(part["kind"] == "local") & np.isfinite(part["median"])]
    axes.plot(local["percent"], local["drawn"], color="#0072B2", linewidth=0.8, zorder=1)
    for _, row in part.iterrows():
        style = row_style(row, palette)
        if np.isfinite(row["median"]):
            bars = error_bars(row.to_frame().T, "median")
            axes.errorbar(row["percent"], row["median"], bars, fmt=style.marker, color=style.colour, elinewidth=0.8)
        else:
            axes.plot(row["percent"], row["limit"], "^", markerfacecolor="none", color=style.colour, markersize=6)
        place = (row["percent"], row["drawn"])
        axes.annotate(_remark(row), place, xytext=(0, 4), textcoords="offset points", ha="center", fontsize=7)
    plain_log_ticks(axes.xaxis)


def _remark(row: pd.Series) -> str:
    """What a point's reader must know: how many seeds got there, a rate at the edge, a bound instead of a value."""
    count = "" if row["reached"] in (0, row["seeds"]) else f"{row['reached']}/{row['seeds']}"
    bound = "≤" if row["median"] <= row.get("smallest", 0) else ""
    return count + bound + ("*" if row["at_edge"] in ("low", "high") else "")


def _kind_legend(figure: Figure, table: pd.DataFrame, palette: str) -> None:
    """One entry per kind, above the panels."""
    handles = []
    for kind in table["kind"].unique():
        style = style_of(kind, 3.0 if kind == "local" else float("nan"), palette)
        name = "local (darker: larger radius)" if kind == "local" else kind.replace("_", " ")
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=name))
    handles.append(Line2D([], [], color="0.3", marker="^", markerfacecolor="none", linestyle="", label="not reached"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handletextpad=0.2, columnspacing=1.2)
