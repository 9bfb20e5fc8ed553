"""Ratio of what the best of one group of networks costs to what the best of another does, seed by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import verdict_of_ratio
from lmrnn.curves.statistics import paired_interval, student_interval

NAN = float("nan")
_BOUNDS = {(True, False): "at least this", (False, True): "at most this", (True, True): "neither always gets there"}


@dataclass(frozen=True)
class Ratio:
    """Best of one group over best of another.

    `number`, `low`, `high` are the ratio of the means over seeds and its bootstrap 95% interval (NaN where there is
    nothing to compare), `t_low`, `t_high` Student's, from the seeds' logarithms; `first` and `second` are the two
    means, `seeds` the number of seeds. `names` says which network, at which rate, was the best of each group, `edges`
    whether each lies at the edge of the rates tried, `late` whether some seed of each never got there, so that its mean
    is a lower bound, `early` whether some seed of each was there with the smallest cost tried, so that its mean is an
    upper bound.
    """

    number: float = NAN
    low: float = NAN
    high: float = NAN
    t_low: float = NAN
    t_high: float = NAN
    first: float = NAN
    second: float = NAN
    seeds: int = 0
    names: tuple[str, str] = ("", "")
    edges: tuple[bool, bool] = (False, False)
    late: tuple[bool, bool] = (False, False)
    early: tuple[bool, bool] = (False, False)

    def verdict(self, strict: bool = False) -> str:
        """Whether the ratio is greater than one, by the bootstrap's or, `strict`, Student's interval.

        Undecided where a better rate, more steps or less data could turn it.
        """
        low, high = (self.t_low, self.t_high) if strict else (self.low, self.high)
        smaller = self.edges[0] or self.late[1] or self.early[0]
        larger = self.edges[1] or self.late[0] or self.early[1]
        return verdict_of_ratio(low, high, self.seeds, (smaller, larger))

    @property
    def detail(self) -> str:
        """Which networks were compared, and what limits the comparison."""
        if not self.seeds:
            return ""
        text = " over ".join(self.names)
        words = [word for word, edge in zip(("first", "second"), self.edges, strict=True) if edge]
        if words:
            text += f"; the {' and the '.join(words)} at the edge of the rates tried"
        bounds = [_BOUNDS[self.late]] if self.late in _BOUNDS else []
        # the smallest cost tried is enough: the true one is smaller still
        if self.early in _BOUNDS:
            early = {(True, False): "at most this", (False, True): "at least this", (True, True): "both"}[self.early]
            bounds += [f"the smallest size is enough for {early}" if early == "both" else early]
        return "; ".join([text, *dict.fromkeys(bounds)])

    @property
    def bound(self) -> str:
        """``>=`` or ``<=`` where the number is a bound, ``~`` where it is not even that."""
        above = self.late == (True, False) or self.early == (False, True)
        below = self.late == (False, True) or self.early == (True, False)
        if (above and below) or (True, True) in (self.late, self.early):
            return "~"
        return ">=" if above else "<=" if below else ""

    def columns(self) -> dict[str, object]:
        """The columns of claims.csv that a ratio fills."""
        names = ("number", "low", "high", "t_low", "t_high", "first", "second", "seeds", "detail", "bound")
        verdicts = {"verdict": self.verdict(), "strict_verdict": self.verdict(strict=True)}
        return {**{name: getattr(self, name) for name in names}, **verdicts}


def candidates(times: pd.DataFrame, kind: str, value: str = "restricted") -> pd.DataFrame:
    """Every connectivity of a kind at every learning rate (the index), a column for each seed, NaN where not trained.

    From rows of one panel and threshold of `lmrnn.curves.tables.threshold_times` with a column `value`.
    """
    rows = times[times["kind"] == kind]
    index = ["connectivity", "connectivity_id", "learning_rate"]
    return rows.pivot_table(index=index, columns="seed", values=value)


def _paired(upper: pd.DataFrame, lower: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candidates of both groups that have all the seeds which the groups share."""
    upper, lower = upper.dropna(axis=1, how="all"), lower.dropna(axis=1, how="all")
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    first, second = (group.reindex(columns=seeds).dropna() for group in (upper, lower))
    return first, second


