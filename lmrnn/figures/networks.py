"""Pictures of what is inside trained networks: sheets, tuning, time constants, rotation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from lmrnn.claims.rotation import FEW_TRIALS
from lmrnn.figures.style import WIDTH, empty_figure, new_figure, note, style_of, title
from lmrnn.figures.text import seeds_text
from lmrnn.tasks import POSITIONS, is_of_battery, parse

# Paul Tol's muted colours, told apart by colour-blind readers; no more than these can be: smaller clusters share a grey
_CLUSTERS = ("#332288", "#88CCEE", "#DDCC77", "#CC6677", "#117733", "#AA4499", "#44AA99", "#999933", "#882255")
_SMALL = "#777777"
_SILENT = "#EDEDED"
_TASK_LABELS = 60  # up to so many tasks are named on an axis


def sheets(units: pd.DataFrame, clusters: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Sheet of each network with its units coloured by cluster, from the tables units and clusters."""
    placed = units[units["row"] >= 0] if len(units) else units
    if placed.empty:
        empty_figure(stem, "no network on a sheet")
        return
    networks = list(placed.groupby("connectivity_id", sort=False))
    with new_figure(WIDTH, WIDTH / 4 + 1.0, stem) as figure:
        panels = figure.subplots(1, max(4, len(networks)), squeeze=False)[0]
        for axes in panels[len(networks) :]:
            axes.set_axis_off()
        for axes, (network, part) in zip(panels, networks, strict=False):
            _draw_sheet(axes, part)
            same = (clusters["connectivity_id"] == network) & (clusters["seed"] == part["seed"].iloc[0])
            row = clusters[same].iloc[0]
            axes.set_title(
                f"{row['connectivity']}: {row['clusters']} clusters\nneighbours alike {_percent(row['sheet_share'])}\n"
                f"by chance {_percent(row['sheet_chance'])} (p = {row['sheet_p']:.2g})"
            )
        note(
            figure,
            f"one network each ({_seeds(placed)}), coloured by cluster of task variance: the nine largest; dark grey: "
            "smaller ones; light grey: inactive\n"
            "number of clusters: best silhouette of k-means; chance: clusters permuted among active units",
        )


