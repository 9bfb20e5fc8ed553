"""Claim 2: training trials per task to threshold, full over best local."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.speed import CONTROLS
from lmrnn.claims.verdicts import claim_row, task_count, verdict_of_ratio
from lmrnn.comparison import best_rates
from lmrnn.curves import seed_trials_to_threshold
from lmrnn.summary import paired_interval


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
        bounded = part.assign(log=np.log(part["trials"].clip(upper=part["largest"])))
        groups = {
            kind: bounded[bounded["kind"] == kind].pivot_table(index="connectivity", columns="seed", values="log")
            for kind in ("local", "full", "random", "full_matched")
        }
        tasks = task_count(part["tasks"].iloc[0])
        for kind, comparison in {"full": "full", **{kind: name for name, kind in CONTROLS.items()}}.items():
            if len(groups[kind]) and len(groups["local"]):
                role = "claim" if kind == "full" else "control"
                values = _geometric_ratio(groups[kind], groups["local"])
                text = (
                    f"reached by {part[part['kind'] == kind]['reached'].sum()} of {(part['kind'] == kind).sum()} and "
                )
                text += f"{part[part['kind'] == 'local']['reached'].sum()} of {(part['kind'] == 'local').sum()} cells"
                yield claim_row(
                    2, family, f"{comparison} / best local", **values, threshold=threshold, role=role, tasks=tasks,
                    unit="ratio of trials per task", detail=text,
                    verdict=verdict_of_ratio(values["low"], values["high"], values["seeds"]),
                )  # fmt: skip


def _geometric_ratio(upper: pd.DataFrame, lower: pd.DataFrame) -> dict[str, Any]:
    """Geometric mean over seeds of the best of one group over that of the other; input in logarithms."""
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    tops, bottoms = (group.reindex(columns=seeds).dropna().to_numpy() for group in (upper, lower))
    if not seeds or not len(tops) or not len(bottoms):
        return {"number": np.nan, "low": np.nan, "high": np.nan, "seeds": 0}

    def statistic(index: np.ndarray) -> np.ndarray:
        index = index.astype(int)
        return np.exp(tops[:, index].mean(axis=-1).min(axis=0) - bottoms[:, index].mean(axis=-1).min(axis=0))

    number, low, high = paired_interval([np.arange(len(seeds))], statistic)
    return {"number": number, "low": low, "high": high, "seeds": len(seeds)}
