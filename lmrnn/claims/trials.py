"""Trials per task that networks need to reach a threshold: a ratio whose bounds are those of the accuracies themselves.

What a seed needs is censored wherever the largest size is too small for it or the smallest is enough, and a seed that
misses a threshold by a thousandth seems to need eight times as many trials. Accuracies at each size have no such jumps.
The trials that a network needs are therefore bounded by where the bounds of its accuracy, at its best setting, cross
the threshold: a curve that lies higher everywhere crosses it earlier.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from lmrnn.claims.best import BOUNDS, SEEDS_OF_BOUNDS, Design, Setting, Settings, at_edge, beats, difference, pick
from lmrnn.claims.bounds import LEVEL, Floats
from lmrnn.curves.statistics import crossing

_WORDS = {">=": "at least this", "<=": "at most this", "~": "both leave the sizes that were trained"}
_TINY = 1e-12  # p values below are not told apart


@dataclass(frozen=True)
class Sized:
    """A group of settings at several data sizes: test and validation accuracy (settings, sizes, seeds)."""

    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    test: Floats
    validation: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Sized:
        """From rows of `lmrnn.curves.comparison.prepare` of one family."""
        design, trials = Design.of(rows), rows["trials_per_task"].to_numpy()
        sizes = sorted(int(size) for size in set(trials))
        at = design.at[0], np.searchsorted(sizes, trials), design.at[1]
        shape = len(design.settings), len(sizes), len(design.seeds)
        test, validation = np.full(shape, np.nan), np.full(shape, np.nan)
        test[at], validation[at] = rows["final_test"], rows["final_validation"]
        return cls(tuple(sizes), design.seeds, design.settings, test, validation)

    def of_networks(self, networks: Collection[str]) -> Sized:
        """Some connectivities (their ids), at the sizes and seeds that any of them has."""
        rows = [i for i, one in enumerate(self.settings) if one.connectivity_id in networks]
        ran = ~np.isnan(self.test[rows])
        sizes = [size for size, any_ran in zip(self.sizes, np.asarray(ran.any(axis=(0, 2))), strict=True) if any_ran]
        seeds = [seed for seed, any_ran in zip(self.seeds, np.asarray(ran.any(axis=(0, 1))), strict=True) if any_ran]
        settings = tuple(self.settings[i] for i in rows)
        return Sized(self.sizes, self.seeds, settings, self.test[rows], self.validation[rows]).at(sizes, seeds)

    def costs(self, size: int) -> Settings:
        """What each setting that was run at a size costs: the negative of its accuracy, chosen by validation."""
        k = self.sizes.index(size)
        value, choose = -self.test[:, k], -self.validation[:, k]
        ran = {self.settings[i] for i in np.flatnonzero(~np.isnan(value).all(axis=1))}
        return Settings(self.settings, self.seeds, value, value, value, choose).only(ran.__contains__)

    def at(self, sizes: list[int], seeds: list[int]) -> Sized:
        """The same at given sizes and seeds."""
        places = [self.sizes.index(one) for one in sizes], [self.seeds.index(one) for one in seeds]
        index = np.ix_(range(len(self.settings)), *places)
        return Sized(tuple(sizes), tuple(seeds), self.settings, self.test[index], self.validation[index])

    def whole(self) -> np.ndarray:
        """Which settings have all seeds at which size, (settings, sizes)."""
        return np.asarray(~np.isnan(self.test).any(axis=-1))

    def band(self, level: float) -> tuple[Floats, Floats]:
        """Lower and upper bound of the best setting's expected accuracy at each size, (sizes,); each at `level`.

        The upper bound is the highest of the settings' own (only that of the best need hold), the lower one the highest
        with the level divided by their number. Student's, of settings that have all seeds.
        """
        n, whole = len(self.seeds), self.whole()
        error = np.maximum(self.test.std(axis=-1, ddof=1), 1e-9) / np.sqrt(n)
        mean = np.where(whole, self.test.mean(axis=-1), -np.inf)
        low = mean + special.stdtrit(n - 1, level / whole.sum(axis=0)) * error
        high = mean - special.stdtrit(n - 1, level) * error
        return np.where(whole, low, -np.inf).max(axis=0), np.where(whole, high, -np.inf).max(axis=0)

    def chosen(self) -> tuple[Floats, str, list[str]]:
        """At each size and for each seed the setting of the highest validation accuracy over the other seeds: its
        accuracy (sizes, seeds), the networks' names, and what speaks against them.
        """
        picked, names, doubts = np.empty(self.test.shape[1:]), set(), []
        for k, whole in enumerate(self.whole().T):
            picks = pick(-self.validation[whole, k])
            picked[k] = self.test[whole, k][picks, np.arange(len(self.seeds))]
            able = [one for one, ran in zip(self.settings, whole, strict=True) if ran]
            found = {able[place] for place in picks.tolist()}
            names |= {one.label for one in found}
            tried = [self.settings[i] for i in np.flatnonzero(~np.isnan(self.test[:, k]).all(axis=-1))]
            doubts += [f"{one.label}'s best rate at {self.sizes[k]} is at the edge of those tried"
                       for one in sorted(found) if at_edge(one, tried)]  # fmt: skip
            doubts += self._beaten(k, picked[k])
        return picked, " or ".join(sorted(names)), doubts

    def _beaten(self, size: int, chosen: Floats) -> list[str]:
        """Settings with fewer seeds that lie above what was chosen on the seeds that they have, at one size."""
        words = []
        for one, accuracy in zip(self.settings, self.test[:, size], strict=True):
            ran = ~np.isnan(accuracy)
            if ran.any() and not ran.all() and accuracy[ran].mean() > chosen[ran].mean():
                words.append(beats(one, int(ran.sum()), len(ran)) + f" at {self.sizes[size]}")
        return words


def trials_ratio(first: Sized, second: Sized, threshold: float) -> dict[str, Any] | None:
    """Columns of claims.csv for the trials per task that the first group needs over those that the second needs.

    Over the sizes and seeds that both have, None where those are fewer than two sizes. The number is the geometric mean
    over seeds; a seed that no size brings there counts with the largest, one that the smallest brings there with the
    smallest, and NaN where that is so of all seeds of both. low and high are 0 and infinite where the accuracies'
    bounds leave the sizes that were trained.
    """
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    sizes = [size for size in first.sizes if size in second.sizes]
    if not seeds or len(sizes) < 2:
        return None
    groups = first.at(sizes, seeds), second.at(sizes, seeds)
    if not all(group.whole().any(axis=0).all() for group in groups):
        return None
    accuracies, names, doubts = zip(*(group.chosen() for group in groups), strict=True)
    x = np.array(sizes, dtype=float)
    needed = [np.array([crossing(x, curve, threshold, True) for curve in one.T]) for one in accuracies]
    late, early = ([bool(test(one).any()) for one in needed] for test in (np.isinf, lambda one: one <= x[0]))
    logarithms = [float(np.log(one.clip(max=x[-1])).mean()) for one in needed]
    means = [float(np.exp(one)) for one in logarithms]
    number = means[0] / means[1] if difference(*logarithms) else 1.0
    bound = BOUNDS.get((late[0] or early[1], late[1] or early[0]), "")
    words = [" against ".join(names), *([_WORDS[bound]] if bound else [])]
    known = {
        "first": means[0], "second": means[1], "seeds": len(seeds), "bound": bound,
        "detail": "; ".join([*words, f"sizes {', '.join(map(str, sizes))}"]),
        "forbidden": tuple(map("; ".join, doubts)),
    }  # fmt: skip
    if all(np.isinf(one).all() for one in needed) or all((one <= x[0]).all() for one in needed):
        return known
    if len(seeds) < SEEDS_OF_BOUNDS:
        return {**known, "number": number, "low": np.nan, "high": np.nan}

    def bounds(level: float) -> tuple[float, float]:
        bands = [group.band(level / (2 * len(sizes))) for group in groups]  # two curves, each at every size
        (most, fewest), (other_most, other_fewest) = (
            [crossing(x, edge, threshold, logarithmic=True) for edge in band] for band in bands
        )
        # a size that is enough may be more than enough, one that is not is less than what is needed
        low = min(fewest, x[-1]) / other_most if fewest > x[0] else 0.0
        return low, most / min(other_fewest, x[-1]) if other_fewest > x[0] else float("inf")

    low, high = bounds(LEVEL)
    sides = _smallest(lambda level: bounds(level)[0] > 1), _smallest(lambda level: bounds(level)[1] < 1)
    return {**known, "number": number, "low": low, "high": high, "sides": sides}


def _smallest(excluded: Any) -> float:
    """The smallest level at which a bound excludes no difference, by inversion; 1 where none up to .5 does."""
    if not excluded(0.5):
        return 1.0
    if excluded(_TINY):
        return _TINY
    found = optimize.bisect(lambda x: 0.5 - excluded(10.0**x), np.log10(_TINY), np.log10(0.5), xtol=1e-3)
    return float(10.0 ** (found + 1e-3))
