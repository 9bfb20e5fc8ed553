"""The benchmarks, small: that they run against the package as it is."""

import json

from benchmarks import cell, step


def test_a_step_can_be_measured_against_the_usual_loop():
    row = step.against_usual(step.local(64, 2), step.unpadded_batch(5), rounds=1)
    assert row["path"] in ("kernel", "dense")
    assert row["ours"] > 0
    assert row["theirs"] > 0


def test_a_sheet_can_be_measured():
    measured = json.loads(cell.sheet(side=8, radius=2, steps=30))
    assert measured["last"] < measured["first"]
    assert measured["gb"] > 0
