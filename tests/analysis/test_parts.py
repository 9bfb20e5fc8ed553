"""Analysis on states and weights made by hand, whose answer is known."""

import numpy as np
import pytest

from lmrnn.analysis.autapses import readout_lesions, self_weights, time_constants
from lmrnn.analysis.clusters import (
    cluster_units,
    k_means,
    modularity,
    normalised_variance,
    sheet_neighbours,
    silhouette,
    task_variance,
)
from lmrnn.analysis.ring import RING_STEP, NoPlaneError, advances, measure_rotation, pattern_rotation
from lmrnn.seeds import stream


def test_task_variance_is_over_trials_at_equal_moments():
    # two trials of two moments: unit 0 differs by 2 at moment 0 only, unit 1 only in time, unit 2 in a row left out
    states = np.array([[1, 0, 0], [5, 9, 0], [3, 0, 0], [5, 9, 7], [99, 99, 99]])
    moment = np.array([0, 1, 0, 1, -1])
    assert task_variance(states, moment).tolist() == [0.5, 0, 12.25 / 2]


def test_moments_of_one_trial_only_have_no_variance():
    assert task_variance(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 1])).tolist() == [1.0]
    assert task_variance(np.array([[1.0], [2.0]]), np.array([0, 1])).tolist() == [0.0]


def test_silent_units_are_left_out_and_the_largest_variance_is_one():
    active, normalised = normalised_variance(np.array([[2.0, 1.0], [1e-4, 1e-4], [0.0, 0.5]]))
    assert active.tolist() == [True, False, True]
    assert normalised.tolist() == [[1, 0.5], [0, 1]]


def test_known_clusters_are_found_with_their_number():
    rng = stream(0, "test")
    centres = np.eye(5)
    truth = rng.integers(0, 5, 120)
    points = np.clip(centres[truth] + 0.05 * rng.standard_normal((120, 5)), 0, 1)
    labels, scores = cluster_units(points, largest=10)
    assert max(scores, key=scores.get) == 5
    assert len(set(zip(truth, labels, strict=True))) == 5
    assert cluster_units(points, largest=10)[0].tolist() == labels.tolist()


def test_silhouette_of_four_points_on_a_line():
    # a = 1 for each; b = 10.5, 9.5, 9.5, 10.5
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    expected = np.mean([9.5 / 10.5, 8.5 / 9.5, 8.5 / 9.5, 9.5 / 10.5])
    assert silhouette(points, np.array([0, 0, 1, 1])) == pytest.approx(expected)
    assert silhouette(points, np.array([0, 0, 1, 2])) < expected
    assert np.isnan(silhouette(points, np.zeros(4, int)))


def test_k_means_refuses_more_clusters_than_points_and_survives_equal_points():
    with pytest.raises(ValueError, match="2 points cannot make 3 clusters"):
        k_means(np.zeros((2, 1)), 3, stream(0))
    assert k_means(np.zeros((4, 1)), 2, stream(0)).tolist() == [0, 0, 0, 0]


def test_clusters_in_blocks_of_the_sheet_are_modular_and_scattered_ones_are_not():
    side = 8
    row, column = np.divmod(np.arange(side * side), side)
    blocks = 2 * (row >= 4) + (column >= 4)
    links = sheet_neighbours(side)
    assert len(links) == 2 * 8 * 7 + 2 * 7 * 7
    found = modularity(blocks, links)
    # links across: 8 + 8 sides, and of 98 diagonal ones 14 + 14 - 2 that cross a middle line
    assert found.share == pytest.approx(1 - (16 + 26) / len(links))
    assert found.chance == pytest.approx(15 / 63, abs=0.01)
    assert found.p == pytest.approx(1 / 1001)
    scattered = stream(1).permutation(blocks)
    assert modularity(scattered, links).p > 0.01


