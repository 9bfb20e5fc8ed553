"""Which cells of a sweep are compared with each other, and at which learning rate.

Cells that differ in nothing but connectivity, learning rate and seed make one panel. Each connectivity is shown at its
own best learning rate, chosen on validation data only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

CONNECTIVITY = ["connectivity", "kind", "radius", "boundary", "density", "synapses"]
FIRST_AXES = ["tasks", "trials_per_task", "layout", "network_neurons"]
_NO_AXES = {*CONNECTIVITY, "neurons", "seed", "learning_rate"}
# often changed together with another axis that says more: with how long is trained, with how the weights are drawn
_FOLLOWERS = {"evaluate_every", "initial_scale"}
# what each panel says of its axes, in this order, as far as it tells panels apart
_NAMES = {
    "tasks": "{} tasks",
    "trials_per_task": "{:,} trials per task",
    "layout": "{} trials",
    "network_neurons": "N = {}",
    "steps": "{:,} steps",
}


def prepare(table: pd.DataFrame, results: Sequence[CellResult]) -> pd.DataFrame:
    """Table of cells with what comparing them needs.

    Parameters
    ----------
    table, results
        As for `compute`.

    Returns
    -------
    pandas.DataFrame
        A copy with columns ``network_neurons`` (the configured N; a matched network may have fewer neurons), ``panel``
        (which cells are compared), ``family`` (the same without the data size), ``final`` (last validation and test
        decision accuracy, 0 for a diverged cell: ``final_validation``, ``final_test``). Row i is results[i].

    Raises
    ------
    ValueError
        When table and results differ in number.
    """
    if len(table) != len(results):
        raise ValueError(f"{len(table)} rows of cells, but {len(results)} results")
    runs = table.reset_index(drop=True).copy()
    runs["network_neurons"] = [result.spec["network"]["neurons"] for result in results]
    axes = _varying_axes(runs)
    runs["panel"] = _panel_names(runs, axes, ["tasks", "trials_per_task"])
    runs["family"] = _panel_names(runs, [axis for axis in axes if axis != "trials_per_task"], ["tasks"])
    lost = runs["status"] == "diverged"
    runs["final_validation"] = runs["validation_decision_accuracy"].where(~lost, 0.0)
    runs["final_test"] = runs["test_decision_accuracy"].where(~lost, 0.0)
    return runs


def _varying_axes(runs: pd.DataFrame) -> list[str]:
    """Axes of the grid, apart from connectivity, learning rate and seed, that take more than one value."""
    columns = list(runs.columns)
    settings = [name for name in columns[: columns.index("status")] if name not in _NO_AXES]
    others = sorted((name for name in settings if name not in FIRST_AXES), key=lambda name: name in _FOLLOWERS)
    ordered = [*FIRST_AXES, *others]
    return [name for name in ordered if runs[name].nunique(dropna=False) > 1]


def _panel_names(runs: pd.DataFrame, axes: list[str], always: list[str]) -> pd.Series:
    """Name of each run's panel; an axis that tells no further panels apart is left out of the names."""
    named, groups = [], 1
    for axis in axes:
        count = runs.groupby([*named, axis], dropna=False).ngroups
        if count > groups or axis in always:
            named, groups = [*named, axis], count
    shown = [axis for axis in FIRST_AXES if axis in {*named, *always}] + [a for a in named if a not in FIRST_AXES]
    return runs.apply(lambda run: ", ".join(_axis_text(axis, run[axis]) for axis in shown), axis=1)


