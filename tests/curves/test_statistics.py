"""Golden cases, worked out by hand, of the statistics over seeds."""

import numpy as np
import pytest

from lmrnn.curves.statistics import area, holm, mean_interval, percentile_interval, sustained_crossing
from lmrnn.figures.style import SEEDS_NOTE

INF = float("inf")


def test_area_is_the_mean_accuracy_while_the_budget_is_spent():
    # triangle 0 to .8 over 100 steps, then flat: (40 + 80) / 200
    assert area([0, 100, 200], [0, 0.8, 0.8], 200) == pytest.approx(0.6)
    assert area([0, 100, 200], [0, 0.8, 0.8], 50) == pytest.approx(0.2)  # 0 to .4
    assert area([100], [0.5], 300) == pytest.approx(0.5)  # one evaluation holds before and beyond
    assert area([0, 100, 100, 200], [0.4, 0.4, 0, 0], 200) == pytest.approx(0.2)  # lost at step 100
    assert area([0, 100, 100], [0, 0.8, 0], 100) == pytest.approx(0.4)  # lost when all of the budget is spent
    assert area([0, 0], [0.8, 0], 100) == 0  # lost at once


@pytest.mark.parametrize(
    ("n", "low", "high"), [(4, 1, 4), (40, 1, 39), (333, 9, 325), (2000, 50, 1950), (2800, 70, 2730)]
)
def test_an_interval_leaves_out_a_fortieth_of_the_resamples_at_each_side(n, low, high):
    assert percentile_interval(np.random.default_rng(0).permutation(n) + 1.0) == (low, high)


def test_area_hardly_depends_on_the_grid_of_evaluations():
    dense = np.arange(0, 2001)
    curve = 0.1 + 0.8 * (1 - np.exp(-dense / 400))
    areas = [area(dense[::every], curve[::every], 2000) for every in (1, 25, 50, 100)]
    assert np.ptp(areas) / areas[0] < 0.005


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([0.1, 0.5, 0.9, 0.9, 0.9], (100, 150, 200)),
        ([0.1, 0.9, 0.5, 0.9, 0.9], (200, 250, 300)),  # it falls back: the first visit does not count
        ([0.8, 0.9, 0.9, 0.9, 0.9], (0, 0, 0)),
        ([0.1, 0.9, 0.9, 0.5, 0.5], (500, 500, INF)),  # it stays for 100 steps only
        ([0.1, 0.1, 0.1, 0.5, 0.9], (300, 350, 400)),  # to the end
        ([0.1, np.nan, 0.9, 0.9, 0.9], (100, 200, 200)),
        ([0.1, 0.2, 0.3, 0.4, 0.5], (500, 500, INF)),
    ],
)
def test_a_crossing_that_lasts_lies_between_two_evaluations(accuracy, expected):
    assert sustained_crossing(100 * np.arange(5), accuracy, 0.7, 200, 500) == pytest.approx(expected)


def test_holm_by_hand():
    # .01 * 4, .02 * 3, .03 * 2 (no less than the one before), .5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1, 1]


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_interval_of_few_seeds_is_called_their_range(seeds):
    values = np.array([0.3, 0.7, 0.5])[:seeds]
    _, low, high = mean_interval(values)
    assert (float(low), float(high)) == pytest.approx((values.min(), values.max()))
    assert "of two or three seeds: their range" in SEEDS_NOTE
    assert mean_interval(np.array([0.1, 0.2, 0.3, 0.4]))[1] > 0.1  # from four on it is not
