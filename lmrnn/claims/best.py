"""The best of one group of settings against the best of another: number, interval, and what forbids a verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from lmrnn.claims.bounds import Floats, lower_bound, p_above

NAN = float("nan")
SEEDS_OF_BOUNDS = 3  # two seeds bound nothing: Student's quantile with one degree of freedom is 12.7
_ROUNDING = 1e-9  # sums of costs, each 20 at most, that differ by less are equal
_NOTHING = 1e-12  # differences of means that rounding alone makes
_LARGEST = 50.0  # logarithm of a ratio beyond any number of steps
BOUNDS = {(True, False): ">=", (False, True): "<=", (True, True): "~"}  # by whether the first, the second is too late
_WORDS = {">=": "at least this", "<=": "at most this", "~": "neither always gets there"}


class Setting(NamedTuple):
    """A connectivity at a learning rate."""

    label: str
    connectivity_id: str
    rate: float


@dataclass(frozen=True)
class Settings:
    """A group of settings and what each costs each seed, (settings, seeds), NaN where that seed was not trained.

    The cost `value` lies between `low` and `high`, which is infinite where it is only known to be no less (censored);
    smaller is better. `choose` is by what the best setting is chosen, on other seeds than it is measured on.
    """

    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    low: Floats
    value: Floats
    high: Floats
    choose: Floats

    def of(self, networks: Collection[str]) -> Settings:
        """The settings of some connectivities (their ids), and the seeds that any of them has."""
        return self.only(lambda setting: setting.connectivity_id in networks)

    def at_rate(self, rate: float) -> Settings:
        """The settings at a learning rate."""
        return self.only(lambda setting: setting.rate == rate)

    def only(self, wanted: Callable[[Setting], bool]) -> Settings:
        """Those settings that are wanted, and the seeds that any of them has."""
        rows = [i for i, setting in enumerate(self.settings) if wanted(setting)]
        return self._taken(rows, np.flatnonzero(~np.isnan(self.value[rows]).all(axis=0)).tolist())

    def paired(self, seeds: list[int]) -> Settings:
        """Those settings that have all of the given seeds, and of each those seeds alone."""
        columns = [self.seeds.index(seed) for seed in seeds]
        whole = ~np.isnan(self.value[:, columns]).any(axis=1)
        return self._taken(np.flatnonzero(whole).tolist(), columns)

    def _taken(self, rows: list[int], columns: list[int]) -> Settings:
        names = ("low", "value", "high", "choose")
        taken = {name: getattr(self, name)[np.ix_(rows, columns)] for name in names}
        return Settings(tuple(self.settings[i] for i in rows), tuple(self.seeds[i] for i in columns), **taken)


def at_edge(setting: Setting, tried: Sequence[Setting]) -> bool:
    """Whether a setting's rate is the smallest or largest of those tried with its connectivity, by any seed."""
    rates = [one.rate for one in tried if one.connectivity_id == setting.connectivity_id]
    return setting.rate in (min(rates), max(rates))


def beats(setting: Setting, seeds: int, of: int) -> str:
    """That a setting which was not run with all seeds is better than the one that was chosen."""
    return f"{setting.label} at {setting.rate:g}, tried with {seeds} of {of} seeds, beats the choice"


@dataclass(frozen=True)
class Design:
    """Which settings were trained with which seeds: of each of some cells, its place `at` in (settings, seeds)."""

    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    at: tuple[list[int], list[int]]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Design:
        """From rows of `lmrnn.curves.comparison.prepare`."""
        names = (rows["connectivity"], rows["connectivity_id"], rows["learning_rate"])
        keys = [Setting(str(label), str(one), float(rate)) for label, one, rate in zip(*names, strict=True)]
        own = [int(seed) for seed in rows["seed"]]
        settings, seeds = sorted(set(keys)), sorted(set(own))
        places = {setting: i for i, setting in enumerate(settings)}, {seed: i for i, seed in enumerate(seeds)}
        return cls(tuple(settings), tuple(seeds), ([places[0][key] for key in keys], [places[1][one] for one in own]))

    def costs(
        self, value: Floats, low: Floats | None = None, high: Floats | None = None, choose: Floats | None = None
    ) -> Settings:
        """What each cell costs, (cells,): `value`, and where they differ from it `low`, `high` and `choose`."""

        def spread(costs: Floats | None) -> Floats:
            array = np.full((len(self.settings), len(self.seeds)), np.nan)
            array[self.at] = value if costs is None else costs
            return array

        return Settings(self.settings, self.seeds, spread(low), spread(value), spread(high), spread(choose))


