"""A cell's file holds what was put in, and nothing else is taken for one."""

import numpy as np
import pytest

from lmrnn.errors import DamagedFileError
from lmrnn.files.storage import write_h5
from lmrnn.study.cells import MEASURES, CellResult, cell_row, read_cell, write_cell

SPEC = {
    "version": 1, "definition": "corrected", "dt": 100, "tasks": 2, "trials_per_task": 4, "seed": 3, "data_seed": 3,
    "validation_trials": 2, "test_trials": 2, "connectivity": {"kind": "local", "radius": 2.0, "boundary": "open"},
    "network": {"neurons": 36, "leak": 1.0}, "training": {"learning_rate": 0.001, "layout": "padded", "steps": 20},
}  # fmt: skip


def result(**changes):
    history = {name: np.array([0.25, 0.75, 0.5]) for name in MEASURES}
    history |= {"step": np.array([0, 10, 20]), "loss": np.array([2.5, 1.5, 1.0]), "trials": np.array([0, 40, 80])}
    history["task_decision_accuracy"] = np.array([[0.25, 0.25], [0.5, 1.0], [0.0, 1.0]])
    history |= dict.fromkeys(("training_seconds", "evaluation_seconds"), np.array([0.0, 1.0, 1.5]))
    weights = {"recurrent": np.arange(5.0), "input": np.ones((36, 33)), "rule": np.ones((36, 2)), "bias": np.ones(36)}
    weights |= {"readout": np.ones((17, 36)), "readout_bias": np.ones(17), "pre": np.arange(5), "post": np.arange(5)}
    parts = {
        "spec": SPEC,
        "status": "completed",
        "history": history,
        "test": {name: np.array([0.5, 1.0]) for name in (*MEASURES, "always_fixate")},
        "weights": weights,
        "provenance": {
            **{"host": "node1", "restarts": 2, "training_seconds": 1.5, "evaluation_seconds": 1.5},
            "peak_memory_mb": 300.0,
        },
    }
    return CellResult(**{**parts, **changes})


def test_what_is_written_is_read(tmp_path):
    write_cell(tmp_path / "cell.h5", result())
    back = read_cell(tmp_path / "cell.h5", SPEC)
    assert back.spec == SPEC
    assert back.status == "completed"
    assert back.provenance["restarts"] == 2
    np.testing.assert_array_equal(back.history["loss"], [2.5, 1.5, 1.0])
    np.testing.assert_array_equal(back.weights["recurrent"], np.arange(5))
    assert read_cell(tmp_path / "cell.h5", weights=False).weights == {}


def test_a_row_averages_over_tasks_and_takes_the_last_validation():
    row = cell_row(result(), "local-r2", neurons=36, synapses=324, file="f.h5", cell_hash="ab")
    assert row["test_decision_accuracy"] == 0.75
    assert row["validation_decision_accuracy"] == 0.5
    assert row["best_validation_decision_accuracy"] == 0.75
    assert row["density"] == 0.25
    assert row["learning_rate"] == 0.001
    assert row["restarts"] == 2
    assert row["best_step"] == 10
    assert np.isnan(row["test_at_best_decision_accuracy"])  # a cell of an earlier version


def test_a_row_has_the_test_at_the_best_validation(tmp_path):
    both = {**result().test, **{f"at_best_{name}": np.array([0.75, 1.0]) for name in MEASURES}}
    write_cell(tmp_path / "cell.h5", result(test=both))
    row = cell_row(read_cell(tmp_path / "cell.h5"), "local-r2", 36, 324, "f.h5", "ab")
    assert row["test_at_best_decision_accuracy"] == 0.875
    assert row["test_decision_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": "fine"}, "status 'fine' is none of completed, diverged"),
        ({"test": {}}, "lacks test/decision_accuracy"),
        ({"history": {"step": np.arange(3)}}, "lacks .*, decision_accuracy"),
        ({"spec": {**SPEC, "seed": 4}}, "another cell"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, change, says):
    write_cell(tmp_path / "cell.h5", result(**change))
    with pytest.raises(DamagedFileError, match=says):
        read_cell(tmp_path / "cell.h5", SPEC)


def test_a_cell_file_without_its_groups_is_refused(tmp_path):
    write_h5(tmp_path / "cell.h5", "cell", 1, lambda file: file.attrs.update({"spec": "{}", "status": "completed"}))
    with pytest.raises(DamagedFileError, match="lacks a part"):
        read_cell(tmp_path / "cell.h5")