def _draw_sheet(axes: Axes, part: pd.DataFrame) -> None:
    grid = part.pivot(index="row", columns="column", values="cluster").to_numpy()
    by_size = np.argsort(-np.bincount(grid[grid >= 0], minlength=max(grid.max() + 1, 1)), kind="stable")
    colour = {cluster: _CLUSTERS[rank] if rank < len(_CLUSTERS) else _SMALL for rank, cluster in enumerate(by_size)}
    colours = ListedColormap([_SILENT, *(colour[cluster] for cluster in range(len(by_size)))])
    axes.imshow(grid + 1, cmap=colours, vmin=-0.5, vmax=grid.max() + 1.5, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def _seeds(table: pd.DataFrame) -> str:
    """Which seeds the networks have that are shown."""
    seeds = sorted(table["seed"].unique())
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "-"


def tuning(table: pd.DataFrame, units: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Normalised task variance of every active unit, by cluster, a panel per network; tables tuning and units."""
    if table.empty:
        empty_figure(stem, "no network to look into")
        return
    tasks = list(table["task"].unique())
    networks = list(table.groupby("connectivity_id", sort=False))
    step = -(-len(tasks) // _TASK_LABELS)  # of many tasks every second is named, so that names do not touch
    height = 0.118 * len(tasks) + 1.3 if len(tasks) <= _TASK_LABELS else 7.5
    with new_figure(WIDTH, height, stem) as figure:
        panels = figure.subplots(1, len(networks), squeeze=False, sharey=True)[0]
        for axes, (network, part) in zip(panels, networks, strict=True):
            order = units[(units["connectivity_id"] == network) & units["active"]].sort_values(["cluster", "unit"])
            grid = part.pivot_table(index="task", columns="unit", values="variance", sort=False, aggfunc="first")
            shown = grid[order["unit"]] if len(order) else np.full((len(tasks), 1), np.nan)  # none: blank
            image = axes.imshow(shown, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            for edge in np.flatnonzero(np.diff(order["cluster"])) + 0.5:
                axes.axvline(edge, color="w", linewidth=0.5)
            title(axes, str(part["connectivity"].iloc[0]), 24)
            axes.set_xlabel("active unit, by cluster" if len(order) else "no active unit")
            axes.set_yticks(range(0, len(tasks), step), tasks[::step])
        figure.colorbar(image, ax=list(panels), label="normalised task variance", shrink=0.8, aspect=30)
        note(figure, f"one network each ({_seeds(table)}); white lines between clusters")


def autapses(units: pd.DataFrame, table: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """Self-weights with their time constants, and how many units each task relies on, a row per network."""
    if units.empty:
        empty_figure(stem, "no network to look into")
        return
    kinds = [kind for kind in ("autapse", "local") if (units["kind"] == kind).any()] or [units["kind"].iloc[0]]
    with new_figure(WIDTH, 2.3 * len(kinds) + 0.4, stem) as figure:
        panels = figure.subplots(len(kinds), 2, squeeze=False, width_ratios=[1, 1.4], sharex="col", sharey="col")
        bins = _bins(units.loc[units["kind"].isin(kinds), "self_weight"].to_numpy(dtype=float))
        for (left, right), kind in zip(panels, kinds, strict=True):
            _draw_self_weights(left, units[units["kind"] == kind], kind, bins)
            _draw_losses(right, table[table["kind"] == kind], kind)
        note(
            figure,
            f"one network each ({_seeds(units)}); a unit serves a task if accuracy falls by a point\n"
            "or more when it no longer reaches the readout; dashed: weight 1, an integrator; beyond it activity grows",
        )


def _bins(weights: np.ndarray) -> np.ndarray:
    """30 equal bins around all weights that are finite, of some width also where all are equal."""
    weights = weights[np.isfinite(weights)]
    low, high = (weights.min(), weights.max()) if len(weights) else (0.0, 1.0)
    least = max(1e-6 * max(abs(low), abs(high)), 1e-9)  # bins must be more than rounding apart
    return np.linspace(low - least, high + least, 31)


def _draw_self_weights(axes: Axes, own: pd.DataFrame, kind: str, bins: np.ndarray) -> None:
    axes.hist(own["self_weight"], bins=list(bins), color=style_of(kind, 3.0).colour)
    axes.axvline(1, color="0.4", linestyle="--", linewidth=0.8)
    finite = own["time_constant_ms"][np.isfinite(own["time_constant_ms"]) & (own["time_constant_ms"] > 0)]
    middle = f"median time constant {finite.median():.0f} ms" if len(finite) else "no memory"
    axes.set_title(f"{own['connectivity'].iloc[0]}: {middle}", loc="left")
    axes.set(xlabel="weight onto oneself", ylabel="units")


def _draw_losses(axes: Axes, lost: pd.DataFrame, kind: str) -> None:
    """For every task, how many units it relies on."""
    serving = lost[lost["loss"] >= 0.01].groupby("task").size().reindex(lost["task"].unique(), fill_value=0)
    axes.bar(range(len(serving)), serving, color=style_of(kind, 3.0).colour, width=1.0)
    axes.set_ylabel("units that serve it")
    if len(serving) <= 24:
        axes.set_xticks(range(len(serving)), serving.index, rotation=90)
        return
    # names would touch: groups of tasks are named
    groups = [_group(task) for task in serving.index]
    starts = [0, *(i for i in range(1, len(groups)) if groups[i] != groups[i - 1]), len(groups)]
    for first, last in pairwise(starts):
        axes.axvline(first - 0.5, color="0.75", linewidth=0.6, zorder=0)
        axes.text((first + last - 1) / 2, 1.02, groups[first], transform=axes.get_xaxis_transform(), ha="center")
    axes.set_xlabel("task, in the order of the battery")


def _group(name: str) -> str:
    if not is_of_battery(name):
        return "own"
    task = parse(name)
    return {(False, False): "base", (True, False): "int", (False, True): "seq"}.get(
        (bool(task.int_sign), bool(task.seq_sign)), "int and seq"
    )


_TURNING = {"seq": "seq tasks, decision", "int": "int tasks (reach), delay", "none": "their base tasks, decision"}


def rings(planes: pd.DataFrame, rotation: pd.DataFrame, stem: Path | str, palette: str = "okabe_ito") -> None:
    """States in the decision of a seq task in their principal plane, and the angle advanced per time step."""
    if planes.empty or rotation.empty:
        empty_figure(stem, "no seq task: nothing to turn")
        return
    networks = list(planes.groupby("connectivity_id", sort=False))
    with new_figure(WIDTH, 4.9, stem) as figure:
        upper, lower = cast("np.ndarray", figure.subfigures(2, 1, height_ratios=[1, 1.25]))
        panels = upper.subplots(1, max(4, len(networks)), squeeze=False)[0]
        for axes in panels[len(networks) :]:
            axes.set_axis_off()
        for axes, (_, part) in zip(panels, networks, strict=False):
            image = _draw_plane(axes, part)
            title(axes, f"{part['connectivity'].iloc[0]}, {part['task'].iloc[0]}", 24)
        bar = upper.colorbar(image, ax=list(panels), label="position to report", shrink=0.8, aspect=20)
        bar.set_ticks([0, 4, 8, 12])
        _draw_advances(lower.subplots(1, 1), rotation)
        seeds = rotation.groupby("connectivity_id").agg(seeds=("seed", "nunique"))
        note(
            figure,
            f"above: one network of each kind ({_seeds(planes)}), some trials, all time steps of the decision\n"
            f"below: mean over tasks, a point for each of {seeds_text(seeds)}; open: trials answered right throughout\n"
            "dashed: the target's angle",
        )


def _draw_plane(axes: Axes, part: pd.DataFrame) -> object:
    """Trajectories of some trials, coloured by the position to be reported."""
    for _, own in part.groupby("trial"):
        axes.plot(own["x"], own["y"], color="0.8", linewidth=0.4, zorder=1)
    image = axes.scatter(
        part["x"], part["y"], c=part["position"], cmap="twilight_shifted", vmin=0, vmax=16, s=5, zorder=2
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xticks=[], yticks=[], xlabel="plane axis 1", ylabel="plane axis 2")
    return image


def _draw_advances(axes: Axes, rotation: pd.DataFrame) -> None:
    """Angle advanced per time step, by seed, for each network and kind of task; the target's as a dashed line."""
    step, place, ticks = 360 / POSITIONS, 0.0, []
    for what, part in sorted(rotation.groupby("what"), key=lambda one: list(_TURNING).index(str(one[0]))):
        first = place
        for (_, kind), own in part.groupby(["connectivity_id", "kind"], sort=False):
            style = style_of(str(kind), 3.0 if kind == "local" else float("nan"))
            shares = own.groupby("seed")["share"].mean() * step
            axes.plot([place] * len(shares), shares, style.marker, color=style.colour, alpha=0.8)
            if what != "none" and "right_share" in own:
                right = own[own["right_trials"] >= FEW_TRIALS].groupby("seed")["right_share"].mean() * step
                axes.plot([place + 0.25] * len(right), right, style.marker, color=style.colour, markerfacecolor="none")
            ticks.append((place, str(own["connectivity"].iloc[0])))
            place += 1
        axes.text((first + place - 1) / 2, 1.02, _TURNING[str(what)], transform=axes.get_xaxis_transform(), ha="center")
        place += 0.6
    axes.axhline(step, color="0.4", linestyle="--", linewidth=0.8)
    axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks], rotation=35, ha="right")
    axes.set_ylabel("angle per time step,\nin the target's sense (degrees)")