@dataclass(frozen=True)
class Comparison:
    """Best of one group minus best of another, in costs or, where those are logarithms, as a ratio.

    `number` is measured on each seed with the settings that are best on the others, `low` and `high` are the bounds of
    `lmrnn.claims.bounds`; NaN where there is nothing to compare. `first` and `second` are the two means over seeds.
    `names` says which settings were chosen, `edges` whether one of each lies at the edge of the rates tried, `late`
    whether a seed of each never got there, `beaten` by which settings of fewer seeds a choice is beaten. `groups` are
    the settings that are compared.
    """

    number: float = NAN
    low: float = NAN
    high: float = NAN
    first: float = NAN
    second: float = NAN
    seeds: int = 0
    names: tuple[str, str] = ("", "")
    edges: tuple[bool, bool] = (False, False)
    late: tuple[bool, bool] = (False, False)
    beaten: tuple[str, ...] = ()
    groups: tuple[Settings, Settings] | None = None

    def p(self, limit: float = 0.0) -> tuple[float, float]:
        """One-sided p values of the difference (for ratios, of its logarithm) being above and below a limit."""
        if self.groups is None or not np.isfinite(self.number):
            return NAN, NAN
        first, second = self.groups
        above, below = p_above(first.low, second.high, limit), p_above(second.low, first.high, -limit)
        return float(above), float(below)

    @property
    def forbidden(self) -> tuple[str, str]:
        """Why nothing may be said of its lying above, and below, a limit, whatever the p value; empty if it may."""
        edges = [f"best rate at the edge of those tried: {name}" if edge else "" for name, edge in self._edges()]
        above, below = ([*self.beaten, *filter(None, [one])] for one in edges)
        return "; ".join(above), "; ".join(below)

    def _edges(self) -> list[tuple[str, bool]]:
        return list(zip(self.names, self.edges, strict=True))

    @property
    def detail(self) -> str:
        """Which networks were compared, and what limits the comparison."""
        if not self.seeds:
            return ""
        edges = [f"at the edge of the rates tried: {name}" for name, edge in self._edges() if edge]
        bound = [_WORDS[self.bound]] if self.bound else []
        return "; ".join([" against ".join(self.names), *edges, *bound, *self.beaten])

    @property
    def bound(self) -> str:
        """``>=`` or ``<=`` where the number is a bound, ``~`` where it is not even that."""
        return BOUNDS.get(self.late, "")

    def at_given_rate(self) -> Comparison:
        """The same where the rate was given, not chosen: it lies at no edge, and no other one can beat it."""
        return replace(self, edges=(False, False), beaten=())

    def columns(self) -> dict[str, object]:
        """The columns of claims.csv that a comparison fills; p values are for a limit of no difference."""
        names = ("number", "low", "high", "first", "second", "seeds", "detail", "bound", "forbidden")
        return {**{name: getattr(self, name) for name in names}, "sides": self.p()}


