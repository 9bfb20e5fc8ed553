"""Pictures of the curves: one function per figure, each drawing one table of `lmrnn.curves` as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrnn.figures_style import (
    ROW,
    SEEDS_NOTE,
    WIDTH,
    accuracy_axis,
    describe,
    draw_baseline,
    error_bars,
    largest_size,
    new_figure,
    note,
    row_style,
    side_legend,
    style_of,
)

_RATE_NOTE = "each connectivity at its best learning rate (in the legend; * = smallest or largest tried)"
_X_LABELS = {"step": "training steps", "trials": "trials seen", "training_seconds": "training time (s)"}
_UNIT_LABELS = {"steps": "steps to threshold", "trials": "trials seen to threshold", "seconds": "seconds to threshold"}
_ROWS_PER_BLOCK = 44


def draw_all(tables: Mapping[str, pd.DataFrame], folder: Path | str, palette: str = "okabe_ito") -> list[Path]:
    """Draw every figure of a study.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        From `lmrnn.curves.compute`.
    folder : Path or str
        Where the files go.
    palette : str
        ``okabe_ito`` or ``viridis``.

    Returns
    -------
    list of Path
        The PNG files; an SVG lies beside each.
    """
    stems = []
    for name, draw in FIGURES.items():
        draw(tables[name], Path(folder) / name, palette)
        stems.append(Path(folder) / f"{name}.png")
    return stems


def _families(table: pd.DataFrame, column: str = "family") -> Iterator[tuple[int, str, pd.DataFrame]]:
    for number, (name, rows) in enumerate(table.groupby(column, sort=False)):
        yield number, str(name), rows


def _empty(stem: Path | str, reason: str) -> None:
    """A figure that says why there is nothing to draw (a rule's output must exist)."""
    with new_figure(WIDTH / 2, 1.2, stem) as figure:
        figure.text(0.5, 0.5, reason, ha="center", va="center", fontsize=8)


def training_speed(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Accuracy against training steps, trials seen and training seconds; one row of panels per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.training_speed`; the largest data size of each family is drawn.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    shown = largest_size(table)
    rows = shown["panel"].nunique()
    with new_figure(WIDTH, ROW * rows + 0.35, stem) as figure:
        panels = figure.subplots(rows, 3, squeeze=False, sharey=True)
        for i, name, part in _families(shown, "panel"):
            for axes, (x, label) in zip(panels[i], _X_LABELS.items(), strict=True):
                _draw_courses(axes, part, x, palette)
                axes.set_xlabel(label)
            accuracy_axis(panels[i, 0], "validation decision accuracy")
            panels[i, 0].set_title(name, loc="left")
            side_legend(panels[i, 2])
        note(
            figure,
            f"mean over seeds; {SEEDS_NOTE}; a diverged cell counts as 0\n{_RATE_NOTE}: highest final validation accuracy",
        )


def _draw_courses(axes: Axes, part: pd.DataFrame, x: str, palette: str) -> None:
    """One line per connectivity, with its interval as a band."""
    for _, line in part.groupby("connectivity", sort=False):
        style = row_style(line.iloc[0], palette)
        axes.plot(line[x], line["decision_accuracy"], style.dashes, color=style.colour, label=describe(line.iloc[0]))
        if line["low"].notna().all():
            axes.fill_between(line[x], line["low"], line["high"], color=style.colour, alpha=0.15, linewidth=0)
    draw_baseline(axes, part["always_fixate"].iloc[0])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(_few_ticks())
    axes.xaxis.set_major_formatter(_short_numbers)


def _few_ticks() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _short_numbers(value: float, _position: int | None = None) -> str:
    """5000 -> 5k, 2000000 -> 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def steps_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Training steps and seconds to threshold against density; a column per threshold, two rows per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.steps_to_threshold`; the largest data size of each family is drawn.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    shown = largest_size(table)
    shown = shown[shown["unit"] != "trials"]
    limits = shown.groupby("panel")["limit_steps"].max().to_dict()
    reason = (
        f"median over seeds; {SEEDS_NOTE}; open triangle k/n: only k of n seeds get there, the median does not"
        "\neach point at the rate of the fewest (restricted mean) validation steps to that threshold; * = smallest or largest rate tried"
    )
    _density_figure(shown, ["panel", "unit"], lambda key: (key[0], _UNIT_LABELS[key[1]]), limits, reason, stem, palette)


def trials_to_threshold(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Trials per task needed to reach each threshold, against density.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.trials_to_threshold`.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    if table.empty:
        _empty(stem, "one data size only: no trials to threshold")
        return
    reason = (
        f"median over seeds; {SEEDS_NOTE}; open triangle k/n: only k of n seeds get there with the largest data set"
        "\ngrey lines: data sizes trained; test accuracy; each data size at the rate of the highest final validation accuracy"
    )
    limits = table.groupby("family")["largest"].max().to_dict()
    _density_figure(
        table.assign(unit="trials", at_edge="no"),
        ["family"],
        lambda key: (key[0], "training trials per task needed"),
        limits,
        reason,
        stem,
        palette,
    )


def _density_figure(
    table: pd.DataFrame,
    keys: list[str],
    words: Callable[[tuple], tuple[str, str]],
    limits: Mapping[str, float],
    reason: str,
    stem: Path | str,
    palette: str,
) -> None:
    """Grid of panels, rows by `keys`, columns by threshold: median against density."""
    groups, thresholds = list(table.groupby(keys, sort=False)), sorted(table["threshold"].unique())
    with new_figure(WIDTH, 1.75 * len(groups) + 0.75, stem) as figure:
        panels = figure.subplots(len(groups), len(thresholds), squeeze=False, sharex=True, sharey="row")
        for i, (key, part) in enumerate(groups):
            name, y_label = words(key)
            limit = (
                limits[key[0]] if "seconds" not in key else part.loc[np.isfinite(part["median"]), "median"].max() * 1.5
            )
            for axes, threshold in zip(panels[i], thresholds, strict=True):
                _draw_density(axes, part[part["threshold"] == threshold], limit, palette)
                axes.set_title(
                    (f"{name}\n" if axes is panels[i, 0] and i % len(keys) == 0 else "") + f"to {threshold:g}",
                    loc="left",
                )
            panels[i, 0].set_ylabel(y_label)
        for axes in panels[-1]:
            axes.set_xlabel("density (share of synapses)")
        _kind_legend(figure, table, palette)
        note(figure, reason)


def _draw_density(axes: Axes, part: pd.DataFrame, limit: float, palette: str) -> None:
    """Medians against density: local radii joined, censored medians as open triangles at the limit."""
    part = part.sort_values("density")
    local = part[(part["kind"] == "local") & np.isfinite(part["median"])]
    axes.plot(local["density"], local["median"], color="#0072B2", linewidth=0.8, zorder=1)
    for _, row in part.iterrows():
        style = row_style(row, palette)
        if np.isfinite(row["median"]):
            bars = error_bars(row.to_frame().T, "median")
            axes.errorbar(row["density"], row["median"], bars, fmt=style.marker, color=style.colour, elinewidth=0.8)
        else:
            axes.plot(row["density"], limit, "^", markerfacecolor="none", color=style.colour, markersize=6)
        text = ("" if row["reached"] == row["seeds"] else f"{row['reached']}/{row['seeds']}") + (
            "*" if row["at_edge"] in ("low", "high") else ""
        )
        if text:
            place = row["median"] if np.isfinite(row["median"]) else limit
            axes.annotate(
                text, (row["density"], place), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=7
            )
    axes.set_xscale("log")
    axes.set_yscale("log")


def _kind_legend(figure: Figure, table: pd.DataFrame, palette: str) -> None:
    """One entry per kind, above the panels."""
    from matplotlib.lines import Line2D

    handles = []
    for kind in table["kind"].unique():
        style = style_of(kind, 3.0 if kind == "local" else float("nan"), palette)
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, linestyle="", label=kind))
    handles.append(
        Line2D([], [], color="0.3", marker="^", markerfacecolor="none", linestyle="", label="not reached (k/n)")
    )
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), handletextpad=0.2, columnspacing=1.2)


def data_efficiency(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Test accuracy against training trials per task, one panel per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.data_efficiency`.
    stem : Path or str
        Path of the figure without ending.
    palette : str
        ``okabe_ito`` or ``viridis``.
    """
    rows = table["family"].nunique()
    with new_figure(WIDTH * 0.75, 2.4 * rows + 0.35, stem) as figure:
        panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
        for i, name, part in _families(table):
            _draw_efficiency(panels[i], part, palette)
            panels[i].set_title(name, loc="left")
        note(
            figure,
            f"mean over seeds; {SEEDS_NOTE}; a diverged cell counts as 0"
            "\neach point at its best learning rate (highest final validation accuracy)",
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
            label=f"{first['connectivity']} ({100 * first['density']:.2g}%), n={line['seeds'].min()}{lost}",
        )
    if "always_fixate" in part:
        draw_baseline(axes, part["always_fixate"].iloc[0])
    accuracy_axis(axes, "test decision accuracy")
    axes.set_xscale("log")
    sizes = np.sort(part["trials_per_task"].unique())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training trials per task")
    side_legend(axes)


def task_accuracy(table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Heat map of test accuracy, tasks by connectivity, one block of rows per family.

    Parameters
    ----------
    table : pandas.DataFrame
        `lmrnn.curves.task_accuracy`; the largest data size of each family is drawn.
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
        note(figure, "mean over seeds, each connectivity at its best learning rate (highest final validation accuracy)")


def accuracy_map(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracies as a grid.

    Parameters
    ----------
    table : pandas.DataFrame
        One panel's rows of `lmrnn.curves.task_accuracy`.

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


def _draw_heat_map(part: Figure, name: str, grid: pd.DataFrame) -> None:
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
    panels[0].set_title(name, loc="left")
    part.colorbar(image, ax=list(panels), label="test decision accuracy", shrink=0.8, aspect=30)


FIGURES: dict[str, Callable[[pd.DataFrame, Path | str, str], None]] = {
    "training_speed": training_speed,
    "steps_to_threshold": steps_to_threshold,
    "data_efficiency": data_efficiency,
    "trials_to_threshold": trials_to_threshold,
    "task_accuracy": task_accuracy,
}
