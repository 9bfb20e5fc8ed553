"""Bounds of how far the best of one group of settings lies from the best of another, without choosing either.

Whoever chooses the best setting on some seeds and tests it on others, or on the same, is wrong too often: in 10 to 22%
of studies without a difference, with 3 to 10 seeds. Here nothing is chosen. The best of a group is the setting of the
smallest expected cost, and of settings i of the first group and j of the second

    best of first - best of second = max over j of min over i of (mean of i - mean of j).

A lower bound of each difference, at level alpha for every i, is a lower bound of the inner minimum at the same level,
because only the i that attains it matters (R. L. Berger: Multiparameter hypothesis testing and acceptance sampling.
Technometrics 24(4), 1982). The maximum over j takes alpha over the number of j (Bonferroni). The upper bound is the
mirror image. Settings pair up by seed.

What a setting costs a seed lies between two values: a threshold is reached somewhere between two evaluations, and one
that is never reached costs more than the training was long. Lower bounds take the lower end of the first and the upper
end of the second. Where all ends are finite, the bound is Student's for paired differences; where one is infinite
(censored), it is the exact one of Moses for a shift, from the ranks of all seeds of both (M. Hollander, D. A. Wolfe,
E. Chicken: Nonparametric Statistical Methods. Wiley, 3rd ed. 2014, section 4.3), which censored values enter as such.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
LEVEL = 0.025  # on each side
_NOISE = 1e-9  # differences that the rounding of sums can make; costs are accuracies or logarithms, about 1


def p_above(first: Floats, second: Floats, limit: float = 0.0) -> Floats:
    """One-sided p value of best of first - best of second <= limit, (...).

    `first` (..., I, seeds) are the lower ends of what each setting costs each seed, `second` (..., J, seeds) the upper
    ends. 1 for a single seed.
    """
    if first.shape[-1] < 2:
        return np.ones(np.broadcast_shapes(first.shape[:-2], second.shape[:-2]))
    p = _pair_p(first, second + limit)
    return np.minimum(1.0, p.max(axis=-2).min(axis=-1) * p.shape[-1])


def lower_bound(first: Floats, second: Floats, level: float = LEVEL) -> Floats:
    """Lower bound of best of first - best of second, (...), too high with probability `level` at most.

    Arguments as for `p_above`, of which it is the inverse: p_above <= level just where it lies at the limit or above.
    -infinity where nothing can be said.
    """
    if first.shape[-1] < 2:
        return np.full(np.broadcast_shapes(first.shape[:-2], second.shape[:-2]), -np.inf)
    bounds = _pair_bound(first, second, level / second.shape[-2])
    return bounds.min(axis=-2).max(axis=-1)


def _differences(first: Floats, second: Floats) -> Floats:
    """First minus second, -infinity where both are infinite: of what nothing is known speaks against."""
    with np.errstate(invalid="ignore"):
        differences = first - second
    return np.where(np.isnan(differences), -np.inf, differences)


def _moments(first: Floats, second: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Of every pair of settings, (..., I, J): whether all seeds' differences are finite, and if so their mean and its
    standard error, above what rounding makes of it.
    """
    differences = _differences(first[..., :, None, :], second[..., None, :, :])  # (..., I, J, seeds)
    whole = np.asarray(np.isfinite(differences).all(axis=-1))
    known = np.where(whole[..., None], differences, 0.0)
    error = known.std(axis=-1, ddof=1) / np.sqrt(known.shape[-1])
    return whole, known.mean(axis=-1), np.maximum(error, _NOISE)


def _pair_p(first: Floats, second: Floats) -> Floats:
    """One-sided p value of each pair of settings, (..., I, J), of first <= second."""
    (whole, mean, error), n = _moments(first, second), first.shape[-1]
    p = special.stdtr(n - 1, -mean / error)
    if not whole.all():
        above = (_crossed(first, second) > 0).sum(axis=(-1, -2))  # ties speak against
        p = np.where(whole, p, np.cumsum(_rank_chances(n)[::-1])[::-1][above])
    return p


def _pair_bound(first: Floats, second: Floats, level: float) -> Floats:
    """Lower bound of each pair's difference, (..., I, J), too high with probability `level`."""
    (whole, mean, error), n = _moments(first, second), first.shape[-1]
    bound = mean + special.stdtrit(n - 1, level) * error
    if not whole.all():
        place = int((np.cumsum(_rank_chances(n)) <= level).sum())  # how many of the smallest differences may be passed
        every = np.sort(_crossed(first, second).reshape(*whole.shape, n * n), axis=-1)
        bound = np.where(whole, bound, every[..., place - 1] if place else -np.inf)
    return bound


def _crossed(first: Floats, second: Floats) -> Floats:
    """Differences of every seed of one setting and every seed of another, (..., I, J, seeds, seeds)."""
    return _differences(first[..., :, None, :, None], second[..., None, :, None, :])


@cache
def _rank_chances(n: int) -> Floats:
    """Chance of each number 0 .. n * n of pairs in which the first of two samples of n is larger, if both are alike.

    Counted by the partitions that fit into a square (H. B. Mann, D. R. Whitney: On a test of whether one of two random
    variables is stochastically larger than the other. Ann. Math. Statist. 18(1), 1947).
    """
    counts = {(a, b): np.ones(1) for a in range(n + 1) for b in range(n + 1) if not a or not b}
    for a in range(1, n + 1):
        for b in range(1, n + 1):
            found = np.zeros(a * b + 1)
            found[b:] += counts[a - 1, b]  # the largest of all is of the first sample: above all b of the second
            found[: a * (b - 1) + 1] += counts[a, b - 1]
            counts[a, b] = found
    return counts[n, n] / counts[n, n].sum()
