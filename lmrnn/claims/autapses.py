"""Claim 3: a pool of autapses does as well as local networks on the 20 tasks, and far worse on Mod-Cog's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import ENOUGH_SEEDS, claim_row
from lmrnn.curves.comparison import always_fixate, best_network, largest_size
from lmrnn.curves.statistics import paired_interval, student_interval
from lmrnn.tasks import battery_of, spans, task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult
    from lmrnn.tasks import Task

AT_PAR, FAR_BEHIND = -0.03, -0.20  # differences in decision accuracy
_CONSTANT = ", constant delay"
_FAMILIES = {"reach": "reach", "match": "match", "dlydm": "delayed decision"}


def task_group(task: Task, definition: str = "corrected") -> str:
    """Group of tasks for which claim 3 is reported apart.

    ``own``, ``base``, ``seq``, ``int, reach family``, ``int, match family``, ``int, delayed decision family`` or
    ``int and seq``; with ``, constant delay`` in the `released` definition, in which the delay of the
    delayed decision family's int tasks never varies, so that there is nothing to integrate.
    """
    if task.own:
        return "own"
    if task.int_sign and task.seq_sign:
        return "int and seq"
    if task.int_sign:
        span = spans(task, definition)["delay"]
        return f"int, {_FAMILIES[task.family]} family" + (_CONSTANT if span.low == span.high else "")
    return "seq" if task.seq_sign else "base"


def _group_members(spec: Mapping[str, Any]) -> dict[str, list[int]]:
    """Positions of each group's tasks in a battery."""
    members: dict[str, list[int]] = {}
    for position, task in enumerate(battery_of(spec)):
        members.setdefault(task_group(task, spec["definition"]), []).append(position)
    return members


def autapse_rows(runs: pd.DataFrame, results: Sequence[CellResult]) -> Iterator[dict[str, Any]]:
    """Claim 3 and its controls as rows of claims.csv, for every panel of the largest data size, by group of tasks.

    From `lmrnn.curves.comparison.prepare` and the same cells.
    """
    for _, part in largest_size(runs).groupby("panel_id", sort=False):
        local = best_network(part, "local")
        spec = results[part.index[0]].spec
        members = _group_members(spec)
        for kind, role in (("autapse", "claim"), ("full", "control"), ("random", "control")):
            other = best_network(part, kind)
            if other.empty or local.empty:
                continue
            for group, positions in members.items():
                # where the delay is constant, the paper claims nothing
                own = "control" if group.endswith(_CONSTANT) else role
                yield _difference_row(other, local, results, (group, positions), own)


def _difference_row(
    other: pd.DataFrame,
    local: pd.DataFrame,
    results: Sequence[CellResult],
    group: tuple[str, list[int]],
    role: str,
) -> dict[str, Any]:
    """One network minus the best local one on one group of tasks."""
    name, positions = group
    first, kind = local.iloc[0], str(other["kind"].iloc[0])
    samples = [_accuracy_by_seed(rows, results, positions) for rows in (other, local)]
    seeds = sorted(set(samples[0]) & set(samples[1]))
    values = [np.array([sample[seed] for seed in seeds]) for sample in samples]
    measured = _measured(values, name == "base", role, _fixating(results[first["cell"]], positions)) if seeds else {}
    gains_little = measured.pop("gains_little", False)
    if seeds:
        labels = [f"{rows['connectivity'].iloc[0]} at {rows['learning_rate'].iloc[0]:g}" for rows in (other, local)]
        little = "; local itself gains fewer than 20 points over always fixate" if gains_little else ""
        measured["detail"] = " minus ".join(labels) + f"; {len(positions)} tasks{little}"
    comparison = f"{kind} - best local, {name} tasks"
    return claim_row(
        3, (first["panel_id"], first["panel"]), comparison, kind, role=role, tasks=task_count(first["tasks"]),
        subject=name, **measured,
    )  # fmt: skip


def _measured(values: list[np.ndarray], base: bool, role: str, baseline: float) -> dict[str, Any]:
    """Columns of one difference, from the accuracies of both networks by seed."""
    number, low, high = paired_interval(values, lambda a, b: (a - b).mean(axis=-1))
    t_low, t_high = student_interval(values[0] - values[1])
    gain = values[1].mean() - baseline
    verdicts = [
        verdict_of_difference(*interval, len(values[0]), base, gain) if role == "claim" else ""
        for interval in ((low, high), (t_low, t_high))
    ]
    return {
        **{"number": number, "low": low, "high": high, "t_low": t_low, "t_high": t_high},
        **{"first": values[0].mean(), "second": values[1].mean(), "baseline": baseline, "seeds": len(values[0])},
        **{"unit": "difference in decision accuracy", "verdict": verdicts[0], "strict_verdict": verdicts[1]},
        "gains_little": gain < -FAR_BEHIND,
    }


def _fixating(result: CellResult, positions: list[int]) -> float:
    """Decision accuracy on a group of tasks of a network that never answers; NaN where it was not recorded."""
    known = always_fixate([result])
    return float(np.mean(known[positions])) if len(known) > max(positions) else float("nan")


def _accuracy_by_seed(rows: pd.DataFrame, results: Sequence[CellResult], positions: list[int]) -> dict[int, float]:
    """Mean test decision accuracy over a group of tasks, 0 for a diverged cell."""
    return {
        int(run["seed"]): float(np.mean(results[run["cell"]].test["decision_accuracy"][positions]))
        if run["status"] == "completed"
        else 0.0
        for _, run in rows.iterrows()
    }


def verdict_of_difference(low: float, high: float, seeds: int, base: bool, gain: float = float("nan")) -> str:
    """What the interval of autapse minus local, in decision accuracy, says of claim 3.

    ``supported``, ``not supported`` or ``undecided``: on `base` tasks autapses should be within 3 points, else 20 or
    more behind. It is undecided also where the local networks themselves have a `gain` over always fixate (NaN where
    that is not known) of fewer than 20 points: they have not learned the tasks, and nothing can lie 20 behind them.
    """
    if seeds < ENOUGH_SEEDS or not np.isfinite(low) or gain < -FAR_BEHIND:
        return "undecided"
    if base:
        return "supported" if low >= AT_PAR else "not supported" if high < AT_PAR else "undecided"
    return "supported" if high <= FAR_BEHIND else "not supported" if low > FAR_BEHIND else "undecided"
