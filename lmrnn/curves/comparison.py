"""Which cells of a sweep are compared with each other, and at which learning rate.

Cells that differ in nothing but connectivity, learning rate and seed make one panel. Each connectivity is shown at its
own best learning rate, chosen on validation data only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.curves.identity import identity, panel_settings, told_apart, without, without_digests
from lmrnn.tasks import battery_of
from lmrnn.tasks.observer import ideal_accuracy

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

CONNECTIVITY = ["connectivity", "kind", "radius", "boundary", "density", "synapses"]
RECURRENT = ("recurrent_rate", "reference_degree")
FIRST_AXES = ["tasks", "trials_per_task", "layout", "network_neurons"]
# what rows are told apart by; labels stand beside them for people
IDS = ["panel_id", "family_id", "any_size_id", "connectivity_id"]
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
_IDEAL_TRIALS = 4000  # a Monte Carlo error of .003 at most, in a fourth of a second or less for each base
_LONGEST_BATTERY = 30  # characters up to which the tasks of a battery are named one by one


def prepare(table: pd.DataFrame, results: Sequence[CellResult]) -> pd.DataFrame:
    """The table of cells (row i is results[i]) with what comparing them needs, as a copy.

    ``panel_id`` says which cells are compared, ``family_id`` the same whatever the data size, ``any_size_id`` also
    whatever the number of neurons, ``drive_id`` the same as ``panel_id`` whatever the recurrent rate,
    ``connectivity_id`` which connectivity; ``panel``, ``family``, ``drive_panel`` and ``connectivity`` are their
    labels, different where they are. ``network_neurons`` is the configured N (a matched network may have fewer),
    ``final_validation`` and ``final_test`` the last decision accuracies, 0 for a diverged cell. Raises ValueError when
    table and results differ in number.
    """
    if len(table) != len(results):
        raise ValueError(f"{len(table)} rows of cells, but {len(results)} results")
    runs = table.reset_index(drop=True).copy()
    connectivities = [result.spec["connectivity"] for result in results]
    panels = [panel_settings(result.spec) for result in results]
    families = [without(panel, "trials_per_task") for panel in panels]
    runs["learning_rate"] = [result.spec["training"]["learning_rate"] for result in results]
    runs["network_neurons"] = [result.spec["network"]["neurons"] for result in results]
    labels = without_digests(list(runs["connectivity"].astype(str)), connectivities)
    runs["connectivity"] = told_apart(labels, connectivities)
    batteries = _battery_texts(runs["tasks"])
    axes = _varying_axes(runs)
    names = _panel_names(runs, axes, ["tasks", "trials_per_task"], batteries)
    runs["panel"] = told_apart(names, panels)
    names = _panel_names(runs, [axis for axis in axes if axis != "trials_per_task"], ["tasks"], batteries)
    runs["family"] = told_apart(names, families)
    drives = [without(panel, *RECURRENT) for panel in panels]
    names = _panel_names(runs, [axis for axis in axes if axis not in RECURRENT], ["tasks"], batteries)
    runs["drive_panel"] = told_apart(names, drives)
    lost = runs["status"] == "diverged"
    runs["final_validation"] = runs["validation_decision_accuracy"].where(~lost, 0.0)
    runs["final_test"] = runs["test_decision_accuracy"].where(~lost, 0.0)
    ids = (panels, families, [without(family, "neurons") for family in families], connectivities, drives)
    for name, settings in zip([*IDS, "drive_id"], ids, strict=True):
        runs[name] = [identity(one) for one in settings]
    return runs


def _varying_axes(runs: pd.DataFrame) -> list[str]:
    """Axes of the grid, apart from connectivity, learning rate and seed, that take more than one value."""
    columns = list(runs.columns)
    settings = [name for name in columns[: columns.index("status")] if name not in _NO_AXES]
    others = sorted((name for name in settings if name not in FIRST_AXES), key=lambda name: name in _FOLLOWERS)
    ordered = [*FIRST_AXES, *others]
    return [name for name in ordered if runs[name].nunique(dropna=False) > 1]


def _panel_names(runs: pd.DataFrame, axes: list[str], always: list[str], batteries: Mapping[str, str]) -> list[str]:
    """Name of each run's panel; an axis that tells no further panels apart is left out of the names."""
    named: list[str] = []
    groups = 1
    for axis in axes:
        count = runs.groupby([*named, axis], dropna=False).ngroups
        if count > groups or axis in always:
            named, groups = [*named, axis], count
    shown = [axis for axis in FIRST_AXES if axis in {*named, *always}] + [a for a in named if a not in FIRST_AXES]
    # a setting that a cell does not have (an axis of another block of the grid) is not named
    texts = [[_axis_text(axis, run[axis], batteries) for axis in shown if pd.notna(run[axis])]
             for _, run in runs.iterrows()]  # fmt: skip
    return [", ".join(one) for one in texts]


def _axis_text(axis: str, value: Any, batteries: Mapping[str, str]) -> str:
    if axis == "tasks":
        return batteries[str(value)]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _NAMES[axis].format(int(value) if axis != "layout" else value) if axis in _NAMES else f"{axis} {value}"