def ratio_of_best(
    upper: pd.DataFrame,
    lower: pd.DataFrame,
    limit: float,
    geometric: bool = False,
    smallest: float = 0.0,
    at_edge: Collection[object] = (),
    held_out: bool = True,
) -> Ratio:
    """Mean cost of the best of one group over that of the best of another.

    Each seed's best is the candidate of the smallest mean over the other seeds. Chosen on the seeds on which it is
    measured, the best would seem better than it is, and the more so the more candidates its group has (five radii at
    three rates against three rates); a bootstrap that chooses anew in every resample does not mend that, because each
    resample then has luck of its own.

    `upper` and `lower` have a row per candidate and a column per seed, of costs (steps, trials per task); compared are
    the seeds that both have, and the candidates that have all of them. A seed that never got there stands at `limit`,
    one that stands at `smallest`, the smallest cost tried, may need less. The mean over seeds may be `geometric`.
    `at_edge` names the candidates whose rate, chosen before, lies at the edge of those tried (where the index names no
    rates). The choice is not `held_out` for a single seed, which has no others. NaN if there is nothing to compare, if
    no seed of either best ever got there, or if all need the smallest cost at most. Intervals are for the choice made
    (M. Stone: Cross-validatory choice and assessment of statistical predictions. J. R. Stat. Soc. B 36(2), 1974).
    """
    groups = _paired(upper, lower)
    if any(group.empty for group in groups):
        return Ratio()
    costs = [np.log(group.to_numpy(dtype=float)) if geometric else group.to_numpy(dtype=float) for group in groups]
    picks = [_picked(cost, held_out and cost.shape[1] > 1) for cost in costs]
    values = [
        group.to_numpy(dtype=float)[pick, np.arange(len(pick))] for group, pick in zip(groups, picks, strict=True)
    ]
    names, edges = [], []
    for whole, group, pick in zip((upper, lower), groups, picks, strict=True):
        count = Counter(pick.tolist()).most_common()
        shares = [f" ({n} of {len(pick)} seeds)" if len(count) > 1 else "" for _, n in count]
        names.append(" or ".join(_name(group.index[count[i][0]]) + share for i, share in enumerate(shares)))
        edges.append(any(_at_edge(whole, group.index[place], at_edge) for place, _ in count))
    return _measured(values, geometric, (limit, smallest), (names[0], names[1]), (edges[0], edges[1]))


def _picked(costs: np.ndarray, held_out: bool) -> np.ndarray:
    """For each seed the place of the candidate of the smallest mean, over the other seeds or over all."""
    total = costs.sum(axis=1, keepdims=True)
    return (total - costs if held_out else np.broadcast_to(total, costs.shape)).argmin(axis=0)


def _measured(
    values: list[np.ndarray],
    geometric: bool,
    bounds: tuple[float, float],
    names: tuple[str, str],
    edges: tuple[bool, bool],
) -> Ratio:
    """A ratio from each side's cost per seed; without a number where all seeds of both sides are censored alike."""
    limit, smallest = bounds
    late = [value >= limit for value in values]
    early = [value <= smallest for value in values]
    with np.errstate(divide="ignore", invalid="ignore"):  # a network may be there before its first step
        means = [float(np.exp(np.log(value).mean()) if geometric else value.mean()) for value in values]
        logarithms = np.log(values[0] / values[1])
    known: dict[str, Any] = {
        "first": means[0], "second": means[1], "seeds": len(values[0]), "names": names, "edges": edges,
        "late": tuple(bool(one.any()) for one in late), "early": tuple(bool(one.any()) for one in early),
    }  # fmt: skip
    if all(one.all() for one in late) or all(one.all() for one in early):
        return Ratio(**known)
    t_low, t_high = (float(np.exp(value)) for value in student_interval(logarithms))

    def statistic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if geometric:
            return np.exp(np.log(first).mean(axis=-1) - np.log(second).mean(axis=-1))
        return first.mean(axis=-1) / second.mean(axis=-1)

    number, low, high = paired_interval(values, statistic)
    return Ratio(number, low, high, t_low, t_high, **known)


def _name(candidate: object) -> str:
    """A candidate as its index names it: label, id and, where it is chosen here, rate."""
    label, *rest = candidate if isinstance(candidate, tuple) else (candidate,)
    return f"{label} at {rest[1]:g}" if len(rest) == 2 else str(label)


def _at_edge(group: pd.DataFrame, best: Any, known: Collection[object]) -> bool:
    """Whether the best rate is the smallest or largest tried with that connectivity (by any seed)."""
    if "learning_rate" not in group.index.names:
        return best in known
    own = group[group.index.get_level_values("connectivity_id") == best[1]]
    rates = own.index.get_level_values("learning_rate")
    return best[2] in (rates.min(), rates.max())
