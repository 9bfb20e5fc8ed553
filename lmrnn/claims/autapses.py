"""Claim 3: a pool of autapses does as well as local networks on the 20 tasks, and far worse on Mod-Cog's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.best import Comparison, Design, compare
from lmrnn.claims.networks import READ, Networks
from lmrnn.claims.verdicts import claim_row
from lmrnn.curves.comparison import always_fixate, largest_size
from lmrnn.tasks import battery_of, spans, task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult
    from lmrnn.tasks import Task

# Differences in decision accuracy. Nobody has said where "as well" and "fail" begin: the page shows the verdicts that
# other limits would give (`lmrnn.claims.limits`).
AT_PAR, FAR_BEHIND = -0.03, -0.20
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

    From `lmrnn.curves.comparison.prepare` and the same cells. Both networks are at the setting that is best on a
    group's test tasks for the other seeds; a diverged cell counts as 0.
    """
    for _, part in largest_size(runs)[READ].groupby("panel_id", sort=False):
        spec, design, networks = results[part.index[0]].spec, Design.of(part), Networks(part)
        for group, positions in _group_members(spec).items():
            costs = design.costs(-np.array([_accuracy(results[i], positions) for i in part.index]))
            local = costs.of(networks.ids("local"))
            for kind, role in (("autapse", "claim"), ("full", "control"), ("random", "control")):
                other = costs.of(networks.ids(kind))
                if not local.settings or not other.settings:
                    continue
                # where the delay is constant, the paper claims nothing
                own = "control" if group.endswith(_CONSTANT) else role
                baseline = _fixating(results[part.index[0]], positions)
                yield _row(part.iloc[0], kind, (group, len(positions)), compare(local, other), baseline, own)


def _accuracy(result: CellResult, positions: list[int]) -> float:
    """Mean test decision accuracy over a group of tasks, 0 for a diverged cell."""
    return float(np.mean(result.test["decision_accuracy"][positions])) if result.status == "completed" else 0.0


def _fixating(result: CellResult, positions: list[int]) -> float:
    """Decision accuracy on a group of tasks of a network that never answers; NaN where it was not recorded."""
    known = always_fixate([result])
    return float(np.mean(known[positions])) if len(known) > max(positions) else float("nan")


def _row(
    first: pd.Series, kind: str, group: tuple[str, int], found: Comparison, baseline: float, role: str
) -> dict[str, Any]:
    """One network minus the best local one on one group of tasks (its name and how many)."""
    name, count = group
    columns = found.columns()
    # costs of local minus costs of the other: what is first in the comparison is second in the difference
    columns |= {"first": found.second, "second": found.first, "detail": f"{found.detail}; {count} tasks"}
    columns["bound"] = ""
    if role == "claim":
        columns["sides"] = sides(found, name)
    if name != "base":
        columns["forbidden"] = found.forbidden[::-1]
    if found.first - baseline < -FAR_BEHIND:
        little = "local itself gains fewer than 20 points over always fixate"
        columns |= {"forbidden": (little, little), "detail": f"{columns['detail']}; {little}"}
    return claim_row(
        3, (first["panel_id"], first["panel"]), f"{kind} - best local, {name} tasks", kind, role=role,
        tasks=task_count(first["tasks"]), subject=name, measure="accuracy", baseline=baseline,
        unit="difference in decision accuracy", **columns,
    )  # fmt: skip


def sides(found: Comparison, group: str) -> tuple[float, float]:
    """One-sided p values for and against claim 3: above `AT_PAR` on base tasks, below `FAR_BEHIND` on others."""
    if group == "base":
        return found.p(AT_PAR)
    above, below = found.p(FAR_BEHIND)
    return below, above