def compare(first: Settings, second: Settings, logarithmic: bool = False, held_out: bool = True) -> Comparison:
    """Cost of the best of one group minus that of the best of another; a ratio where costs are `logarithmic`.

    The number is measured on each seed with the setting that is best on the other seeds. Chosen on the seeds on which
    it is measured (not `held_out`, or a single seed), the best would seem better than it is, and the more so the more
    settings its group has (M. Stone: Cross-validatory choice and assessment of statistical predictions. J. R. Stat.
    Soc. B 36(2), 1974). Compared are the seeds that both groups have and the settings that have all of them; the others
    serve to show that a better one was not missed. Without a number where nobody ever got there, or one is there before
    its first step.
    """
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    groups = first.paired(seeds), second.paired(seeds)
    if not seeds or any(not group.settings for group in groups):
        return Comparison()
    n = range(len(seeds))
    picks = [pick(group.choose, held_out) for group in groups]
    costs = [group.value[places, n] for group, places in zip(groups, picks, strict=True)]
    late = [np.isinf(group.high[places, n]) for group, places in zip(groups, picks, strict=True)]
    named, edges, beaten = [], [], []
    for whole, group, places, cost in zip((first, second), groups, picks, costs, strict=True):
        chosen = [group.settings[i] for i in places]
        named.append(_names(chosen))
        edges.append(any(at_edge(setting, whole.settings) for setting in set(chosen)))
        beaten += _beaten(whole, group, dict(zip(seeds, cost, strict=True)))
    means = [float(cost.mean()) for cost in costs]
    seen = np.exp if logarithmic else np.negative
    known = Comparison(
        first=float(seen(means[0])), second=float(seen(means[1])), seeds=len(seeds), names=(named[0], named[1]),
        edges=(edges[0], edges[1]), late=(bool(late[0].any()), bool(late[1].any())), beaten=tuple(beaten),
        groups=groups,
    )  # fmt: skip
    if all(one.all() for one in late) or not np.isfinite(means).all():
        return known
    number = difference(means[0], means[1])
    low, high = float(lower_bound(groups[0].low, groups[1].high)), -float(lower_bound(groups[1].low, groups[0].high))
    if len(seeds) < SEEDS_OF_BOUNDS:
        low = high = NAN
    if logarithmic:
        return replace(known, number=math.exp(number), low=_exp(low), high=_exp(high))
    return replace(known, number=number, low=max(low, -1.0), high=min(high, 1.0))


def difference(first: float, second: float) -> float:
    """First minus second, 0 where rounding alone makes it another: whether it lies above 0 is told and counted."""
    return 0.0 if abs(first - second) < _NOTHING else first - second


def _exp(value: float) -> float:
    """A ratio from its logarithm; infinite where it is larger than any number of steps."""
    return math.exp(value) if not value > _LARGEST else float("inf")


def pick(costs: Floats, held_out: bool = True) -> np.ndarray:
    """For each seed the place of the setting of the smallest mean cost, over the other seeds or (not `held_out`, or a
    single seed) over all, of costs (settings, seeds); of equals the first, whatever rounding makes of their sums.
    """
    total = costs.sum(axis=1, keepdims=True)
    total = total - costs if held_out and costs.shape[1] > 1 else np.broadcast_to(total, costs.shape)
    return (total <= total.min(axis=0) + _ROUNDING).argmax(axis=0)


def _names(chosen: list[Setting]) -> str:
    """The settings that the seeds were given, the most frequent first."""
    count = Counter(chosen).most_common()
    shares = [f" ({n} of {len(chosen)} seeds)" if len(count) > 1 else "" for _, n in count]
    return " or ".join(f"{one.label} at {one.rate:g}{share}" for (one, _), share in zip(count, shares, strict=True))


def _beaten(whole: Settings, able: Settings, chosen: dict[int, float]) -> list[str]:
    """Settings that have not all of the seeds and cost less than what was chosen does on the seeds that they have."""
    words = []
    for setting, costs in zip(whole.settings, whole.value, strict=True):
        ran = zip(whole.seeds, costs, strict=True)
        own = {seed: cost for seed, cost in ran if seed in chosen and not np.isnan(cost)}
        if setting not in able.settings and own and sum(own.values()) < sum(chosen[seed] for seed in own):
            words.append(beats(setting, len(own), len(chosen)))
    return words
