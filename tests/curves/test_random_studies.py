"""Random legal studies end well, and every number in their tables is that of a second, plain implementation.

The curves' is in this folder, that of the look into the networks in `tests.analysis.plain`, that of the claims in
`tests.claims.plain_table`.
"""

import os

import pytest

from lmrnn.analysis import TABLES as ANALYSES
from lmrnn.curves.maps import MAPS
from lmrnn.curves.tables import TABLES
from lmrnn.figures.registry import FIGURES
from lmrnn.study.config import complete
from tests.analysis import plain as plain_analysis
from tests.claims import plain_page, plain_table
from tests.curves import plain, plain_tables
from tests.random_studies import make_all, random_study, train_all

STUDIES = 20
MORE = int(os.environ.get("LMRNN_SOAK_STUDIES", "0"))
pytestmark = pytest.mark.filterwarnings("ignore:left out")  # networks that explode


def go_through(seed, results, dpi=None, most_figures=None, claims=None):
    """A random study from its configuration to its figures, and its tables held against the plain ones; with `claims`
    it has the tables of those too, else by chance."""
    config, cells = random_study(seed, results)
    config["claims"] = config["claims"] if claims is None else claims
    train_all(config, cells, seed)
    study = make_all(config, cells, dpi, most_figures, seed)
    known = [
        plain.read(cell.path(results), *(cell.dataset_path(results, split) for split in ("train", "test")))
        for cell in cells
    ]
    plain.settle(known, {**complete("network", {}), **complete("training", {})})
    plain.compare(study.cells, ("file",), plain.cells_csv(known, [cell.hash for cell in cells]))
    asked = {**config["curves"], "thresholds": [float(one) for one in config["curves"]["thresholds"]]}
    made = {path.stem for path in study.curve("x").parent.glob("*.csv")}
    assert made <= set(plain_tables.TABLES), "a table that tests/curves/plain_tables.py does not know yet"
    for name in made:
        make, keys = plain_tables.TABLES[name]
        plain.compare(study.curve(name), keys, make(known, asked))
    if config["claims"]:
        plain_analysis.compare(study.analysis, known)
        labels = plain_table.labels_of(plain_table.read(study.curve("threshold_times")))
        rotation = plain_table.read(study.analysis("rotation"))
        plain_table.compare(study.claims("csv"), plain_table.rows_of(known, labels, asked["thresholds"], rotation))
        plain_page.compare(study.claims("html"), plain_table.read(study.claims("csv")))


def test_every_table_that_a_figure_draws_has_a_second_implementation():
    known = {f"curves/{name}" for name in plain_tables.TABLES} | {f"analysis/{name}" for name in plain_analysis.KEYS}
    assert {table for figure in FIGURES.values() for table in figure.tables} <= known
    assert {f"curves/{name}" for name in (*TABLES, *MAPS)} | {f"analysis/{name}" for name in ANALYSES} <= known


# every figure is drawn of some study; all of each by the long run
@pytest.mark.parametrize("seed", range(STUDIES))
def test_a_random_study_ends_well_and_its_tables_hold_what_its_cells_hold(seed, tmp_path):
    go_through(seed, tmp_path / "results", dpi=50, most_figures=2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not MORE, reason="started by `make soak`")
def test_many_random_studies_end_well_and_their_tables_hold_what_their_cells_hold(tmp_path):
    failed = []
    for seed in range(STUDIES, STUDIES + MORE):
        try:
            go_through(seed, tmp_path / str(seed), claims=True)
        except Exception as error:  # the others are looked at, too
            failed.append(f"seed {seed}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)
