"""Claim 1: steps to threshold, full over best local, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Ratio:
    """Best of one group over best of another.

    Parameters
    ----------
    number, low, high : float
        Ratio and its 95% interval; NaN where there is nothing to compare.
    seeds : int
        Seeds that it rests on.
    names : tuple of str
        Which network, at which rate, was the best of each group.
    edges : tuple of bool
        Whether each lies at the edge of the rates tried.
    late : tuple of bool
        Whether some seed of each never got there, so that its mean is a lower bound.
    """

    number: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    seeds: int = 0
    names: tuple[str, str] = ("", "")
    edges: tuple[bool, bool] = (False, False)
    late: tuple[bool, bool] = (False, False)

    @property
    def verdict(self) -> str:
        """Whether the ratio is greater than one; what a better rate or more training could turn stays undecided."""
        return verdict_of_ratio(
            self.low, self.high, self.seeds, (self.edges[0] or self.late[1], self.edges[1] or self.late[0])
        )

    @property
    def detail(self) -> str:
        """Which networks were compared, and what limits the comparison."""
        text = " over ".join(self.names) if self.seeds else ""
        words = [word for word, edge in zip(("first", "second"), self.edges, strict=True) if edge]
        if words:
            text += f"; the {' and the '.join(words)} at the edge of the rates tried"
        bounds = {
            (True, False): "at least this",
            (False, True): "at most this",
            (True, True): "neither always gets there",
        }
        return text + (f"; {bounds[self.late]}" if self.late in bounds else "")


def ratio_of_best(upper: pd.DataFrame, lower: pd.DataFrame, limit: float, geometric: bool = False) -> Ratio:
    """Mean cost of the best of one group over that of the best of another.

    The best is the one of the smallest mean over seeds, chosen anew in every resample of the bootstrap, so that the
    interval includes the luck of the choice.

    Parameters
    ----------
    upper, lower : pandas.DataFrame
        One row per candidate, a column per seed, of costs > 0 (steps, trials per task). Compared are the seeds that
        both have, and the candidates that have all of them.
    limit : float
        Cost at which a seed that never got there stands.
    geometric : bool
        Take the geometric mean over seeds.

    Returns
    -------
    Ratio
        NaN if there is nothing to compare, or if no seed of either best ever got there.
    """
    upper, lower = upper.dropna(axis=1, how="all"), lower.dropna(axis=1, how="all")
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    groups = [group.reindex(columns=seeds).dropna() for group in (upper, lower)]
    if not seeds or any(group.empty for group in groups):
        return Ratio()
    costs = [np.log(group.to_numpy(dtype=float)) if geometric else group.to_numpy(dtype=float) for group in groups]

    def statistic(index: np.ndarray) -> np.ndarray:  # (resamples, seeds) of positions of seeds
        best = [cost[:, index.astype(int)].mean(axis=-1).min(axis=0) for cost in costs]
        return np.exp(best[0] - best[1]) if geometric else best[0] / best[1]

    places = [int(cost.mean(axis=1).argmin()) for cost in costs]
    chosen = [group.iloc[place] for group, place in zip(groups, places, strict=True)]
    known = {
        "seeds": len(seeds),
        "names": tuple(_name(one.name) for one in chosen),
        "edges": tuple(_at_edge(group, one.name) for group, one in zip((upper, lower), chosen, strict=True)),
        "late": tuple(bool((one >= limit).any()) for one in chosen),
    }
    if all((one >= limit).all() for one in chosen):
        return Ratio(**known)
    number, low, high = paired_interval([np.arange(len(seeds))], statistic)
    return Ratio(number, low, high, **known)


def _name(candidate: object) -> str:
    return "{} at {:g}".format(*candidate) if isinstance(candidate, tuple) else str(candidate)


def _at_edge(group: pd.DataFrame, best: object) -> bool:
    """Whether the best rate is the smallest or largest tried with that connectivity (by any seed)."""
    if not isinstance(best, tuple):
        return False
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
    found = ratio_of_best(upper, lower, part["limit_steps"].max())
    if "both at" in comparison:
        found = replace(found, edges=(False, False))  # the rate is given, not chosen
    return claim_row(
        1, panel, comparison, **common, number=found.number, low=found.low, high=found.high, seeds=found.seeds,
        unit="ratio of steps", verdict=found.verdict, detail=found.detail,
    )  # fmt: skip
