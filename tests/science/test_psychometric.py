"""Psychometric curves of observers whose curves are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from lmrnn.errors import ConfigError
from lmrnn.science.psychometric import Sigmoid, default_coherences, fit_sigmoid, psychometric
from lmrnn.tasks import parse
from lmrnn.tasks.rendering import bumps
from tests.science.hand_made import integrator

LEVELS = np.array([-0.64, -0.32, -0.16, -0.08, -0.04, 0.04, 0.08, 0.16, 0.32, 0.64])


def test_the_curve_of_an_ideal_integrator_is_its_formula():
    first, second, steps, trials, sd = 2, 9, 5, 800, 0.1  # noise of 1 / sqrt(100 ms), five steps of 100 ms
    found = psychometric(integrator(first, second), "dm1", LEVELS, trials, theta1=first, theta2=second)
    weights = bumps(np.array([first]))[0].astype(float) - bumps(np.array([second]))[0]
    spread = 2 * sd / (np.sqrt(steps) * np.linalg.norm(weights))  # evidence T c |w|^2 / 2, noise sd |w| sqrt(T)
    formula = ndtr(LEVELS / spread)
    error = np.sqrt(formula * (1 - formula) / trials)
    assert (np.abs(found.table["first"] - formula) <= 4 * error + 1e-9).all()
    assert (found.table["other"] == 0).all()
    assert abs(found.choice.spread / spread - 1) < 0.1
    assert abs(found.choice.bias) < 0.005
    assert found.choice.lapse < 0.005
    assert found.choice.determined
    correct = np.where(LEVELS > 0, found.table["first"], found.table["second"])
    assert np.array_equal(found.table["correct"], correct)
    assert abs(found.accuracy.spread / spread - 1) < 0.1


def test_without_noise_an_integrator_is_always_right_and_says_nothing_of_its_spread():
    found = psychometric(integrator(2, 9), "dm1", LEVELS, 10, noise=False, theta1=2, theta2=9)
    assert (found.table["correct"] == 1).all()
    assert not found.choice.determined


@given(
    bias=st.floats(-0.1, 0.1),
    spread=st.floats(0.05, 0.3),
    lapse=st.floats(0, 0.15),
    shape=st.sampled_from(["gaussian", "logistic"]),
)
@settings(max_examples=10, deadline=None)
def test_a_fit_to_exact_shares_gives_back_the_sigmoid(bias, spread, lapse, shape):
    levels = np.linspace(-1, 1, 21)
    rise = {"gaussian": ndtr, "logistic": expit}[shape]((levels - bias) / spread)
    fit = fit_sigmoid(levels, lapse + (1 - 2 * lapse) * rise, 1.0, shape)
    np.testing.assert_allclose(fit(levels), lapse + (1 - 2 * lapse) * rise, atol=2e-3)
    assert abs(fit.spread / spread - 1) < 0.02
    assert abs(fit.bias - bias) < 0.003


def test_what_is_given_is_not_fitted():
    fit = fit_sigmoid([-0.5, 0.5], [0.2, 0.9], 1, bias=0.0, lapse=0.05)
    assert (fit.bias, fit.lapse) == (0.0, 0.05)


def test_a_shape_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="gaussian, logistic"):
        fit_sigmoid([0, 1], [0.5, 0.6], 1, "step")


@pytest.mark.parametrize(("trials", "count"), [([0, 0], [0, 0]), ([5, 0], [2, 0])])
def test_trials_at_fewer_than_two_coherences_determine_nothing(trials, count):
    fit = fit_sigmoid([-0.5, 0.5], count, trials)
    assert not fit.determined
    assert np.isnan(fit(0.3))


def test_a_trained_network_gets_the_strong_evidence_right_more_often(cell):
    found = psychometric(cell, "dm1", trials=100)
    table = found.table
    assert list(table["coherence"]) == list(default_coherences(parse("dm1")))
    np.testing.assert_allclose(table["first"] + table["second"] + table["other"], 1)
    assert (table["correct"] <= np.maximum(table["first"], table["second"]) + 1e-12).all()
    strong = table[table["coherence"].abs() > 0.5]["correct"].mean()
    assert strong >= table[table["coherence"].abs() < 0.1]["correct"].mean()
    assert isinstance(found.choice, Sigmoid)


@pytest.mark.parametrize("task", ["dlydm1intr"])
def test_an_answer_that_moves_is_counted_where_it_has_moved_to(cell, task):
    found = psychometric(cell, task, trials=20, delay_ms=300)
    assert list(found.table["coherence"]) == [-0.7, -0.4, -0.3, 0.3, 0.4, 0.7]
    assert (found.table["correct"] <= found.table[["first", "second"]].max(axis=1) + 1e-12).all()


def test_a_task_without_evidence_is_refused(cell):
    with pytest.raises(ConfigError, match="no condition 'coherence'"):
        psychometric(cell, "dlygo")
