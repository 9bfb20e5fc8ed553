"""Extreme but legal studies end well, and what differs stays apart: every step of the workflow, in this process."""

import pandas as pd
import pytest

from tests.studies import Study

FIRST = ["go", "anti", "dlygo", "dlyanti", "rtgo", "rtanti", "multidm"]
SECOND = ["dlygointr", "dlyantiintl", "dlygoseqr", "goseql", "dmsseqr", "dm1seqr", "dm2seql"]
TWO = {"connectivity": ["autapse", "full"], "trials_per_task": [4], "seed": [0, 1]}


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def finish(study, **changes):
    study.change(validation_trials=2, test_trials=4, claims=True, **changes)
    study.finish()
    return study.results / "tiny"


def test_a_threshold_that_all_have_before_the_first_step_is_drawn(study):
    curves = {"thresholds": [1e-7], "bootstrap": 100}
    folder = finish(study, grid={**TWO, "tasks": [2]}, network={"neurons": 16}, curves=curves)
    times = pd.read_csv(folder / "curves/steps_to_threshold.csv", comment="#")
    assert (times[times["unit"] == "steps"]["median"] == 0).any()
    assert (folder / "figures/steps_to_threshold.svg").stat().st_size > 1000
    assert (folder / "claims.html").exists()


def test_one_neuron_is_analysed_as_far_as_it_goes(study):
    folder = finish(study, grid={**TWO, "seed": [0], "tasks": [["goseqr", "dlygointl", "go"]]}, network={"neurons": 1})
    assert (folder / "claims.csv").exists()
    assert (folder / "figures/training_speed.png").exists()


def test_two_batteries_of_as_many_named_tasks_are_two_panels_and_no_seeds_of_each_other(study):
    folder = finish(study, grid={**TWO, "tasks": [FIRST, SECOND]}, network={"neurons": 16})
    accuracy = pd.read_csv(folder / "curves/task_accuracy.csv", comment="#")
    tasks = [set(part["task"]) for _, part in accuracy.groupby("panel")]
    assert sorted(map(sorted, tasks)) == sorted(map(sorted, [FIRST, SECOND]))
    speed = pd.read_csv(folder / "curves/training_speed.csv", comment="#")
    assert set(speed["seeds"]) == {2}
