"""The benchmark of the dispatch, small: that it runs against the plugin as it is."""

import pytest

from benchmarks import dispatch

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm")]


def test_the_dispatch_can_be_measured():
    rows = dispatch.submission_rows(cells=8) + dispatch.cpu_rows(cells=8)
    measured = {row["question"]: row["ours"] for row in rows}
    assert measured["sbatch calls for them"] == 1
    assert len(measured) == 6
    assert all(value > 0 for value in measured.values())