def test_units_in_no_cluster_have_no_links():
    labels = np.array([0, 0, -1, 1])
    found = modularity(labels, np.array([[0, 1], [1, 2], [2, 3]]))
    assert found.share == 1
    assert np.isnan(modularity(np.array([0, -1]), np.array([[0, 1]])).share)


def test_a_torus_joins_opposite_edges():
    assert len(sheet_neighbours(8, torus=True)) == 4 * 64
    assert [0, 56] in sheet_neighbours(8, torus=True)[:, ::-1].tolist()


def test_time_constants_of_autapses_made_by_hand():
    weights = self_weights(np.array([0.5, 9.0, 1.0, np.exp(-0.1)]), np.array([0, 1, 2, 3]), np.array([0, 0, 2, 3]), 5)
    assert weights.tolist() == [0.5, 0, 1, np.exp(-0.1), 0]
    constants = time_constants(weights, 1.0, 100)
    np.testing.assert_allclose(constants, [100 / np.log(2), 0, np.inf, 1000, 0])
    # leak .2 (dt 20, tau 100): without self-drive the membrane's own 1 - a remains
    np.testing.assert_allclose(time_constants(np.array([0.0, 1.0]), 0.2, 20), [-20 / np.log(0.8), np.inf])
    assert time_constants(np.array([1.5]), 1.0, 100)[0] < 0


def test_a_lesion_costs_what_only_that_unit_says():
    # unit 0 says class 1, unit 1 class 2, units 2 and 3 both say class 3: one of them is enough
    states = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=float)
    readout = np.zeros((17, 4))
    readout[1, 0] = readout[2, 1] = readout[3, 2] = readout[3, 3] = 1
    bias = np.zeros(17)
    bias[0] = 0.5
    accuracy, loss = readout_lesions(states, np.array([1, 2, 3, 0]), readout, bias)
    assert accuracy == 1
    assert loss.tolist() == [0.25, 0.25, 0, 0]


def ring_states(positions, noise=0.0, neurons=40):
    """Bumps on a ring of 16 hidden among random directions."""
    rng = stream(3, "ring")
    angle = RING_STEP * np.asarray(positions)
    basis = np.linalg.qr(rng.standard_normal((neurons, 3)))[0]
    states = np.stack([np.cos(angle), np.sin(angle), np.full(len(angle), 5.0)], axis=1) @ basis.T
    return states + noise * rng.standard_normal(states.shape)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_state_that_turns_one_step_per_time_step_has_the_targets_angle(direction):
    start, steps = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16)
    positions = start + direction * steps
    found = measure_rotation(ring_states(positions), positions, np.repeat(np.arange(16), 10))
    assert found.advance == pytest.approx(direction * 2 * np.pi / 16)
    assert found.target == pytest.approx(direction * 2 * np.pi / 16)
    assert found.share == pytest.approx(1)
    assert found.coherence == pytest.approx(1)
    assert found.explained == pytest.approx(1)


def test_a_state_that_turns_the_wrong_way_or_stands_still_shows():
    start, steps, trial = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16), np.repeat(np.arange(16), 10)
    still = measure_rotation(ring_states(start), start + 0 * steps, trial)
    assert still.share == pytest.approx(0, abs=1e-9)
    lagging = measure_rotation(ring_states(start), start + steps, trial)
    assert lagging.share == pytest.approx(0, abs=1e-9)
    assert lagging.target == pytest.approx(RING_STEP)
    wrong = measure_rotation(ring_states(start - steps), start + steps, trial)
    assert wrong.share == pytest.approx(-1)
    assert wrong.coherence < lagging.coherence < 0.5


def test_where_all_states_are_the_same_but_for_rounding_nothing_turns():
    start, steps, trial = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16), np.repeat(np.arange(16), 10)
    states = ring_states(start + steps)
    centre = steps == 3
    states[centre] = states.mean(axis=0) + 1e-9 * stream(0, "rounding").standard_normal((16, states.shape[1]))
    found = measure_rotation(states, start + steps, trial)
    assert np.isnan(found.turns[centre | (steps == 4) | (steps == 0)]).all()
    assert found.advance == pytest.approx(RING_STEP)
    assert found.coherence == pytest.approx(1)
    assert found.share_in(np.ones(160, bool)) == pytest.approx(1)


