"""Claim 2, trials per task to threshold, from cells whose numbers were chosen so that the answer is known."""

import numpy as np
import pytest

from tests.claims.test_claims import RATES, computed, one
from tests.synthetic_cells import FULL, LOCAL3, LOCAL5, cell


def sized(accuracy, *, rates=RATES, best=2e-3, seeds=3, **more):
    """Cells of each network and data size whose test accuracy is given, the best of three rates in the middle."""
    return [
        cell(connectivity, [0, value if rate == best else value / 2], seed=seed, trials_per_task=size,
             learning_rate=rate, **more)
        for connectivity, sizes in accuracy
        for size, value in sizes.items()
        for seed in range(seeds)
        for rate in rates
    ]  # fmt: skip


def test_claim_2_is_the_ratio_of_trials_per_task():
    full, local = {8: 0.3, 32: 0.4, 128: 0.7, 1000: 0.9}, {8: 0.4, 32: 0.7, 128: 0.8, 1000: 0.9}
    row = one(computed(sized([(FULL, full), (LOCAL3, local)])), claim=2, role="claim")
    assert row["number"] == pytest.approx(4)
    assert (row["first"], row["second"]) == (pytest.approx(128), pytest.approx(32))
    assert (row["verdict"], row["strict_verdict"]) == ("supported", "supported")
    assert row["detail"] == "full over local-r3; sizes 8, 32, 128, 1000"


def test_claim_2_interpolates_in_the_logarithm_between_sizes():
    full, local = {8: 0.3, 32: 0.5, 128: 0.9}, {8: 0.3, 32: 0.8, 128: 0.9}
    row = one(computed(sized([(FULL, full), (LOCAL3, local)])), claim=2, role="claim")
    assert row["first"] == pytest.approx(32 * 4 ** (0.2 / 0.4))
    assert row["second"] == pytest.approx(8 * 4 ** (0.4 / 0.5))


@pytest.mark.parametrize(
    ("full", "local", "number", "verdict", "words"),
    [
        # full never gets there: at least the largest over local's
        ({8: 0.1, 32: 0.2, 128: 0.3}, {8: 0.1, 32: 0.7, 128: 0.8}, 4, "supported", "at least this"),
        # local is there with the smallest: at least what is measured
        ({8: 0.1, 32: 0.7, 128: 0.8}, {8: 0.8, 32: 0.8, 128: 0.8}, 4, "supported", "at least this"),
        # local never gets there
        ({8: 0.1, 32: 0.7, 128: 0.8}, {8: 0.1, 32: 0.2, 128: 0.3}, 1 / 4, "not supported", "at most this"),
        # both are there with the smallest, or neither ever: nothing to compare
        ({8: 0.8, 32: 0.8, 128: 0.8}, {8: 0.9, 32: 0.9, 128: 0.9}, None, "undecided", "enough for both"),
        ({8: 0.1, 32: 0.1, 128: 0.1}, {8: 0.2, 32: 0.2, 128: 0.2}, None, "undecided", "neither always gets there"),
    ],
)
def test_claim_2_says_where_its_ratio_is_a_bound(full, local, number, verdict, words):
    row = one(computed(sized([(FULL, full), (LOCAL3, local)])), claim=2, role="claim")
    assert row["number"] == pytest.approx(number) if number else np.isnan(row["number"])
    assert (row["verdict"], words in row["detail"]) == (verdict, True)


def test_claim_2_with_the_losers_best_rate_at_the_edge_decides_nothing():
    full, local = {8: 0.3, 32: 0.4, 128: 0.7}, {8: 0.4, 32: 0.7, 128: 0.8}
    cells = sized([(FULL, full)], best=4e-3) + sized([(LOCAL3, local)])
    row = one(computed(cells), claim=2, role="claim")
    assert (row["number"], row["verdict"]) == (pytest.approx(4), "undecided")
    assert "the first at the edge of the rates tried" in row["detail"]
    # at a size far from the crossing, the edge does not matter
    cells = [one for one in cells if one.spec["connectivity"] != FULL]
    cells += sized([(FULL, {8: 0.1})], best=4e-3) + sized([(FULL, {32: 0.4, 128: 0.7})])
    assert one(computed(cells), claim=2, role="claim")["verdict"] == "supported"


def test_claim_2_compares_over_the_sizes_that_both_have():
    # full was also trained with 8 trials, local-r5 with 128 only
    full, local = {8: 0.75, 32: 0.75, 128: 0.9}, {32: 0.5, 128: 0.9}
    cells = sized([(FULL, full), (LOCAL3, local), (LOCAL5, {128: 0.99})])
    row = one(computed(cells), claim=2, role="claim")
    assert row["detail"] == "full over local-r3; at most this; sizes 32, 128"
    assert row["second"] == pytest.approx(32 * 4 ** (0.2 / 0.4))


def test_claim_2_is_also_taken_at_the_best_evaluation():
    # full falls behind only because it is trained on after its best
    full = [cell(FULL, [0, 0.8, 0.1], seed=s, trials_per_task=n, learning_rate=r)
            for s in range(3) for n in (8, 32) for r in RATES]  # fmt: skip
    table = computed(full + sized([(LOCAL3, {8: 0.6, 32: 0.8})], steps=200))
    assert one(table, claim=2, role="claim")["number"] > 1
    assert one(table, claim=2, comparison="full / best local, both stopped early")["number"] < 1
