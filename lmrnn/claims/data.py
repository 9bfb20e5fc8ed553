"""Claim 2: training trials per task to threshold, full over best local."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.ratios import Ratio, ratio_of_best
from lmrnn.claims.speed import CONTROLS, SAME_SEEDS
from lmrnn.claims.verdicts import claim_row
from lmrnn.curves.comparison import best_rates
from lmrnn.curves.tables import seed_trials_to_threshold
from lmrnn.tasks import task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult


def data_rows(
    runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Claim 2 and its controls as rows of claims.csv, for every family with two data sizes or more, every threshold.

    From `lmrnn.curves.comparison.prepare` and the same cells. Two networks are compared over the data sizes at which
    both were trained. A seed that no size brings to the threshold counts with the largest, one that the smallest brings
    there with the smallest; a ratio is then a bound only, which its detail says and its verdict heeds. Controls: random
    and matched networks in place of the full one, the radius chosen on the seeds it is measured on and every radius by
    itself (where there are several), and the accuracy of each training's best evaluation instead of its last.
    """
    stopped = _stopped_early(runs, results)
    for family in runs["family_id"].unique():
        own = runs[runs["family_id"] == family]
        yield from _pair_rows(own, "full", "full / best local", "best", thresholds)
        for name, kind in CONTROLS.items():
            yield from _pair_rows(own, kind, f"{name} / best local", kind, thresholds)
        early = stopped[stopped["family_id"] == family]
        yield from _pair_rows(early, "full", "full / best local, both stopped early", "early", thresholds)


def _stopped_early(runs: pd.DataFrame, results: Sequence[CellResult]) -> pd.DataFrame:
    """The runs as if each training had stopped at its best evaluation, whose validation accuracy stands for both."""
    peaks = [float(np.nanmax(r.history["decision_accuracy"], initial=0.0)) for r in results]
    best = pd.Series(peaks).where(runs["status"] != "diverged", 0.0)
    return runs.assign(final_validation=best, final_test=best)


def _pair_rows(
    own: pd.DataFrame, kind: str, comparison: str, variant: str, thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Rows of one kind against the local networks of one family."""
    sizes = _shared_sizes(own, kind)
    if len(sizes) < 2:
        return
    kept = _with_all_sizes(own[own["kind"].isin([kind, "local"])], sizes)
    needed = seed_trials_to_threshold(kept, best_rates(kept), thresholds) if len(kept) else kept
    for threshold, part in needed.groupby("threshold", sort=False) if len(needed) else ():
        first = part.iloc[0]
        common = {"threshold": threshold, "tasks": task_count(first["tasks"]), "unit": "ratio of trials per task"}
        for words, what, found in _ratios(part, kind, variant, comparison):
            one = found.columns()
            one["detail"] = f"{one['detail']}; sizes {', '.join(str(size) for size in sizes)}"
            role = "claim" if what == "best" else "control"
            yield claim_row(2, (first["family_id"], first["family"]), words, what, role=role, **common, **one)


def _ratios(part: pd.DataFrame, kind: str, variant: str, comparison: str) -> Iterator[tuple[str, str, Ratio]]:
    """What is compared, and its ratio: the best, then, for the claim itself, chosen otherwise and radius by radius."""
    limit, smallest = float(part["largest"].max()), float(part["smallest"].min())
    cost = part.assign(cost=part["trials"].clip(upper=limit))
    network = ["connectivity", "connectivity_id"]
    upper, lower = (
        cost[cost["kind"] == one].pivot_table(index=network, columns="seed", values="cost") for one in (kind, "local")
    )
    edges = part[part["at_edge"] != "no"]
    options: dict[str, Any] = {
        "limit": limit,
        "smallest": smallest,
        "geometric": True,
        "at_edge": set(zip(edges["connectivity"], edges["connectivity_id"], strict=True)),
    }
    yield comparison, variant, ratio_of_best(upper, lower, **options)
    if variant == "best" and len(lower) > 1:
        yield f"{comparison}, {SAME_SEEDS}", "same seeds", ratio_of_best(upper, lower, **options, held_out=False)
        for one in lower.index:
            yield f"{kind} / {one[0]}", "network", ratio_of_best(upper, lower.loc[[one]], **options)


def _shared_sizes(own: pd.DataFrame, kind: str) -> list[int]:
    """Data sizes at which both kinds were trained, each by a connectivity with as many seeds as it has anywhere."""
    shared: set[int] | None = None
    for one in (kind, "local"):
        sizes: set[int] = set()
        for _, runs in own[own["kind"] == one].groupby("connectivity_id"):
            seeds = runs.groupby("trials_per_task")["seed"].nunique()
            sizes |= set(seeds.index[seeds == seeds.max()])
        shared = sizes if shared is None else shared & sizes
    return sorted(int(size) for size in shared or ())


def _with_all_sizes(runs: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Runs at the given sizes of connectivities and seeds that have every one of them."""
    kept = runs[runs["trials_per_task"].isin(sizes)]
    count = kept.groupby(["connectivity_id", "seed"])["trials_per_task"].transform("nunique")
    return kept[count == len(sizes)]