@pytest.mark.parametrize("rounding", [-1e-9, 0, 1e-9])
def test_half_a_turn_has_one_sense_whatever_rounding_says(rounding):
    assert advances(np.array([1, 1 + np.pi + rounding]), np.array([0, 0]))[1] == pytest.approx(-np.pi)
    assert advances(np.array([1, 1 - np.pi + rounding]), np.array([0, 0]))[1] == pytest.approx(-np.pi)


def test_half_the_speed_is_half_the_share_under_noise():
    start, steps, trial = np.repeat(np.arange(64) % 16, 6), np.tile(np.arange(6), 64), np.repeat(np.arange(64), 6)
    found = measure_rotation(ring_states(start + steps / 2, 0.02), start + steps, trial)
    assert found.share == pytest.approx(0.5, abs=0.05)


def test_what_all_trials_share_over_time_does_not_turn_the_plane():
    start, steps, trial = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16), np.repeat(np.arange(16), 10)
    course = 50 * np.sin(steps)[:, None] * stream(5, "course").standard_normal(40)
    found = measure_rotation(ring_states(start + steps) + course, start + steps, trial)
    assert found.share == pytest.approx(1)
    assert found.coherence == pytest.approx(1)


def test_a_stronger_plane_that_positions_go_round_twice_is_not_taken():
    start, steps, trial = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16), np.repeat(np.arange(16), 10)
    position = start + steps
    axes = np.linalg.qr(stream(6, "harmonics").standard_normal((40, 4)))[0].T
    once, twice = RING_STEP * position, 2 * RING_STEP * position
    waves = np.stack([np.cos(once), np.sin(once), 5 * np.cos(twice), 5 * np.sin(twice)], axis=1)
    found = measure_rotation(waves @ axes, position, trial)
    assert found.share == pytest.approx(1)
    assert found.coherence == pytest.approx(1)
    assert found.explained == pytest.approx(1 / 26)


GRID = np.repeat(np.arange(16), 10), np.tile(np.arange(10), 16), np.repeat(np.arange(16), 10)  # start, step, trial


@pytest.mark.parametrize(("speed", "share"), [(1, 1), (-1, -1), (0.5, 0.5), (0, 0)])
def test_the_whole_pattern_turns_as_fast_as_its_states(speed, share):
    start, steps, trial = GRID
    found, coherence = pattern_rotation(ring_states(start + speed * steps), start + steps, trial)
    assert found == pytest.approx(share, abs=1e-9)
    assert coherence == pytest.approx(1)


def test_the_pattern_is_measured_on_an_ellipse_beside_other_harmonics_and_what_trials_share():
    start, steps, trial = GRID
    angle = RING_STEP * (start + steps)
    axes = np.linalg.qr(stream(6, "ellipse").standard_normal((40, 5)))[0].T
    waves = np.stack([4 * np.cos(angle), np.sin(angle + 0.5), 9 * np.cos(2 * angle), np.cos(3 * angle), steps], axis=1)
    assert pattern_rotation(waves @ axes, start + steps, trial)[0] == pytest.approx(1)
    assert measure_rotation(waves @ axes, start + steps, trial).share == pytest.approx(1)


