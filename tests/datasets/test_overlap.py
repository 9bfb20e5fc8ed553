"""Test trials that stand in the training set, too, against every pair of trials compared."""

import numpy as np
import pytest

from lmrnn import plugins
from lmrnn.datasets import DatasetSpec, generate, overlap
from lmrnn.files.tables import read_table
from lmrnn.steps import collect_cells
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell

TASKS = ("go", "dm1", "dlygo", "anti", "goseqr", "dlygointr", "dms")


def compared(train, test):
    """Share of each task's test trials that equal a training trial, by looking at every pair."""
    sets = generate(train), generate(test)
    found = []
    for task in range(len(test.tasks)):
        mine, theirs = ([one[k] for k in np.flatnonzero(one.task == task)] for one in sets)
        same = [any(np.array_equal(a.observations, b.observations) for a in mine) for b in theirs]
        found.append(np.mean(same))
    return found


@pytest.mark.parametrize(("definition", "dt"), [("corrected", 100), ("released", 50)])
def test_the_share_is_that_of_comparing_every_pair(definition, dt):
    train = DatasetSpec(definition, dt, TASKS, 20, "train", 3)
    test = DatasetSpec(definition, dt, TASKS, 30, "test", 0)
    found = overlap.seen_in_training(train, test)
    assert found == pytest.approx(compared(train, test))
    assert found[0] > 0.3
    assert found[1] == 0


def test_noise_timing_and_own_tasks_are_those_of_the_datasets(tmp_path):
    file = tmp_path / "own.py"
    file.write_text('from lmrnn.tasks import own_task\nown_task("late", like="go", periods={"delay": 400})(None)\n')
    own = (("late", plugins.load(file).sha256),)
    for change in ({"noise": 0.0}, {"timing": (("stimulus", (200,)),), "noise": 0.0}, {"noise_where": "throughout"}):
        train, test = (
            DatasetSpec("corrected", 100, ("go", "late", "dm1"), n, split, 0, own, **change)
            for n, split in ((100, "train"), (30, "test"))
        )
        found = overlap.seen_in_training(train, test)
        assert found == pytest.approx(compared(train, test))
        assert (found[2] > 0) == ("noise" in change)
        assert (max(found) > 0) == ("noise" in change)


def test_with_a_thousand_trials_every_trial_of_a_task_without_noise_was_trained_on():
    train, test = (
        DatasetSpec("corrected", 100, ("go", "anti", "dm1"), n, s, 0) for n, s in ((1000, "train"), (50, "test"))
    )
    assert overlap.seen_in_training(train, test) == (1.0, 1.0, 0.0)


def test_a_battery_that_repeats_a_task_compares_each_with_its_own_trials():
    names = DatasetSpec("corrected", 100, 132, 5, "train", 0).tasks
    twice = next(name for name in names if names.count(name) == 2)
    both = (twice, "go", twice)
    train, test = (DatasetSpec("corrected", 100, both, n, s, 0) for n, s in ((300, "train"), (20, "test")))
    found = overlap.seen_in_training(train, test)
    assert found == pytest.approx(compared(train, test))
    assert found[0] != found[2]


def test_the_table_of_cells_says_how_much_of_the_test_set_was_trained_on(tmp_path):
    grid = {"connectivity": ["autapse"], "tasks": [["go", "dm1"]], "trials_per_task": [30, 400], "seed": [0]}
    settings = {"network": {"neurons": 4}, "training": {"steps": 1}, "validation_trials": 2, "test_trials": 10}
    study = validate_config({"study": "s", "grid": grid, **settings})
    cells = cells_of(study)
    with (tmp_path / "log").open("w") as log:
        for cell in cells:
            run_cell(cell, tmp_path, study["compute"], log=log)
    collect_cells(cells, tmp_path, tmp_path / "cells.csv")
    few, many = read_table(tmp_path / "cells.csv")["test_in_training"]
    assert 0 < few < many == 0.5  # dm1 has noise
