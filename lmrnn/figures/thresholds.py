"""Pictures of what a threshold costs: steps, seconds and trials per task needed, against the density of synapses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from lmrnn.curves.comparison import largest_size
from lmrnn.curves.identity import number_texts
from lmrnn.figures.style import (
    SEEDS_NOTE,
    WIDTH,
    Style,
    empty_figure,
    new_figure,
    note,
    plain_log_ticks,
    style_of,
    styles_of,
)
from lmrnn.figures.text import error_bars, one_rate, percent, seeds_text

_UNIT_LABELS = {"steps": "training steps", "trials": "trials seen", "seconds": "training time (s)"}
# kinds that share their density with another are drawn a little aside
_ASIDE = {"random": 1.2, "small_world": 1.4, "full_matched": 0.8}
_TICK_INCHES = 0.3  # a label of three digits and some space
_FEW_DENSITIES = 6
_NEAR = 0.45  # decades of density within which remarks would touch, so that every second one stands below


def steps_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Training steps and seconds to threshold against density; a column per threshold, two rows per panel.

    The largest data size is drawn. Networks that do not get there stand at their own trained steps and time.
    """
    shown = largest_size(table)
    shown = shown[shown["unit"] != "trials"]
    rate = (
        "one learning rate tried"
        if one_rate(shown)
        else "each point at the learning rate of the fewest (restricted mean) steps to that threshold on validation "
        "trials; ring: smallest or largest\nrate tried"
    )
    reason = (
        f"median over {seeds_text(shown)}; {SEEDS_NOTE}; k/n: k of n seeds get there\n"
        "△: at most half of the seeds get there, drawn where their training ends; half filled: some seed is there "
        "before the\nfirst evaluation after the start, so that its time is interpolated; ▽: before the first step\n"
        f"{rate}; random and matched networks are drawn a little aside"
    )
    rows = []
    for (_, unit), part in shown.groupby(["panel_id", "unit"], sort=False):
        drawn = part.assign(limit=part["trained"], least=0.0, between=part["before_first_evaluation"] > 0)
        rows.append((str(part["panel"].iloc[0]) if unit == "steps" else "", _UNIT_LABELS[str(unit)], drawn))
    _density_figure(rows, reason, stem, palette)