def test_trials_that_know_nothing_slow_the_mean_angle_but_not_the_pattern():
    start, steps, trial = np.repeat(np.arange(64) % 16, 6), np.tile(np.arange(6), 64), np.repeat(np.arange(64), 6)
    states = ring_states(start + steps)
    # a quarter of the trials stand still at random places of the ring
    lost = np.isin(np.arange(64), stream(1, "lost").permutation(64)[:16])
    states[lost[trial]] = ring_states(stream(2, "places").integers(0, 16, 64))[trial][lost[trial]]
    found = measure_rotation(states, start + steps, trial)
    assert found.share == pytest.approx(0.75, abs=0.05)
    assert found.share_in(~lost[trial]) == pytest.approx(1, abs=0.05)
    assert found.share_in(lost[trial]) == pytest.approx(0, abs=0.05)
    assert np.isnan(found.share_in(np.zeros(len(trial), bool)))
    assert pattern_rotation(states, start + steps, trial)[0] == pytest.approx(1, abs=0.1)


def test_a_pattern_that_moves_to_other_units_at_every_step_is_not_coherent():
    start, steps, trial = GRID
    states = np.zeros((160, 20 * 10))
    for step in range(10):  # each time step has 20 units of its own
        states[steps == step, 20 * step : 20 * step + 20] = ring_states(start, neurons=20)[steps == step]
    assert pattern_rotation(states, start + steps, trial)[1] == pytest.approx(0, abs=1e-9)


def test_advances_are_within_trials_and_the_short_way_round():
    angle = np.array([0.1, 6.2, 0.1, 3.0, 3.2])
    found = advances(angle, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found, [np.nan, 6.1 - 2 * np.pi, 2 * np.pi - 6.1, np.nan, 0.2])


def test_two_positions_span_no_plane():
    with pytest.raises(NoPlaneError, match="three first positions"):
        measure_rotation(ring_states([0, 1, 0]), np.array([0, 1, 0]), np.arange(3))


@pytest.mark.parametrize("axes", [[[1.0, 0.0]], [[1.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_states_on_a_line_or_a_point_span_no_plane(axes):
    start, steps, trial = GRID
    waves = np.stack([np.cos(RING_STEP * (start + steps)), np.sin(RING_STEP * (start + steps))], axis=1)
    with pytest.raises(NoPlaneError, match="span a plane"):
        measure_rotation(waves @ np.array(axes).T, start + steps, trial)


def test_what_the_rounding_of_large_states_makes_is_no_plane():
    """They differ along one line by a thousandth of their size; beside it, by the last digit of float32."""
    trial, steps = np.repeat(np.arange(64), 5), np.tile(np.arange(5), 64)
    start = trial % 16
    large = stream(0, "large states").uniform(1, 2, 30)
    states = large * (1 + 1e-3 * np.cos(RING_STEP * start + 0.3))[:, None]
    assert np.ptp(states.astype(np.float32) - states) > 0
    with pytest.raises(NoPlaneError, match="span a plane"):
        measure_rotation(states.astype(np.float32), start + steps, trial)


def test_missing_rows_shift_no_times():
    # every position reported but 15, as in the published code: of a state that turns among others that rise with time
    start, steps, trial = GRID
    position, there = (start + steps) % 16, (start + steps) % 16 != 15
    course = 9 * steps[:, None] * stream(5, "course").standard_normal(40)
    rows = (ring_states(position) + course)[there], position[there], trial[there], steps[there], start[there]
    found = measure_rotation(*rows)
    # the mean over 15 of 16 positions is not quite what all share
    assert (found.share, found.coherence) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.01))
    assert found.target == pytest.approx(RING_STEP)
    assert found.explained == pytest.approx(1, abs=0.02)
    assert pattern_rotation(*rows)[0] == pytest.approx(1, abs=0.02)
    after = np.flatnonzero(position[there] == 0)  # the time step before is no row
    assert np.isnan(found.turns[after]).all()


@pytest.mark.parametrize("side", [1, 2])
def test_on_the_smallest_tori_each_pair_of_neighbours_stands_once(side):
    pairs = {tuple(pair) for pair in sheet_neighbours(side, torus=True).tolist()}
    assert pairs == {(a, b) for a in range(side**2) for b in range(side**2) if a < b}
    assert len(sheet_neighbours(side, torus=True)) == len(pairs)
