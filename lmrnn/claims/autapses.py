"""Claim 3: a pool of autapses does as well as local networks on the 20 tasks, and far worse on Mod-Cog's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import ENOUGH_SEEDS, claim_row
from lmrnn.curves.comparison import best_network
from lmrnn.curves.statistics import paired_interval, student_interval
from lmrnn.tasks import battery, spans, task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult
    from lmrnn.tasks import Task

AT_PAR, FAR_BEHIND = -0.03, -0.20  # differences in decision accuracy
_CONSTANT = ", constant delay"
_FAMILIES = {"reach": "reach", "match": "match", "dlydm": "delayed decision"}


def task_group(task: Task, definition: str = "corrected") -> str:
    """Group of tasks for which claim 3 is reported apart.

    Parameters
    ----------
    task : Task
        A task.
    definition : str
        ``corrected`` or ``released``; in the latter the delay of the delayed decision family's int tasks never varies,
        so that there is nothing to integrate.

    Returns
    -------
    str
        ``base``, ``seq``, ``int, reach family``, ``int, match family``, ``int, delayed decision family`` (with
        ``, constant delay`` where it is) or ``int and seq``.
    """
    if task.int_sign and task.seq_sign:
        return "int and seq"
    if task.int_sign:
        span = spans(task, definition)["delay"]
        return f"int, {_FAMILIES[task.family]} family" + (_CONSTANT if span.low == span.high else "")
    return "seq" if task.seq_sign else "base"


def _group_members(tasks: Any, definition: str) -> dict[str, list[int]]:
    """Positions of each group's tasks in a battery."""
    members: dict[str, list[int]] = {}
    for position, task in enumerate(battery(tasks)):
        members.setdefault(task_group(task, definition), []).append(position)
    return members


def autapse_rows(runs: pd.DataFrame, results: Sequence[CellResult]) -> Iterator[dict[str, Any]]:
    """Claim 3 and its control for every panel of the largest data size, by group of tasks.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `lmrnn.curves.comparison.prepare`.
    results : sequence of CellResult
        The same cells.

    Yields
    ------
    dict
        A row of claims.csv.
    """
    largest = runs["trials_per_task"] == runs.groupby("family")["trials_per_task"].transform("max")
    for panel, part in runs[largest].groupby("panel", sort=False):
        local = best_network(part, "local")
        spec = results[part.index[0]].spec
        members = _group_members(spec["tasks"], spec["definition"])
        for kind, role in (("autapse", "claim"), ("full", "control"), ("random", "control")):
            other = best_network(part, kind)
            if other.empty or local.empty:
                continue
            for group, positions in members.items():
                # where the delay is constant, the paper claims nothing
                own = "control" if group.endswith(_CONSTANT) else role
                yield _difference_row(str(panel), part, other, local, results, (group, positions), own)


def _difference_row(
    panel: str,
    part: pd.DataFrame,
    other: pd.DataFrame,
    local: pd.DataFrame,
    results: Sequence[CellResult],
    group: tuple[str, list[int]],
    role: str,
) -> dict[str, Any]:
    """One network minus the best local one on one group of tasks."""
    name, positions = group
    count = task_count(part["tasks"].iloc[0])
    samples = [_accuracy_by_seed(rows, results, positions) for rows in (other, local)]
    seeds = sorted(set(samples[0]) & set(samples[1]))
    values = [np.array([sample[seed] for seed in seeds]) for sample in samples]
    if not seeds:
        return claim_row(3, panel, f"{other['kind'].iloc[0]} - best local, {name} tasks", role=role, tasks=count)
    number, low, high = paired_interval(values, lambda a, b: (a - b).mean(axis=-1))
    t_low, t_high = student_interval(values[0] - values[1])
    labels = [f"{rows['connectivity'].iloc[0]} at {rows['learning_rate'].iloc[0]:g}" for rows in (other, local)]
    baseline = _always_fixate(results[local["cell"].iloc[0]], positions)
    gain = values[1].mean() - baseline
    little = "; local itself gains fewer than 20 points over always fixate" if gain < -FAR_BEHIND else ""
    verdicts = [
        verdict_of_difference(*interval, len(seeds), name == "base", gain) if role == "claim" else ""
        for interval in ((low, high), (t_low, t_high))
    ]
    return claim_row(
        3,
        panel,
        f"{other['kind'].iloc[0]} - best local, {name} tasks",
        role=role,
        number=number,
        low=low,
        high=high,
        t_low=t_low,
        t_high=t_high,
        first=values[0].mean(),
        second=values[1].mean(),
        baseline=baseline,
        seeds=len(seeds),
        unit="difference in decision accuracy",
        tasks=count,
        detail=" minus ".join(labels) + f"; {len(positions)} tasks{little}",
        verdict=verdicts[0],
        strict_verdict=verdicts[1],
    )


def _always_fixate(result: CellResult, positions: list[int]) -> float:
    """Decision accuracy on a group of tasks of a network that never answers; NaN where it was not recorded."""
    known = result.test.get("always_fixate")
    return float("nan") if known is None else float(np.mean(known[positions]))


def _accuracy_by_seed(rows: pd.DataFrame, results: Sequence[CellResult], positions: list[int]) -> dict[int, float]:
    """Mean test decision accuracy over a group of tasks, 0 for a diverged cell."""
    return {
        int(run["seed"]): float(np.mean(results[run["cell"]].test["decision_accuracy"][positions]))
        if run["status"] == "completed"
        else 0.0
        for _, run in rows.iterrows()
    }


def verdict_of_difference(low: float, high: float, seeds: int, base: bool, gain: float = float("nan")) -> str:
    """What the interval of autapse minus local says of claim 3.

    Parameters
    ----------
    low, high : float
        Interval of the difference in decision accuracy.
    seeds : int
        Number of seeds.
    base : bool
        Whether the tasks are base tasks, on which autapses should be within 3 points; else 20 points or more behind.
    gain : float
        Decision accuracy of the local networks beyond always fixate; NaN where that is not known.

    Returns
    -------
    str
        ``supported``, ``not supported`` or ``undecided``, which it also is where the local networks themselves gain
        fewer than 20 points: they have not learned the tasks, and nothing can lie 20 points behind them.
    """
    if seeds < ENOUGH_SEEDS or not np.isfinite(low) or gain < -FAR_BEHIND:
        return "undecided"
    if base:
        return "supported" if low >= AT_PAR else "not supported" if high < AT_PAR else "undecided"
    return "supported" if high <= FAR_BEHIND else "not supported" if low > FAR_BEHIND else "undecided"