def trials_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Trials per task needed to reach each threshold, against density; a row for each family of several data sizes."""
    if table.empty:
        empty_figure(stem, "one data size only: no trials to threshold")
        return
    reason = (
        f"median over {seeds_text(table)}; {SEEDS_NOTE}; k/n: k of n seeds get there\n"
        "△: at most half of the seeds get there with the largest size; ▽: reached with the smallest size already\n"
        "test accuracy, each size at its best rate (validation); ring: smallest or largest rate tried around the "
        "threshold\nrandom and matched networks are drawn a little aside"
    )
    rows = []
    for _, part in table.groupby("family_id", sort=False):
        drawn = part.assign(limit=part["largest"].max(), least=part["smallest"].astype(float), between=False)
        rows.append((str(part["family"].iloc[0]), "training trials per task", drawn))
    _density_figure(rows, reason, stem, palette)


def _density_figure(rows: list[tuple[str, str, pd.DataFrame]], reason: str, stem: Path | str, palette: str) -> None:
    """Grid of panels, a row for each (title, y label, table), a column for each threshold: median against density."""
    none = _place_of_none(pd.concat([part["density"] for *_, part in rows]))
    rows = [(*names, part.assign(density=part["density"].replace(0.0, none))) for *names, part in rows]
    everything = pd.concat([part for *_, part in rows])
    reached = everything.groupby("threshold")["reached"].max() > 0
    thresholds = sorted(reached.index[reached]) or sorted(reached.index)
    if never := sorted(set(reached.index) - set(thresholds)):
        reason += f"\nno seed of any network gets to {', '.join(number_texts(never))}"
    styles = styles_of(everything, palette)
    with new_figure(WIDTH, 1.7 * len(rows) + 1.1, stem) as figure:
        panels = figure.subplots(len(rows), len(thresholds), squeeze=False, sharex=True, sharey="row")
        for line, (name, y_label, part) in zip(panels, rows, strict=True):
            bounds = _bounds(part)
            line[0].set(xscale="log", yscale="log", ylim=bounds, xlim=_densities(everything))
            ticks = _density_ticks(everything, WIDTH / len(thresholds), none)
            for axes, threshold, text in zip(line, thresholds, number_texts(thresholds), strict=True):
                _draw_density(axes, part[part["threshold"] == threshold], styles, bounds)
                axes.set_xticks(ticks, ["0" if tick == 100 * none else percent(tick / 100)[:-1] for tick in ticks])
                axes.xaxis.set_minor_formatter(NullFormatter())
                if name:
                    axes.set_title(f"\nto {text}", loc="left")  # the line above is for the panel's name
            above = line[0].annotate(name, (0, 1), (0, 15), xycoords="axes fraction", textcoords="offset points")
            above.set_in_layout(False)  # it may reach over the next column
            line[0].set_ylabel(y_label)
            plain_log_ticks(line[0].yaxis)
        for axes in panels[-1]:
            axes.set_xlabel("density (% of synapses)" if len(thresholds) <= 4 else "density (%)")
        _kind_legend(figure, everything, palette)
        note(figure, reason)


def _place_of_none(densities: pd.Series) -> float:
    """Where a logarithmic axis has networks without any synapse: at the left end, at a fourth of the least density."""
    return 0.25 * float(densities[densities > 0].min()) if (densities > 0).any() else 0.01


def _densities(table: pd.DataFrame) -> tuple[float, float]:
    """Limits of the x axis, in percent, around all densities, those drawn aside included."""
    share = 100 * table["density"]
    return 0.5 * float(share.min()), 1.8 * float(share.max())


def _density_ticks(table: pd.DataFrame, inches: float, none: float) -> list[float]:
    """Where the x axis is labelled, in percent: at the densities drawn where those are few and their labels apart, else
    at powers of ten, divided as far as at least two of them need, and at `none`, where a network without synapses is.
    """
    low, high = _densities(table)
    own = sorted({100 * share for share in table["density"]})
    apart = _TICK_INCHES / (inches - 0.5) * np.log10(high / low)
    if len(own) <= _FEW_DENSITIES and (np.diff(np.log10(own)) > apart).all():
        return own
    powers = [10.0**power for power in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)]
    for parts in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [power * part for power in powers for part in parts if low <= power * part <= min(high, 100)]
        if len(ticks) > 1:
            break
    return [100 * none, *(tick for tick in ticks if tick > 150 * none)] if 100 * none in own else ticks


def _bounds(part: pd.DataFrame) -> tuple[float, float]:
    """Limits of the y axis around all that is drawn, with room for remarks; of something where nothing was measured."""
    drawn = part[["median", "low", "high", "limit"]].to_numpy(dtype=float)
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    return (0.6 * float(drawn.min()), 1.7 * float(drawn.max())) if len(drawn) else (0.5, 2.0)


def _draw_density(axes: Axes, part: pd.DataFrame, styles: dict[str, Style], bounds: tuple[float, float]) -> None:
    """Medians against density in percent: local radii joined; what was not measured as triangles."""
    part = part.sort_values("density")
    part["percent"] = 100 * part["density"] * part["kind"].map(_ASIDE).fillna(1.0)
    # a training that never began has no time, and 0 no place on the axis
    part["drawn"] = part["median"].where(np.isfinite(part["median"]), part["limit"]).clip(lower=1.1 * bounds[0])
    measured = part[np.isfinite(part["median"]) & (part["median"] > part["least"])]
    for _, local in measured[measured["kind"] == "local"].groupby("boundary", sort=False, dropna=False):
        axes.plot(local["percent"], local["drawn"], color="#0072B2", linewidth=0.8, zorder=1)
    last, below = -np.inf, False
    for _, row in part.iterrows():
        _draw_point(axes, row, styles[row["connectivity_id"]])
        if 0 < row["reached"] < row["seeds"]:
            below = not below and np.log10(row["percent"]) - last < _NEAR
            axes.annotate(
                f"{row['reached']}/{row['seeds']}", (row["percent"], row["drawn"]), fontsize=7, ha="center",
                xytext=(0, -5 if below else 5), textcoords="offset points", va="top" if below else "bottom",
            )  # fmt: skip
            last = np.log10(row["percent"])


def _draw_point(axes: Axes, row: pd.Series, style: Style) -> None:
    """One network: filled where measured, half where interpolated before the first evaluation, else a triangle."""
    place = row["percent"], row["drawn"]
    if not np.isfinite(row["median"]):
        axes.plot(*place, "^", markerfacecolor="none", color=style.colour, markersize=6)
    elif row["median"] <= row["least"]:
        axes.plot(*place, "v", markerfacecolor="none", color=style.colour, markersize=6)
    else:
        bars = error_bars(row.to_frame().T, "median")
        filled = "left" if row["between"] else "full"
        axes.errorbar(
            *place, bars, fmt=style.marker, color=style.colour, elinewidth=0.8, fillstyle=filled,
            markerfacecoloralt="w", markersize=4,
        )  # fmt: skip
    if row["at_edge"] in ("low", "high"):
        axes.plot(*place, "o", markerfacecolor="none", color="0.55", markeredgewidth=0.7, markersize=10, zorder=0)


def _kind_legend(figure: Figure, table: pd.DataFrame, palette: str) -> None:
    """One entry per kind, above the panels, and what the open marks mean."""
    handles = []
    for kind in table["kind"].unique():
        style = style_of(kind, 3.0 if kind == "local" else float("nan"), palette)
        name = "local (darker: larger radius)" if kind == "local" else kind.replace("_", " ")
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=name))
    open_marks = {"not reached": ("^", 5, "0.3"), "at most this": ("v", 5, "0.3")}
    open_marks |= {} if one_rate(table) else {"edge of rates": ("o", 8, "0.55")}
    for name, (marker, size, colour) in open_marks.items():
        mark = Line2D([], [], color=colour, marker=marker, markersize=size, markerfacecolor="none", linestyle="")
        mark.set_label(name)
        handles.append(mark)
    columns = min(len(handles), 5)
    figure.legend(handles=handles, loc="outside upper right", ncols=columns, handletextpad=0.2, columnspacing=1.2)
