"""Claim 1: steps to threshold, full over best local, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import claim_row, task_count, verdict_of_ratio
from lmrnn.summary import paired_interval

# control: the kind of connectivity that takes the place of the full network
CONTROLS = {"random of equal density": "random", "full with as many synapses": "full_matched"}


def candidates(times: pd.DataFrame, kind: str, value: str = "restricted") -> pd.DataFrame:
    """Every connectivity of a kind at every learning rate, seed by seed.

    Parameters
    ----------
    times : pandas.DataFrame
        Rows of one panel and threshold from `lmrnn.curves.threshold_times`, with a column `value`.
    kind : str
        Kind of connectivity.
    value : str
        Column.

    Returns
    -------
    pandas.DataFrame
        Index connectivity and learning_rate, a column per seed; NaN where that cell was not trained.
    """
    rows = times[times["kind"] == kind]
    return rows.pivot_table(index=["connectivity", "learning_rate"], columns="seed", values=value)


def ratio_of_best(upper: pd.DataFrame, lower: pd.DataFrame) -> dict[str, Any]:
    """Restricted mean steps of the best of one group over that of the best of another.

    The best (connectivity and learning rate) is the one of the smallest mean over seeds, chosen anew in every
    resample of the bootstrap, so that the interval includes the luck of the choice.

    Parameters
    ----------
    upper, lower : pandas.DataFrame
        From `candidates`; seeds that both have are used, and candidates that have them all.

    Returns
    -------
    dict
        number, low, high, seeds, the names of both choices (``upper``, ``lower``) and whether each lies at the edge of
        the rates tried (``edges``). number is NaN if nothing can be compared.
    """
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    upper_full, lower_full = upper.reindex(columns=seeds).dropna(), lower.reindex(columns=seeds).dropna()
    if not seeds or upper_full.empty or lower_full.empty:
        return {
            "number": np.nan,
            "low": np.nan,
            "high": np.nan,
            "seeds": 0,
            "upper": "",
            "lower": "",
            "edges": (False,) * 2,
        }

    def statistic(index: np.ndarray) -> np.ndarray:  # (resamples, seeds) of positions of seeds
        index = index.astype(int)
        means = [group.to_numpy()[:, index].mean(axis=-1).min(axis=0) for group in (upper_full, lower_full)]
        return means[0] / means[1]

    number, low, high = paired_interval([np.arange(len(seeds))], statistic)
    chosen = [group.mean(axis=1).idxmin() for group in (upper_full, lower_full)]
    edges = tuple(_at_edge(group, best) for group, best in zip((upper, lower), chosen, strict=True))
    names = [f"{name} at {rate:g}" for name, rate in chosen]
    return {
        "number": number,
        "low": low,
        "high": high,
        "seeds": len(seeds),
        "upper": names[0],
        "lower": names[1],
        "edges": edges,
    }


def _at_edge(group: pd.DataFrame, best: tuple[str, float]) -> bool:
    """Whether the best rate is the smallest or largest tried with that connectivity (by any seed)."""
    rates = group.loc[[best[0]]].index.get_level_values("learning_rate")
    return best[1] in (rates.min(), rates.max())


def speed_rows(times: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 1 and its controls for every panel of the largest data size, and every threshold.

    Parameters
    ----------
    times : pandas.DataFrame
        From `lmrnn.curves.threshold_times`.

    Yields
    ------
    dict
        A row of claims.csv.
    """
    largest = times["trials_per_task"] == times.groupby("family")["trials_per_task"].transform("max")
    limited = times[largest].assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))
    for (panel, threshold), part in limited.groupby(["panel", "threshold"], sort=False):
        groups = {kind: candidates(part, kind) for kind in ("local", "full", "random", "full_matched")}
        common = {"threshold": threshold, "tasks": task_count(part["tasks"].iloc[0])}
        if groups["local"].empty or groups["full"].empty:
            continue
        yield _speed_row(panel, part, groups["full"], groups["local"], "full / best local", **common)
        for name, kind in CONTROLS.items():
            if len(groups[kind]):
                yield _speed_row(
                    panel, part, groups[kind], groups["local"], f"{name} / best local", role="control", **common
                )
        shared = set(groups["full"].index.get_level_values(1)) & set(groups["local"].index.get_level_values(1))
        for rate in sorted(shared):
            pair = (group[group.index.get_level_values(1) == rate] for group in (groups["full"], groups["local"]))
            yield _speed_row(panel, part, *pair, f"full / best local, both at {rate:g}", role="control", **common)


def _speed_row(
    panel: str, part: pd.DataFrame, upper: pd.DataFrame, lower: pd.DataFrame, comparison: str, **common: Any
) -> dict:
    found = ratio_of_best(upper, lower)
    edges = found.pop("edges") if "both at" not in comparison else (found.pop("edges"), (False, False))[1]
    detail = f"{found.pop('upper')} over {found.pop('lower')}{_edge_text(edges)}{_censored_text(part, upper, lower)}"
    return claim_row(
        1, panel, comparison, **common, **found, unit="ratio of steps", detail=detail,
        verdict=verdict_of_ratio(found["low"], found["high"], found["seeds"], edges),
    )  # fmt: skip


def _edge_text(edges: tuple[bool, bool]) -> str:
    words = [word for word, edge in zip(("first", "second"), edges, strict=True) if edge]
    return f"; the {' and the '.join(words)} at the edge of the rates tried" if words else ""


def _censored_text(part: pd.DataFrame, upper: pd.DataFrame, lower: pd.DataFrame) -> str:
    """Say that a ratio is a bound only, where a chosen network has seeds that never got there."""
    limit = part["limit_steps"].max()
    if upper.empty or lower.empty:
        return ""
    late = [bool((group.loc[group.mean(axis=1).idxmin()] >= limit).any()) for group in (upper, lower)]
    return {
        (True, False): "; at least this",
        (False, True): "; at most this",
        (True, True): "; neither always gets there",
    }.get((late[0], late[1]), "")
