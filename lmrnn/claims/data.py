"""Claim 2: training trials per task to threshold, full over best local."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lmrnn.claims.speed import CONTROLS, ratio_of_best
from lmrnn.claims.verdicts import claim_row, task_count
from lmrnn.comparison import best_rates
from lmrnn.curves import seed_trials_to_threshold


def data_rows(runs: pd.DataFrame, thresholds: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Claim 2 and its controls for every family with two data sizes or more, and every threshold.

    A seed that is censored counts with the largest data size, so that a ratio can be a bound only: its detail says how
    many cells got there.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `lmrnn.comparison.prepare`.
    thresholds : sequence of float
        Test decision accuracies.

    Yields
    ------
    dict
        A row of claims.csv.
    """
    needed = seed_trials_to_threshold(runs, best_rates(runs), thresholds)
    if needed.empty:
        return
    for (family, threshold), part in needed.groupby(["family", "threshold"], sort=False):
        limit = part["largest"].max()
        bounded = part.assign(cost=part["trials"].clip(upper=limit))
        groups = {
            kind: rows.pivot_table(index="connectivity", columns="seed", values="cost")
            for kind, rows in bounded.groupby("kind")
        }
        if "local" not in groups:
            continue
        common = {
            "threshold": threshold,
            "tasks": task_count(part["tasks"].iloc[0]),
            "unit": "ratio of trials per task",
        }
        for kind, name in {"full": "full", **{kind: name for name, kind in CONTROLS.items()}}.items():
            if kind in groups:
                yield _data_row(
                    str(family), groups[kind], groups["local"], limit, part["smallest"].min(), kind, name, common
                )


def _data_row(
    family: str,
    upper: pd.DataFrame,
    lower: pd.DataFrame,
    limit: float,
    smallest: float,
    kind: str,
    name: str,
    common: dict,
) -> dict[str, Any]:
    """One network's trials per task over the best local one's."""
    found = ratio_of_best(upper, lower, limit, geometric=True)
    enough = [bool(group.size) and (group <= smallest).all(axis=None) for group in (upper, lower)]
    return claim_row(
        2, family, f"{name} / best local", **common, role="claim" if kind == "full" else "control",
        number=found.number, low=found.low, high=found.high, seeds=found.seeds, verdict=found.verdict,
        detail=found.detail + ("; the smallest data size is enough for both" if all(enough) else ""),
    )  # fmt: skip
