"""Fixed points of networks whose fixed points are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from lmrnn.errors import ConfigError
from lmrnn.science import fixed_points as module
from lmrnn.science.fixed_points import Step, fixed_points
from tests.science.hand_made import hand_made

NOTHING = np.zeros(33)


def grid(*axis):
    return np.array(list(itertools.product(*axis)), float)


def found(points, places):
    """The index of the point at each place."""
    distance = np.linalg.norm(points.states[None] - np.asarray(places, float)[:, None], axis=-1)
    assert (distance.min(axis=1) < 1e-6).all(), points.states
    return distance.argmin(axis=1)


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_a_saddle_between_two_attractors_is_found_with_its_stability(leak):
    up = brentq(lambda h: np.tanh(2 * h) - h, 0.5, 1)
    points = fixed_points(hand_made(np.diag([2.0, 0.5]), leak=leak), NOTHING, 0, grid([-1, -0.01, 0.3, 1], [-0.5, 0.5]))
    saddle, low, high = found(points, [(0, 0), (-up, 0), (up, 0)])
    assert len(points) == 3
    assert points.fixed.all()
    assert list(points.stable[[saddle, low, high]]) == [False, True, True]
    assert points.unstable[saddle] == 1
    np.testing.assert_allclose(points.eigenvalues[saddle], [1 + leak, 1 - leak / 2], atol=1e-9)  # 1 - a + a w
    assert points.starts.sum() + points.lost == 8


@given(
    weights=st.lists(st.floats(-0.9, 3).filter(lambda w: abs(w - 1) > 0.1), min_size=1, max_size=3),
    biases=st.lists(st.floats(0.2, 0.6), min_size=3, max_size=3),
    leak=st.floats(0.2, 1),
)
@settings(max_examples=15, deadline=None)
def test_units_by_themselves_have_the_product_of_their_own_fixed_points(weights, biases, leak):
    roots = []
    for weight, bias in zip(weights, biases, strict=False):
        line = np.linspace(-1.01, 1.01, 20001)
        moved = np.tanh(weight * line + bias) - line
        crossing = np.flatnonzero(np.sign(moved[:-1]) != np.sign(moved[1:]))
        gap = np.abs(moved[np.flatnonzero(np.diff(np.sign(np.diff(moved)))) + 1])
        if gap.size and gap.min() < 0.02:
            return  # two fixed points about to meet
        own = [brentq(lambda h, w=weight, b=bias: np.tanh(w * h + b) - h, *line[at : at + 2]) for at in crossing]
        roots.append(own)
    known = grid(*roots)
    network = hand_made(np.diag(weights), leak=leak, bias=np.array(biases[: len(weights)]))
    points = fixed_points(network, NOTHING, 0, known + 1e-3)
    place = found(points, known)
    assert len(points) == len(known)
    slope = np.abs(1 - leak + leak * np.array(weights) * (1 - known**2))
    assert np.array_equal(points.stable[place], (slope < 1).all(axis=1))
    assert np.array_equal(points.unstable[place], (slope > 1).sum(axis=1))


def test_a_spiral_has_complex_eigenvalues_of_the_known_modulus_and_angle():
    angle, growth = 0.4, 1.2
    turn = growth * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = fixed_points(hand_made(turn), NOTHING, 0, np.array([[0.05, 0.02]]))
    np.testing.assert_allclose(points.states, 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(points.eigenvalues[0]), growth, rtol=1e-9)
    np.testing.assert_allclose(np.sort(np.angle(points.eigenvalues[0])), [-angle, angle], rtol=1e-9)
    assert points.unstable[0] == 2


def test_the_input_and_the_rule_move_the_fixed_point():
    observation = np.zeros(33)
    observation[5] = 2.0
    seen = np.zeros((1, 33))
    seen[0, 5] = 0.5
    network = hand_made([[0.5]], "relu", n_tasks=2, input=seen, rule=np.array([[0.0, 3.0]]), bias=np.array([1.0]))
    for rule, state in ((0, (1 + 1) / 0.5), (1, (1 + 1 + 3) / 0.5)):
        points = fixed_points(network, observation, rule, np.array([[1.0]]))
        np.testing.assert_allclose(points.states, [[state]], rtol=1e-8)
        assert points.stable[0]


def test_a_slow_point_is_not_called_fixed_and_fast_ones_are_lost():
    drift = hand_made([[1.0]], "relu", bias=np.array([0.002]))  # h grows by .002 in each step for ever
    points = fixed_points(drift, NOTHING, 0, np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(points.speed, 0.002**2 / 2, rtol=1e-6)
    assert not points.fixed.any()
    assert len(points) == 2
    none = fixed_points(drift, NOTHING, 0, np.array([[1.0]]), slow=1e-9)
    assert (len(none), none.lost) == (0, 1)
    assert list(none.table().columns) == list(points.table().columns)


@pytest.mark.parametrize("nonlinearity", ["tanh", "softplus", "relu"])
def test_gradient_and_jacobian_are_those_of_finite_differences(nonlinearity):
    rng = np.random.default_rng(0)
    network = hand_made(rng.normal(size=(5, 5)), nonlinearity, 0.4, bias=rng.normal(size=5))
    step, state = Step(network, rng.normal(size=33), 0), rng.normal(size=5)
    nudge = 1e-6 * np.eye(5)
    slope = [(step.speed(state + d)[0] - step.speed(state - d)[0]) / 2e-6 for d in nudge]
    np.testing.assert_allclose(step.speed(state)[1], slope, rtol=1e-5, atol=1e-8)
    columns = [(step(state + d)[0] - step(state - d)[0]) / 2e-6 for d in nudge]
    np.testing.assert_allclose(step.jacobian(state).toarray(), np.transpose(columns), rtol=1e-5, atol=1e-8)


def test_a_step_is_the_networks_own(cell):
    run = cell.run("dlygo", 3, noise=False)
    row = 4
    step = Step(cell.network, run.trials.observations[row + 1], cell.rule("dlygo"))
    np.testing.assert_allclose(step(run.states[row].astype(float))[0], run.states[row + 1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_leading_eigenvalues_of_a_large_network_are_those_of_all(seed, monkeypatch):
    monkeypatch.setattr(module, "MOST_DENSE", 50)
    matrix = np.random.default_rng(seed).normal(size=(60, 60))
    points = fixed_points(hand_made(matrix), NOTHING, 0, np.zeros((1, 60)))
    everything = np.linalg.eigvals(matrix)
    leading = everything[np.argsort(-np.abs(everything))[:10]]
    np.testing.assert_allclose(np.abs(points.eigenvalues[0]), np.abs(leading), rtol=1e-6)
    again = fixed_points(hand_made(matrix), NOTHING, 0, np.zeros((1, 60)))
    assert again.eigenvalues.tobytes() == points.eigenvalues.tobytes()


@pytest.mark.parametrize(
    ("observation", "rule", "starts"),
    [(np.zeros(32), 0, np.zeros((1, 2))), (NOTHING, 1, np.zeros((1, 2))), (NOTHING, 0, np.zeros((1, 3)))],
)
def test_what_does_not_fit_the_network_is_refused_with_what_is_allowed(observation, rule, starts):
    with pytest.raises(ConfigError, match="allowed"):
        fixed_points(hand_made(np.eye(2)), observation, rule, starts)
