"""Bounds of best against best: golden cases by hand, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from lmrnn.claims.bounds import LEVEL, lower_bound, p_above

INF = float("inf")
SIX = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_one_setting_each_is_students_paired_test():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.3, 1, (1, 6)), rng.normal(0, 1, (1, 6))
    test = stats.ttest_rel(first[0], second[0], alternative="greater")
    assert p_above(first, second) == pytest.approx(test.pvalue)
    assert lower_bound(first, second) == pytest.approx(test.confidence_interval(1 - LEVEL).low)


def test_a_censored_value_is_compared_by_ranks():
    # all of the first lie above all of the second: 1 of the 924 ways to share 12 ranks; one only known to be large
    first, second = np.append(SIX[:5] + 1, INF)[None], SIX[None]
    assert p_above(first, second) == pytest.approx(1 / 924)
    # one that may be arbitrarily small instead, and ties with none
    first[0, 5] = -INF
    assert p_above(first, second) == pytest.approx(
        stats.mannwhitneyu(first[0], second[0], alternative="greater", method="exact").pvalue
    )


def test_the_bound_of_moses_by_hand():
    # of 36 differences at most 5 may be passed at .025 (Hollander, Wolfe and Chicken's table): the 6th smallest bounds
    first, second = np.append(SIX[:5] + 1, INF)[None], SIX[None]
    differences = np.sort((first.T - second).ravel())
    assert lower_bound(first, second) == pytest.approx(differences[5])


def test_the_best_of_several_by_hand():
    # second's best is unknown: whichever bounds best, at half of the level; of the first all must lie above
    noise = np.array([-1, 1, -1, 1, -1, 1]) * 0.1
    first = np.stack([1 + noise, 3 + noise])
    second = np.stack([0 * noise, 0.5 + 0 * noise])
    half = stats.t.isf(LEVEL / 2, 5) * noise.std(ddof=1) / 6**0.5
    assert lower_bound(first, second) == pytest.approx(1 - 0 - half)
    assert p_above(first, second) == pytest.approx(2 * stats.t.sf(1 / (noise.std(ddof=1) / 6**0.5), 5))


@pytest.mark.parametrize("seeds", [3, 6, 10])
@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize(("full", "local"), [(1, 1), (1, 4), (3, 3), (4, 12)])
def test_bounds_are_wrong_in_five_percent_at_most(seeds, censored, full, local):
    """With settings that are all alike, the worst case, and seeds that are shared."""
    rng, studies = np.random.default_rng([seeds, full, local]), 4000 if full * local < 20 else 1000
    shared = 0.1 * rng.standard_normal((studies, 1, seeds))
    costs = [shared + 0.1 * rng.standard_normal((studies, n, seeds)) for n in (full, local)]
    ends = [(cost, cost) for cost in costs]
    if censored:  # a fourth of all cells never gets there, and what does lies between two evaluations
        ends = [
            (np.minimum(np.floor(cost / 0.02) * 0.02, 0.1), np.where(cost > 0.1, INF, np.ceil(cost / 0.02) * 0.02))
            for cost in costs
        ]
    (first_low, first_high), (second_low, second_high) = ends
    low, high = lower_bound(first_low, second_high), -lower_bound(second_low, first_high)
    wrong = int(((low > 0) | (high < 0)).sum())
    assert wrong <= stats.binom.ppf(0.999, studies, 0.05)


@pytest.mark.parametrize("censored", [False, True])
def test_bounds_and_p_values_say_the_same(censored):
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((200, 2, 6)) + 1, rng.standard_normal((200, 3, 6))
    if censored:
        second[second > 1] = INF
    bound = lower_bound(first, second)
    inside = np.where(np.isfinite(bound), bound, -9.0)
    p = np.array([p_above(one, two, limit) for one, two, limit in zip(first, second, inside - 1e-9, strict=True)])
    assert (p[np.isfinite(bound)] <= LEVEL * (1 + 1e-6)).all()
    beyond = np.array([p_above(one, two, limit) for one, two, limit in zip(first, second, inside + 1e-6, strict=True)])
    assert (beyond > LEVEL * (1 - 1e-4)).all()
