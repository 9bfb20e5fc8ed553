"""Cells that differ only in how often and on how much they are looked at share their weights, and their first steps."""

import copy
import io
from functools import partial

import numpy as np
import pytest

from lmrnn.study.cells import AT_BEST, read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training import train as loop
from lmrnn.training.again import course, left_of, rows_at
from lmrnn.training.run import run_cell

STUDY = {
    "study": "again",
    "validation_trials": 3,
    "test_trials": 5,
    "grid": {"connectivity": [{"kind": "local", "radius": 2}], "tasks": [3], "trials_per_task": [16], "seed": [4]},
    "network": {"neurons": 16, "recurrent_noise": 0.05},
    # so large a rate that the best validation is not the last
    "training": {"steps": 12, "evaluate_every": 4, "batch_size": 6, "learning_rate": 0.1},
}
CLOCKS = ("training_seconds", "evaluation_seconds")


class Place:
    """A folder of results; counts the steps that are taken there."""

    def __init__(self, folder, monkeypatch):
        self.results, self.steps, self.log = folder, 0, io.StringIO()
        take = loop.take_step

        def counted(training):
            self.steps += 1
            take(training)

        monkeypatch.setattr(loop, "take_step", counted)

    def run(self, compute=(), **changes):
        """The result of the study's cell after changes, and how many steps its training took."""
        study = copy.deepcopy(STUDY)
        for key, value in changes.items():
            (study["training"] if key not in study else study)[key] = value
        study = validate_config({**study, "compute": dict(compute)})
        cell, before = cells_of(study)[0], self.steps
        left = left_of(cell, self.results, partial(read_cell, weights=False))
        run_cell(cell, self.results, study["compute"], self.log)
        result, taken = read_cell(cell.path(self.results), cell.spec), self.steps - before
        if result.status == "completed":  # what was said to be left is what was computed
            last, rows = result.history["step"][-1], result.history["step"]
            if last == study["training"]["steps"] or not taken:  # not ended early by validation
                assert left.steps == taken
                assert not taken or left.validations == ((rows > last - taken).sum() if left.begun else len(rows))
        return result, taken


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path / "results", monkeypatch)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Where nothing was trained yet."""
    return Place(tmp_path / "fresh", monkeypatch)


def assert_same(found, expected, but=()):
    """Bit for bit, apart from the clock, from provenance and from what is named."""
    assert found.status == expected.status
    for part in ("weights", "history", "test"):
        one, other = getattr(found, part), getattr(expected, part)
        assert set(one) == set(other)
        for name in set(one) - {*CLOCKS, *but}:
            assert one[name].tobytes() == other[name].tobytes(), name
    for name in ("always_fixate_step_accuracy", "always_fixate_decision_accuracy"):
        assert found.provenance[name] == expected.provenance[name]


@pytest.mark.parametrize("trials", [1, 10])
def test_other_test_trials_train_nothing_and_give_the_same_as_a_training(place, fresh, trials):
    place.run()
    again, steps = place.run(test_trials=trials)
    assert steps == 0
    assert_same(again, fresh.run(test_trials=trials)[0])
    assert f"{AT_BEST}decision_accuracy" in again.test
    assert "nothing to train, tests are taken anew" in place.log.getvalue()


def test_the_test_at_the_best_validation_is_left_out_where_its_weights_are_not_kept(place):
    first, _ = place.run(compute={"keep_end": False})
    assert first.history["decision_accuracy"].argmax() < 3  # else the last weights are the best
    again, steps = place.run(test_trials=10)
    assert steps == 0
    assert not any(name.startswith(AT_BEST) for name in again.test)
    assert "best validation are left out" in place.log.getvalue()


def test_other_validation_trials_train_nothing_and_measure_the_last_evaluation_anew(place, fresh):
    first, _ = place.run()
    again, steps = place.run(validation_trials=9)
    assert steps == 0
    trained, _ = fresh.run(validation_trials=9)
    for name in ("decision_accuracy", "task_decision_accuracy", "trial_accuracy"):
        assert again.history[name][-1].tobytes() == trained.history[name][-1].tobytes()
        assert again.history[name][:-1].tobytes() == first.history[name][:-1].tobytes()
    assert again.provenance["validation_trials_before_last"] == 3
    assert "stays that on 3 trials a task" in place.log.getvalue()


def test_a_training_that_validation_ended_is_looked_at_again_and_longer_ones_end_there_too(place, fresh):
    patient = {"patience": 4, "evaluate_every": 2, "steps": 40}
    first, steps = place.run(**patient)
    best = first.history["step"][first.history["decision_accuracy"].argmax()]
    assert steps == first.history["step"][-1] == best + 4 < 40
    assert first.status == "completed"
    assert "no better validation in 4 steps" in place.log.getvalue()
    assert f"{AT_BEST}decision_accuracy" in first.test
    again, steps = place.run(**patient, test_trials=9)
    assert steps == 0
    assert_same(again, fresh.run(**patient, test_trials=9)[0])
    longer, steps = place.run(**{**patient, "steps": 60})
    assert steps == 0
    assert_same(longer, fresh.run(**{**patient, "steps": 60})[0])
    # other validation trials, or other moments, could have ended it elsewhere
    assert place.run(**patient, validation_trials=9)[1] > 0
    assert place.run(**{**patient, "evaluate_every": 1})[1] > 0


def test_without_patience_all_steps_are_taken(place):
    assert place.run()[1] == 12
    assert place.run(patience=12)[1] == 12  # what the last step shows ends nothing earlier


@pytest.mark.parametrize("layout", [{}, {"layout": "stream", "sequence_length": 30}])
@pytest.mark.parametrize("shorter", [8, 9])  # with an evaluation that the longer training has there, and without
def test_more_steps_go_on_from_the_end_bit_for_bit(place, fresh, shorter, layout):
    place.run(steps=shorter, **layout)
    longer, steps = place.run(**layout)
    assert steps == 12 - shorter
    assert_same(longer, fresh.run(**layout)[0])
    assert f"at step {shorter}: nothing before is trained again" in place.log.getvalue()
    assert not list(place.results.rglob("*.previous"))


def test_more_steps_go_on_from_the_longest_and_after_tests_were_taken_anew(place, fresh):
    place.run(steps=4)
    place.run(steps=8)
    place.run(steps=8, test_trials=10)
    longer, steps = place.run(test_trials=10, steps=10)
    assert steps == 2
    assert_same(longer, fresh.run(test_trials=10, steps=10)[0])


def test_rarer_evaluations_are_those_that_are_there(place, fresh):
    place.run()
    rarer, steps = place.run(evaluate_every=8)
    assert steps == 0
    expected, _ = fresh.run(evaluate_every=8)
    assert list(rarer.history["step"]) == [0, 8, 12]
    np.testing.assert_allclose(rarer.history["loss"], expected.history["loss"], rtol=1e-12)
    at_best = [name for name in expected.test if name.startswith(AT_BEST) and name not in rarer.test]
    assert_same(rarer, expected, but=("loss", *at_best)) if not at_best else None


def test_rarer_evaluations_and_more_steps_at_once(place, fresh):
    place.run(steps=10, evaluate_every=2)
    longer, steps = place.run(evaluate_every=4)
    assert steps == 2
    expected, _ = fresh.run(evaluate_every=4)
    np.testing.assert_allclose(longer.history["loss"], expected.history["loss"], rtol=1e-12)
    assert all(longer.weights[name].tobytes() == values.tobytes() for name, values in expected.weights.items())


@pytest.mark.parametrize("steps", [12, 16])
def test_finer_evaluations_are_trained_from_the_start_and_it_is_said_what_is_missing(place, fresh, steps):
    place.run()
    finer, taken = place.run(evaluate_every=2, steps=steps)
    assert taken == steps
    assert_same(finer, fresh.run(evaluate_every=2, steps=steps)[0])
    assert "was not evaluated at step 2, 6, 10" in place.log.getvalue()


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 0.01}, {"batch_size": 5}, {"schedule": "cosine"}, {"trials_per_task": 8}]
)
def test_what_determines_the_weights_is_trained(place, changes):
    place.run()
    if "trials_per_task" in changes:
        changes = {"grid": {**STUDY["grid"], "trials_per_task": [8]}}
    assert place.run(**changes)[1] == 12


def test_a_schedule_that_depends_on_the_number_of_steps_is_not_continued(place):
    place.run(schedule="cosine", steps=8)
    assert place.run(schedule="cosine")[1] == 12
    assert place.run(schedule="cosine", test_trials=10)[1] == 0
    place.run(schedule="warmup", warmup_steps=3, steps=8)
    assert place.run(schedule="warmup", warmup_steps=3)[1] == 4


def test_fewer_steps_are_trained(place):
    place.run()
    assert place.run(steps=8)[1] == 8


def test_without_a_kept_end_more_steps_are_trained_from_the_start_and_it_is_said(place, fresh):
    place.run(compute={"keep_end": False}, steps=8)
    assert not list(place.results.glob("ends/**/*.h5"))
    longer, steps = place.run()
    assert steps == 12
    assert_same(longer, fresh.run()[0])
    assert "its end is not kept" in place.log.getvalue()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x"), lambda path: path.unlink()])
def test_a_damaged_end_or_a_damaged_relative_never_enters_a_result(place, fresh, damage):
    place.run(steps=8)
    damage(next(place.results.glob("ends/**/*.h5")))
    longer, steps = place.run()
    assert steps == 12
    assert_same(longer, fresh.run()[0])
    for path in (place.results / "cells").rglob("*.h5"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert place.run(test_trials=10)[1] == 12
    assert "not looked at for weights" in place.log.getvalue()


def test_a_diverged_training_is_that_of_any_number_of_steps_after(place, fresh):
    place.run(learning_rate=1e18)
    longer, steps = place.run(learning_rate=1e18, steps=16, test_trials=8)
    assert (longer.status, steps) == ("diverged", 0)
    assert_same(longer, fresh.run(learning_rate=1e18, steps=16, test_trials=8)[0])


def test_a_course_is_blind_to_how_a_cell_is_looked_at_and_to_nothing_else():
    study = validate_config(STUDY)
    spec = cells_of(study)[0].spec
    seen = {"test_trials": 9, "validation_trials": 9}
    training = {**spec["training"], "steps": 99, "evaluate_every": "log", "evaluations": 7}
    assert course({**spec, **seen, "training": training}) == course(spec)
    for key in set(spec) - set(seen) - {"training"}:
        assert course({**spec, key: "other"}) != course(spec)
    for key in set(training) - {"steps", "evaluate_every", "evaluations"}:
        other = {**spec["training"], key: "other" if key != "schedule" else "cosine"}
        assert course({**spec, "training": other}) != course(spec)


def test_rows_of_a_history_have_the_mean_loss_since_the_row_before():
    history = {"step": np.array([0, 2, 3, 7]), "loss": np.array([np.nan, 1.0, 4.0, 2.0])}
    taken = rows_at(history, [0, 3, 7])
    assert taken["step"].tolist() == [0, 3, 7]
    np.testing.assert_allclose(taken["loss"], [np.nan, (2 * 1 + 4) / 3, 2])
    assert rows_at(history, [0, 5]) is None
