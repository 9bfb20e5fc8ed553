"""What rounding makes decides nothing, and what nothing was tested for has no p value."""

import numpy as np
import pytest

from lmrnn.claims.best import Setting, Settings, compare, pick
from lmrnn.claims.verdicts import claim_row, judge


def test_of_equal_settings_the_first_is_chosen_whatever_rounding_makes_of_their_sums():
    # the others' costs are the same numbers in another order
    costs = np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])
    assert pick(costs[:, [0, 1, 2]], held_out=False).tolist() == [0, 0, 0]
    assert pick(np.array([[6.9, 6.9, 0.1], [6.9, 6.9, 5.3]])).tolist() == [0, 0, 0]


def test_a_difference_that_rounding_alone_makes_is_none_and_lies_above_nothing():
    def steps(name, *costs):
        return Settings((Setting(name, name, 1.0),), (0, 1, 2), *[np.array([costs])] * 4)

    found = compare(steps("full", 0.1, 0.2, 0.3), steps("local", 0.3, 0.2, 0.1))
    assert sum((0.1, 0.2, 0.3)) != sum((0.3, 0.2, 0.1))
    assert found.number == 0


def test_what_nothing_was_tested_for_has_no_p_value_and_still_counts_among_a_claims_rows():
    def row(sides, number=1.0, **more):
        return claim_row(1, ("id", "label"), "one", "best", number=number, seeds=6, sides=sides, **more)

    rows = [row((0.001, 1.0)), row((np.nan, np.nan), np.nan), row((np.nan, np.nan), role="control")]
    judge(rows)
    assert [r["p"] for r in rows] == [pytest.approx(0.002), *[pytest.approx(np.nan, nan_ok=True)] * 2]
    assert rows[0]["p_holm"] == pytest.approx(0.004)  # of two: which rows have a number depends on the data
    assert np.isnan(rows[1]["p_holm"])
    assert (rows[1]["verdict"], rows[1]["reason"]) == ("undecided", "nothing to compare")
