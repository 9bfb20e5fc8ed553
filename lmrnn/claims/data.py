"""Claim 2: training trials per task to threshold, full over best local."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.ratios import Ratio, ratio_of_best
from lmrnn.claims.speed import CONTROLS
from lmrnn.claims.verdicts import SAME_SEEDS, claim_row
from lmrnn.curves.comparison import best_rates
from lmrnn.curves.tables import seed_trials_to_threshold
from lmrnn.tasks import task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult


def data_rows(
    runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Claim 2 and its controls for every family with two data sizes or more, and every threshold.

    Two networks are compared over the data sizes at which both were trained. A seed that no size brings to the
    threshold counts with the largest, one that the smallest brings there with the smallest; a ratio is then a bound
    only, which its detail says and its verdict heeds.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `lmrnn.curves.comparison.prepare`.
    results : sequence of CellResult
        The same cells.
    thresholds : sequence of float
        Test decision accuracies.

    Yields
    ------
    dict
        A row of claims.csv. Controls: random and matched networks in place of the full one, the radius chosen on the
        seeds it is measured on and every radius by itself (where there are several), and the accuracy of each
        training's best evaluation instead of its last.
    """
    stopped = _stopped_early(runs, results)
    for family in runs["family"].unique():
        own = runs[runs["family"] == family]
        for kind, name in {"full": "full", **{kind: name for name, kind in CONTROLS.items()}}.items():
            role = "claim" if kind == "full" else "control"
            yield from _pair_rows(own, kind, f"{name} / best local", role, thresholds)
        early = stopped[stopped["family"] == family]
        yield from _pair_rows(early, "full", "full / best local, both stopped early", "control", thresholds)


def _stopped_early(runs: pd.DataFrame, results: Sequence[CellResult]) -> pd.DataFrame:
    """The runs as if each training had stopped at its best evaluation, whose validation accuracy stands for both."""
    peaks = [float(np.nanmax(r.history["decision_accuracy"], initial=0.0)) for r in results]
    best = pd.Series(peaks).where(runs["status"] != "diverged", 0.0)
    return runs.assign(final_validation=best, final_test=best)


def _pair_rows(
    own: pd.DataFrame, kind: str, comparison: str, role: str, thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Rows of one kind against the local networks of one family."""
    sizes = _shared_sizes(own, kind)
    if len(sizes) < 2:
        return
    kept = _with_all_sizes(own[own["kind"].isin([kind, "local"])], sizes)
    needed = seed_trials_to_threshold(kept, best_rates(kept), thresholds) if len(kept) else kept
    for threshold, part in needed.groupby("threshold", sort=False) if len(needed) else ():
        common = {
            "threshold": threshold,
            "tasks": task_count(part["tasks"].iloc[0]),
            "unit": "ratio of trials per task",
        }
        for number, (words, found) in enumerate(_ratios(part, kind, role, comparison)):
            one = found.columns()
            one["detail"] = f"{one['detail']}; sizes {', '.join(str(size) for size in sizes)}"
            place = str(part["family"].iloc[0])
            yield claim_row(2, place, words, role=role if number == 0 else "control", **common, **one)


def _ratios(part: pd.DataFrame, kind: str, role: str, comparison: str) -> Iterator[tuple[str, Ratio]]:
    """What is compared, and its ratio: the best, then, for the claim itself, chosen otherwise and radius by radius."""
    limit, smallest = float(part["largest"].max()), float(part["smallest"].min())
    cost = part.assign(cost=part["trials"].clip(upper=limit))
    tables = [
        cost[cost["kind"] == one].pivot_table(index="connectivity", columns="seed", values="cost")
        for one in (kind, "local")
    ]
    options = {
        "limit": limit,
        "smallest": smallest,
        "geometric": True,
        "at_edge": set(part.loc[part["at_edge"] != "no", "connectivity"]),
    }
    upper, lower = tables
    yield comparison, ratio_of_best(upper, lower, **options)
    if role == "claim" and len(lower) > 1:
        yield f"{comparison}, {SAME_SEEDS}", ratio_of_best(upper, lower, **options, held_out=False)
        for name in lower.index:
            yield f"{kind} / {name}", ratio_of_best(upper, lower.loc[[name]], **options)


def _shared_sizes(own: pd.DataFrame, kind: str) -> list[int]:
    """Data sizes at which both kinds were trained, each by a connectivity with as many seeds as it has anywhere."""
    shared: set[int] | None = None
    for one in (kind, "local"):
        sizes: set[int] = set()
        for _, runs in own[own["kind"] == one].groupby("connectivity"):
            seeds = runs.groupby("trials_per_task")["seed"].nunique()
            sizes |= set(seeds.index[seeds == seeds.max()])
        shared = sizes if shared is None else shared & sizes
    return sorted(int(size) for size in shared or ())


def _with_all_sizes(runs: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Runs at the given sizes of connectivities and seeds that have every one of them."""
    kept = runs[runs["trials_per_task"].isin(sizes)]
    count = kept.groupby(["connectivity", "seed"])["trials_per_task"].transform("nunique")
    return kept[count == len(sizes)]
