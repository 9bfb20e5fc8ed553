"""Studies of which little or nothing can be said end well, and say why."""

import pytest

from lmrnn.claims.page import write_page
from tests.claims.test_claims import RANDOM, RATES, computed
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, cell

KINDS = (FULL, LOCAL3, AUTAPSE, RANDOM)
GRID = [
    {"connectivity": kind, "seed": seed, "learning_rate": rate} for kind in KINDS for seed in range(6) for rate in RATES
]
STUDIES = {
    "all are at every threshold from the start": [cell(**one, accuracies=[1.0, 1.0]) for one in GRID],
    "all diverged before the first evaluation": [
        cell(**one, accuracies=[], status="diverged", steps=100) for one in GRID
    ],
    "one seed": [cell(kind, [0, 0.9], trials_per_task=size) for kind in KINDS for size in (8, 32)],
    "no seed that both have": [
        cell(kind, [0, 0.9], seed=seed + 6 * (kind is FULL)) for kind in (FULL, LOCAL3) for seed in range(6)
    ],
}


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_of_which_nothing_can_be_said_says_why(study, tmp_path):
    table = computed(STUDIES[study], thresholds=(0.5, 0.7))
    claimed = table[(table["role"] == "claim") & (table["claim"] != 3)]
    assert set(claimed["verdict"]) == {"undecided"}
    assert claimed["reason"].all()
    write_page(table, tmp_path / "claims.html", study)
    assert "undecided" in (tmp_path / "claims.html").read_text()
