"""The benchmark of the dispatch, small: that it runs against the plugin as it is."""

import pytest

from benchmarks import dispatch

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm")]


def test_submission_and_polls_can_be_measured():
    # not cpu_rows: they need the accounting, which other tests take down meanwhile
    measured = {row["question"]: row["ours"] for row in dispatch.submission_rows(cells=8)}
    assert measured["sbatch calls for them"] == 1
    assert len(measured) == 4
    assert all(value > 0 for value in measured.values())
