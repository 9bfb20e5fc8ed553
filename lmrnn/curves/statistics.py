"""Summaries over seeds: bootstrap intervals, times to a threshold, and medians of values that may be censored.

A network that never reaches a threshold within its training has no time to it, only a lower limit. Such a censored time
is infinity here: it takes part in every median and every resample, so that no cell is dropped for having failed.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # scipy.stats takes a second to import, and every Snakemake reads this

from lmrnn.seeds import stream

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
DRAWS = 2000
BOOTSTRAP_SEED = 20230703
_EXHAUSTIVE = 5


def resamples(n: int, draws: int = DRAWS) -> NDArray[np.int64]:
    """Indices of bootstrap resamples of n >= 1 seeds, (resamples, n), the same at every call.

    Up to five seeds all n**n equally likely resamples are listed, so that the bootstrap is exact; beyond, `draws` are
    drawn from a fixed stream. Two networks with the same seeds are resampled alike (paired). ValueError without a seed.
    """
    if n < 1:
        raise ValueError("a bootstrap needs at least one seed")
    if n <= _EXHAUSTIVE:
        return np.array(list(product(range(n), repeat=n)), dtype=np.int64)
    return stream(BOOTSTRAP_SEED, "bootstrap", n).integers(0, n, size=(draws, n))


def percentile_interval(statistics: Floats) -> tuple[Floats, Floats]:
    """Bounds, each (...), of the 95% percentile interval of resampled statistics, (resamples, ...), free of NaN.

    Percentiles are taken at the sample below and the sample above (never between two), which keeps infinities whole
    (B. Efron, R. J. Tibshirani: An Introduction to the Bootstrap. Chapman and Hall, 1993, chapter 13).
    """
    ordered, n = np.sort(np.asarray(statistics, dtype=float), axis=0), len(statistics)
    # a fortieth of them in whole numbers: as a float times n it is now and then a little more than a whole
    return ordered[-(-n // 40) - 1], ordered[-(-39 * n // 40) - 1]


def mean_interval(values: Floats, draws: int = DRAWS) -> tuple[Floats, Floats, Floats]:
    """Mean over seeds, (seeds, ...), and its bootstrap 95% interval, each (...); bounds NaN for a single seed.

    `draws` counts the resamples beyond five seeds, here and below.
    """
    values = np.asarray(values, dtype=float)
    mean = values.mean(axis=0)
    if len(values) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    low, high = percentile_interval(values[resamples(len(values), draws)].mean(axis=1))
    return mean, low, high


def median_interval(times: Floats, draws: int = DRAWS) -> tuple[float, float, float]:
    """Median of times, (seeds,), that may be censored (infinite), and its bootstrap 95% interval.

    Infinity where half of the seeds or more (of an even number: half) never got there; bounds NaN for one seed.
    """
    times = np.asarray(times, dtype=float)
    median = float(np.median(times))
    if len(times) < 2:
        return median, float("nan"), float("nan")
    low, high = percentile_interval(np.median(times[resamples(len(times), draws)], axis=1))
    return median, float(low), float(high)


def crossing(x: Floats, y: Floats, threshold: float, logarithmic: bool = False) -> float:
    """Where a measured curve y at rising positions x, both (K,), first reaches a threshold; infinity if nowhere.

    The first measured point at or above the threshold, moved back along the straight line from the point before it to
    where that line meets the threshold; the line is straight in log(x) if `logarithmic` (positive positions only). If
    the first point is there already, its own position is the answer. NaN in y counts as below.
    """
    reached = np.flatnonzero(np.asarray(y) >= threshold)
    if len(reached) == 0:
        return float("inf")
    after = int(reached[0])
    if after == 0 or not np.isfinite(y[after - 1]):
        return float(x[after])
    left, right = (np.log(x[after - 1]), np.log(x[after])) if logarithmic else (float(x[after - 1]), float(x[after]))
    share = (threshold - y[after - 1]) / (y[after] - y[after - 1])
    place = left + share * (right - left)
    return float(np.exp(place)) if logarithmic else float(place)


def sustained_crossing(x: Floats, y: Floats, threshold: float, hold: float, limit: float) -> tuple[float, float, float]:
    """Where a curve y at rising positions x, both (K,), reaches a threshold and stays for `hold` or to the end.

    Three positions: the last measured one before it, its place on the straight line between both, the measured one from
    which on the curve stays at or above the threshold. What happens between two evaluations nobody has seen: the true
    place lies between the first and the third. A curve that never stays is censored: `limit`, `limit`, infinity. One
    that is there from its first position on: 0, that position, that position. NaN in y counts as below.
    """
    x, above = np.asarray(x, dtype=float), np.asarray(y) >= threshold
    for first in np.flatnonzero(above & ~np.append(False, above[:-1])):
        if above[(x >= x[first]) & (x <= x[first] + hold)].all():
            if first == 0:
                return 0.0, float(x[0]), float(x[0])
            place = crossing(x[first - 1 : first + 1], y[first - 1 : first + 1], threshold)
            return float(x[first - 1]), place, float(x[first])
    return float(limit), float(limit), float("inf")


def area(steps: Floats, accuracy: Floats, budget: float) -> float:
    """Area under a learning curve up to a budget > 0 of steps, over the budget: the mean accuracy while it is spent.

    Straight lines between evaluations at rising steps, both (K,) with K >= 1 (of two at one step the curve jumps); the
    first value holds before the first of them, the last beyond the last. Unlike the steps to a threshold it hardly
    depends on how densely is evaluated.
    """
    steps, accuracy = np.asarray(steps, dtype=float), np.nan_to_num(np.asarray(accuracy, dtype=float))
    spent = np.searchsorted(steps, budget) + 1  # to the first point at the budget: a jump there comes after it
    steps, accuracy = steps[:spent], accuracy[:spent]
    inside = steps < budget
    ends = np.interp((0.0, budget), steps, accuracy)
    known = np.concatenate([[0.0], steps[inside], [budget]])
    return float(np.trapezoid(np.concatenate([ends[:1], accuracy[inside], ends[1:]]), known) / budget)


def holm(p: Floats) -> Floats:
    """Holm's adjusted p values, (rows,): a family of true null hypotheses is called at .05 in at most 5% of studies.

    Source: S. Holm: A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6(2), 1979.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def student_interval(values: Floats) -> tuple[float, float]:
    """Student's t 95% interval of a mean over seeds, (seeds,), which stays honest with few seeds.

    The bootstrap of three seeds is their range, which covers the median of what seeds are drawn from in 3 of 4 studies
    only; this interval has its nominal coverage with any number of seeds, if values are roughly normal. NaN for fewer
    than two seeds or a value that is not finite. Source: Student: The probable error of a mean. Biometrika 6(1), 1908.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan"), float("nan")
    half = stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
