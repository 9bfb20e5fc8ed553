"""The ideal observer: by hand where a formula is known, against trials of the battery elsewhere."""

import math

import numpy as np
import pytest

from lmrnn.seeds import stream
from lmrnn.tasks import battery, parse, sample
from lmrnn.tasks.observer import Hypotheses, best_accuracy, hypotheses, ideal_accuracy, reach_of, undecided_accuracy


@pytest.mark.parametrize(("distance", "sd"), [(1.0, 0.5), (0.3, 0.2), (2.0, 1.0)])
def test_two_equally_likely_stimuli_are_told_apart_as_the_normal_distribution_says(distance, sd):
    known = Hypotheses(np.array([[0.0], [distance]]), np.array([[3], [7]]), np.ones((2, 1), bool))
    accuracy, error = best_accuracy(known, sd, "corrected", 20_000, stream(1, "test"))
    right = 0.5 * (1 + math.erf(distance / (2 * sd) / math.sqrt(2)))  # Phi(d' / 2)
    assert abs(accuracy - right) < 4 * error < 0.02


def test_equal_evidence_is_a_coin():
    known = Hypotheses(np.array([[1.0]]), np.array([[3, 7]]), np.ones((1, 2), bool))
    assert best_accuracy(known, 0.1, "corrected", 10, stream(1, "test"))[0] == 0.5


def test_of_many_positions_the_most_likely_is_answered():
    """By hand: three of four stimuli that look alike ask for position 3, so 3 is right in three of four trials."""
    known = Hypotheses(np.zeros((4, 2)), np.array([[3], [3], [3], [9]]), np.ones((4, 1), bool))
    assert best_accuracy(known, 1.0, "corrected", 10, stream(1, "test"))[0] == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["dm1", "dms", "dnmc"])
@pytest.mark.parametrize("dt", [100, 50])
def test_an_observer_of_rendered_trials_gets_as_many_right(name, dt):
    """A second way: the most likely of all trials, given every noisy time step of real ones, answered by its label."""
    task, n = parse(name), 1_500
    trials = sample(task, n, stream(2, "test", name), dt)
    known = hypotheses(task)
    when = {"dm1": [1], "dms": [1, 3], "dnmc": [1, 3]}[name]
    right = 0
    for i in range(n):
        rows = trials.observations[trials.rows(i)]
        bounds = trials.bounds[i]
        seen = [rows[bounds[k] : bounds[k + 1], 1:].mean(axis=0) for k in when]
        if name != "dm1":  # the ring without noise is left out
            seen = [part[:16] if trials.draws.columns["modality"][i] == 1 else part[16:] for part in seen]
        distance = ((np.concatenate(seen) - known.shown) ** 2).sum(axis=1)
        weight = np.exp(-(distance - distance.min()) / 2 * 500)  # a mean over 500 ms: variance 1 / 500
        answer = np.where(known.goes, known.position + 1, 0)[:, 0]
        share = np.bincount(answer, weights=weight, minlength=17)
        right += share.argmax() == trials.labels[trials.start[i] + trials.decision[i]]
    accuracy, error = ideal_accuracy(task, dt)
    assert abs(right / n - accuracy) < 4 * math.sqrt(accuracy * (1 - accuracy) / n + error**2) + 1e-4


def test_what_can_be_reached_on_the_twenty_tasks():
    """By hand: six tasks without a decision, fourteen with one of two; noise matters in the five dm tasks alone."""
    reach = reach_of(20, trials=2_000)
    assert reach.chance == pytest.approx((6 + 14 * 0.5) / 20)
    assert 0.98 < reach.ideal < 1
    assert reach.error < 1e-3
    assert reach.at(0) == reach.chance
    assert reach.at(1) == reach.ideal


def test_no_form_of_a_task_is_easier_than_deciding_nothing():
    for task in battery(126):
        if task.family in ("reach", "rt"):
            assert ideal_accuracy(task) == (1.0, 0.0)
        assert undecided_accuracy(task) in (0.5, 1.0)