def _axis_text(axis: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if axis == "tasks" and not str(value).isdigit():
        return str(value) if len(str(value)) < 30 else f"{str(value).count('+') + 1} named tasks"
    return _NAMES[axis].format(int(value) if axis != "layout" else value) if axis in _NAMES else f"{axis} {value}"


def best_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Each connectivity's best learning rate in each panel: the highest mean final validation decision accuracy.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `prepare`.

    Returns
    -------
    pandas.DataFrame
        Columns panel, connectivity, learning_rate (of equals, the smaller), at_edge (``no``, ``low``, ``high``: whether
        the best is the smallest or largest tried, ``only`` when just one was). Validation data only; a diverged cell
        counts as accuracy 0.
    """
    return choose_rate(runs, ["panel", "connectivity"], "final_validation")


def choose_rate(runs: pd.DataFrame, keys: list[str], score: str) -> pd.DataFrame:
    """Learning rate of the highest mean score in each group, and whether it lies at the edge of those tried.

    A rate with fewer seeds than others of its group is not chosen; it serves to show that the best is not at the edge.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per cell, with columns `keys`, learning_rate and `score`.
    keys : list of str
        What makes a group.
    score : str
        Column; the higher, the better.

    Returns
    -------
    pandas.DataFrame
        Columns `keys`, learning_rate (of equals, the smaller) and at_edge (``no``, ``low``, ``high``, or ``only`` where
        a single rate was tried).
    """
    scores = runs.groupby([*keys, "learning_rate"], sort=False)[score].agg(["mean", "size"]).reset_index()
    chosen = []
    for key, group in scores.groupby(keys, sort=False):
        able = group[group["size"] == group["size"].max()].sort_values("learning_rate")
        rate = able["learning_rate"].iloc[int(np.argmax(able["mean"].to_numpy()))]
        edges = {group["learning_rate"].max(): "high", group["learning_rate"].min(): "low"}
        edge = "only" if len(group) == 1 else edges.get(rate, "no")
        chosen.append({**dict(zip(keys, key, strict=True)), "learning_rate": rate, "at_edge": edge})
    return pd.DataFrame(chosen, columns=[*keys, "learning_rate", "at_edge"])


def best_network(runs: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Cells of the best connectivity and rate of a kind in one panel, chosen on validation data.

    Parameters
    ----------
    runs : pandas.DataFrame
        One panel of `lmrnn.curves.comparison.prepare`.
    kind : str
        Kind of connectivity.

    Returns
    -------
    pandas.DataFrame
        Its rows, one per seed, with at_edge and cell (position among all results); empty if there are none.
    """
    rows = runs[runs["kind"] == kind].reset_index(names="cell")
    if rows.empty:
        return rows.assign(at_edge="")
    at_best = rows.merge(choose_rate(rows, ["connectivity"], "final_validation"), on=["connectivity", "learning_rate"])
    scores = at_best.groupby("connectivity")["final_validation"].agg(["mean", "size"])
    name = scores[scores["size"] == scores["size"].max()]["mean"].idxmax()
    return at_best[at_best["connectivity"] == name]


def groups_at_best(
    runs: pd.DataFrame, best: pd.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Groups of runs that share everything but the seed, at their best rate.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `prepare`.
    best : pandas.DataFrame
        Columns `keys`, learning_rate and at_edge, from `choose_rate`.
    keys : list of str
        What makes a group.

    Yields
    ------
    lead : dict
        What the group's runs have in common, with seeds and diverged (numbers of cells).
    group : pandas.DataFrame
        Its runs, sorted by seed so that seeds pair up; column ``cell`` is the position among all results.
    """
    kept = runs.reset_index(names="cell").merge(best, on=[*keys, "learning_rate"])
    for _, group in kept.groupby(keys, sort=False):
        group = group.sort_values("seed")
        first = group.iloc[0]
        lead = {name: first[name] for name in ["panel", "family", *FIRST_AXES, *CONNECTIVITY] if name in group}
        seeds = {"seeds": len(group), "diverged": int((group["status"] == "diverged").sum())}
        yield {**lead, "learning_rate": first["learning_rate"], "at_edge": first["at_edge"], **seeds}, group


def course(result: CellResult, measure: str, steps: np.ndarray) -> np.ndarray:
    """A history's measure at given steps.

    Parameters
    ----------
    result : CellResult
        The cell.
    measure : str
        Name in its history.
    steps : numpy.ndarray
        Steps, (K,).

    Returns
    -------
    numpy.ndarray
        (K,), straight lines between evaluations, the last value beyond the last one. An accuracy is 0 from the moment
        the training has diverged on; trials and seconds stand still from there.
    """
    known = result.history["step"]
    if len(known) == 0:
        return np.zeros(len(steps))
    values = np.nan_to_num(np.interp(steps, known, result.history[measure]))
    if result.status == "diverged" and measure.endswith("accuracy"):
        values = np.where(steps > known[-1], 0.0, values)
    return values
