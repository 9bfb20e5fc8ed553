"""Summaries over seeds: bootstrap intervals, times to a threshold, and medians of values that may be censored.

A network that never reaches a threshold within its training has no time to it, only a lower limit. Such a censored time
is infinity here: it takes part in every median and every resample, so that no cell is dropped for having failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lmrnn.seeds import stream

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
DRAWS = 2000
BOOTSTRAP_SEED = 20230703
_EXHAUSTIVE = 5
# .975 quantiles of Student's t with 1, 2, ... degrees of freedom; the last serves beyond, where it is a little wide
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def resamples(n: int, draws: int = DRAWS) -> NDArray[np.int64]:
    """Bootstrap resamples of n seeds, the same at every call.

    Up to five seeds all n**n equally likely resamples are listed, so that the bootstrap is exact; beyond, `draws` are
    drawn from a fixed stream. Two networks with the same seeds are resampled alike (paired).

    Parameters
    ----------
    n : int
        Number of seeds, >= 1.
    draws : int
        Number of resamples beyond five seeds.

    Returns
    -------
    numpy.ndarray
        Indices, (resamples, n).

    Raises
    ------
    ValueError
        When there is no seed.
    """
    if n < 1:
        raise ValueError("a bootstrap needs at least one seed")
    if n <= _EXHAUSTIVE:
        return np.array(list(product(range(n), repeat=n)), dtype=np.int64)
    return stream(BOOTSTRAP_SEED, "bootstrap", n).integers(0, n, size=(draws, n))


def percentile_interval(statistics: Floats) -> tuple[Floats, Floats]:
    """Percentile interval of resampled statistics.

    Percentiles are taken at the sample below and the sample above (never between two), which keeps infinities whole.

    Parameters
    ----------
    statistics : numpy.ndarray
        Resampled statistics, (resamples, ...); NaN-free, may hold infinity.

    Returns
    -------
    low, high : numpy.ndarray
        Bounds of the 95% interval, (...).

    References
    ----------
    B. Efron, R. J. Tibshirani: An Introduction to the Bootstrap. Chapman and Hall, 1993, chapter 13.
    """
    tail = (1.0 - CONFIDENCE) / 2
    low = np.quantile(statistics, tail, axis=0, method="inverted_cdf")
    high = np.quantile(statistics, 1.0 - tail, axis=0, method="inverted_cdf")
    return np.asarray(low, dtype=float), np.asarray(high, dtype=float)


def mean_interval(values: Floats, draws: int = DRAWS) -> tuple[Floats, Floats, Floats]:
    """Mean over seeds and its bootstrap 95% interval.

    Parameters
    ----------
    values : numpy.ndarray
        One row per seed, (seeds, ...).
    draws : int
        Resamples beyond five seeds.

    Returns
    -------
    mean, low, high : numpy.ndarray
        Each (...); the bounds are NaN for a single seed.
    """
    values = np.asarray(values, dtype=float)
    mean = values.mean(axis=0)
    if len(values) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    low, high = percentile_interval(values[resamples(len(values), draws)].mean(axis=1))
    return mean, low, high


def median_interval(times: Floats, draws: int = DRAWS) -> tuple[float, float, float]:
    """Median of times that may be censored (infinite), and its bootstrap 95% interval.

    Parameters
    ----------
    times : numpy.ndarray
        One time per seed, (seeds,); infinity where the seed never got there.
    draws : int
        Resamples beyond five seeds.

    Returns
    -------
    median, low, high : float
        Infinity where half of the seeds or more (of an even number: half) never got there; bounds NaN for one seed.
    """
    times = np.asarray(times, dtype=float)
    median = float(np.median(times))
    if len(times) < 2:
        return median, float("nan"), float("nan")
    low, high = percentile_interval(np.median(times[resamples(len(times), draws)], axis=1))
    return median, float(low), float(high)


def paired_interval(
    samples: Sequence[Floats], statistic: Callable[..., Floats], draws: int = DRAWS
) -> tuple[float, float, float]:
    """A statistic of several samples that share their seeds, and its paired bootstrap 95% interval.

    Parameters
    ----------
    samples : sequence of numpy.ndarray
        Each (seeds,), all in the same order of seeds.
    statistic : callable
        Takes one array per sample, each (resamples, seeds), and returns (resamples,).
    draws : int
        Resamples beyond five seeds.

    Returns
    -------
    value, low, high : float
        The statistic of the samples themselves; bounds NaN for one seed or where a resample has no value (inf / inf).
    """
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    n = len(arrays[0])
    with np.errstate(invalid="ignore"):
        value = float(statistic(*(array[None] for array in arrays))[0])
        if n < 2:
            return value, float("nan"), float("nan")
        index = resamples(n, draws)
        drawn = statistic(*(array[index] for array in arrays))
    if np.isnan(drawn).any():
        return value, float("nan"), float("nan")
    low, high = percentile_interval(drawn)
    return value, float(low), float(high)


def crossing(x: Floats, y: Floats, threshold: float, logarithmic: bool = False) -> float:
    """Where a measured curve first reaches a threshold.

    The first measured point at or above the threshold, moved back along the straight line from the point before it to
    where that line meets the threshold. If the first point is there already, its own position is the answer.

    Parameters
    ----------
    x : numpy.ndarray
        Positions, rising, (K,): steps, trials or seconds.
    y : numpy.ndarray
        Accuracies, (K,), 0 .. 1; NaN counts as below.
    threshold : float
        The accuracy to reach.
    logarithmic : bool
        The line is straight in log(x) (positive positions only).

    Returns
    -------
    float
        Position, infinity if no point reaches the threshold.
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


def student_interval(values: Floats) -> tuple[float, float]:
    """Student's t 95% interval of a mean over seeds, which stays honest with few seeds.

    The bootstrap of three seeds is their range, which covers the median of what seeds are drawn from in 3 of 4 studies
    only; this interval has its nominal coverage with any number of seeds, if values are roughly normal.

    Parameters
    ----------
    values : numpy.ndarray
        One finite value per seed, (seeds,).

    Returns
    -------
    low, high : float
        NaN for fewer than two seeds or a value that is not finite.

    References
    ----------
    Student: The probable error of a mean. Biometrika 6(1), 1-25, 1908.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan"), float("nan")
    half = _T_975[min(len(values) - 2, len(_T_975) - 1)] * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
