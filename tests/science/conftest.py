"""A small cell, trained once for all of these tests."""

import io

import pytest

import lmrnn
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell

STUDY = {
    "study": "small",
    "validation_trials": 4,
    "test_trials": 10,
    "grid": {
        "connectivity": [{"kind": "local", "radius": 3}],
        "tasks": [["dm1", "dlygo", "dms", "dlydm1intr"]],
        "trials_per_task": [64],
        "seed": [0],
    },
    "network": {"neurons": 36},
    "training": {"steps": 60, "evaluate_every": 30, "learning_rate": 0.005},
}


@pytest.fixture(scope="session")
def cell_file(tmp_path_factory):
    """Its result file."""
    results = tmp_path_factory.mktemp("results")
    study = validate_config(STUDY)
    cell = cells_of(study)[0]
    run_cell(cell, results, study["compute"], io.StringIO())
    return cell.path(results)


@pytest.fixture
def cell(cell_file):
    """The trained network."""
    return lmrnn.load(cell_file)