def _battery_texts(tasks: pd.Series) -> dict[str, str]:
    """What each battery is called; long lists of names by their number, and by their ends where others have as many."""
    texts = {name: _NAMES["tasks"].format(name) if name.isdigit() else name for name in map(str, tasks)}
    long = [name for name in texts if not name.isdigit() and len(name) >= _LONGEST_BATTERY]
    counts = [name.count("+") + 1 for name in long]
    ends = [" to ".join(name.split("+")[:: count - 1]) for name, count in zip(long, counts, strict=True)]
    for number, (name, count) in enumerate(zip(long, counts, strict=True), 1):
        which = ends[number - 1] if ends.count(ends[number - 1]) == 1 else f"{ends[number - 1]}, no. {number}"
        texts[name] = f"{count} named tasks" + (f" ({which})" if counts.count(count) > 1 else "")
    return texts


def largest_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the largest data size of each family, from a table with family_id and trials_per_task."""
    return rows[rows["trials_per_task"] == rows.groupby("family_id")["trials_per_task"].transform("max")]


def restricted(times: pd.DataFrame) -> pd.DataFrame:
    """Rows of `lmrnn.curves.tables.threshold_times` with a column restricted, whose mean over seeds is restricted.

    Steps to the threshold, or the length of training where it is never reached: the mean is the area under the
    Kaplan-Meier curve where all cells are censored at the same step (P. Royston, M. K. B. Parmar: Restricted mean
    survival time. BMC Medical Research Methodology 13:152, 2013).
    """
    return times.assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))


def always_fixate(cells: Sequence[CellResult]) -> np.ndarray:
    """Decision accuracy on each test task of a network that never answers, (tasks,), or (1,) NaN if not recorded.

    It depends on the test set only, which all cells of a panel share.
    """
    return next((one.test["always_fixate"] for one in cells if "always_fixate" in one.test), np.full(1, np.nan))


def ideal_observer(cells: Sequence[CellResult]) -> np.ndarray:
    """Decision accuracy of the ideal observer on each test task (`lmrnn.tasks.observer`), (tasks,), NaN where unknown.

    It depends on the tasks alone, which all cells of a panel share. The movement of an answer makes no difference, so
    that each base is computed once.
    """
    spec = cells[0].spec
    tasks = battery_of(spec)
    bases = {task.base: replace(task, name=task.base, int_sign=0, seq_sign=0) for task in tasks}
    known = {
        base: ideal_accuracy(task, spec["dt"], spec["definition"], _IDEAL_TRIALS)[0] for base, task in bases.items()
    }
    return np.array([known[task.base] for task in tasks])


def best_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Each connectivity's best learning rate in each panel, by `choose_rate` on the mean final validation accuracy.

    Validation data only; a diverged cell counts as accuracy 0.
    """
    return choose_rate(runs, ["panel_id", "connectivity_id"], "final_validation")


def choose_rate(runs: pd.DataFrame, keys: list[str], score: str) -> pd.DataFrame:
    """Learning rate of the highest mean score in each group of equal `keys`, and whether it lies at the edge.

    Columns: the keys, learning_rate (of equals, the smaller) and at_edge: ``no``, ``low`` or ``high`` where the best is
    the smallest or largest tried, ``only`` where just one was. A rate with fewer seeds than others of its group is not
    chosen; it serves to show that the best is not at the edge.
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
    """Cells of a kind's best connectivity and rate in one panel of `prepare`, chosen on validation data.

    One row per seed, with at_edge and cell (position among all results); empty if there are none.
    """
    rows = runs[runs["kind"] == kind].reset_index(names="cell")
    if rows.empty:
        return rows.assign(at_edge="")
    chosen = choose_rate(rows, ["connectivity_id"], "final_validation")
    at_best = rows.merge(chosen, on=["connectivity_id", "learning_rate"])
    scores = at_best.groupby(["connectivity", "connectivity_id"])["final_validation"].agg(["mean", "size"])
    _, network = scores[scores["size"] == scores["size"].max()]["mean"].idxmax()  # of equals, the first by its label
    return at_best[at_best["connectivity_id"] == network]


def groups_at_best(
    runs: pd.DataFrame, best: pd.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Groups of runs that share `keys`, at their best rate (columns keys, learning_rate, at_edge of `choose_rate`).

    Yields what each group's runs have in common, with seeds and diverged (numbers of cells), and the runs themselves,
    sorted by seed so that seeds pair up, with the position among all results as column ``cell``.
    """
    kept = runs.reset_index(names="cell").merge(best, on=[*keys, "learning_rate"])
    for _, group in kept.groupby(keys, sort=False):
        group = group.sort_values("seed")
        first = group.iloc[0]
        lead = {name: first[name] for name in ["panel", "family", *FIRST_AXES, *CONNECTIVITY] if name in group}
        ids = {name: first[name] for name in IDS if name in group}
        seeds = {"seeds": len(group), "diverged": int((group["status"] == "diverged").sum())}
        yield {**lead, "learning_rate": first["learning_rate"], "at_edge": first["at_edge"], **seeds, **ids}, group


def course(result: CellResult, measure: str, steps: np.ndarray) -> np.ndarray:
    """A measure of a cell's history at given steps, both (K,).

    Straight lines between evaluations, the last value beyond the last one. An accuracy is 0 from the moment the
    training has diverged on; trials and seconds stand still from there.
    """
    known = result.history["step"]
    if len(known) == 0:
        return np.zeros(len(steps))
    values = np.nan_to_num(np.interp(steps, known, result.history[measure]))
    if result.status == "diverged" and measure.endswith("accuracy"):
        values = np.where(steps > known[-1], 0.0, values)
    return values
