"""Simulated studies: the claims are wrong in 5% at most where nothing differs, and find what is there."""

import os

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lmrnn.claims.simulation import CLAIMS, WORLDS, World, verdict_rates
from tests.claims.test_claims import computed, one
from tests.synthetic_cells import FULL, LOCAL3, cell

SOAK = int(os.environ.get("LMRNN_SOAK_NULLS", 0))  # studies of each world and number of seeds, by `make soak`


@pytest.mark.soak
@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize(("seeds", "studies"), [(3, 4), (6, 50), (10, 30)])
@pytest.mark.parametrize("world", WORLDS if SOAK else ["a long tail of slow trainings"])
def test_without_a_difference_any_verdict_on_a_claim_is_rare(world, seeds, studies):
    number = SOAK or studies
    for claim, verdicts in verdict_rates(WORLDS[world], seeds, number).items():
        allowed = stats.binom.ppf(0.999, number, 0.05)
        assert sum(verdicts) <= allowed, f"claim {claim}, {seeds} seeds: {verdicts} of {number}"


def test_six_seeds_find_differences_of_a_size_that_matters():
    # full takes 1.8 times as long, local is .08 more accurate, autapses and angles lie .08 beyond their limits
    world = World(flat=False, speed=np.log(1.8), data=0.08, points=0.08, turn=0.08)
    found = verdict_rates(world, 6, 10)
    assert all(found[claim][0] >= 7 and found[claim][1] == 0 for claim in CLAIMS), found


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_grid_of_evaluations_changes_no_verdict(ratio):
    """The same curves, evaluated every 25, 50 and 100 steps."""
    rng = np.random.default_rng(4)
    times = {kind: time * np.exp(0.05 * rng.standard_normal((3, 6)))
             for kind, time in (("full", 400 * ratio), ("local", 400))}  # fmt: skip
    tables = []
    for every in (25, 50, 100):
        step = np.arange(0, 2001, every)
        cells = [
            cell(kind, 0.95 * (1 - np.exp(-step / (slow * times[kind["kind"]][place, seed]))), every=every, seed=seed,
                 learning_rate=rate)
            for kind in (FULL, LOCAL3)
            for place, (rate, slow) in enumerate(((1e-3, 1.4), (2e-3, 1.0), (4e-3, 1.3)))
            for seed in range(6)
        ]  # fmt: skip
        tables.append(computed(cells))
    for wanted in ({"subject": "whole training"}, {"threshold": 0.7}, {"subject": "50% of what can be reached"}):
        rows = pd.DataFrame([one(table, claim=1, variant="best", **wanted) for table in tables])
        assert rows["verdict"].nunique() == 1, rows[["number", "low", "high", "verdict"]]
        if "subject" in wanted and wanted["subject"] == "whole training":
            assert np.ptp(rows["number"]) < 0.002
        # every grid's number lies inside every grid's bounds
        assert rows["low"].max() <= rows["number"].min()
        assert rows["number"].max() <= rows["high"].min()
