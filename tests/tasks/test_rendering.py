"""Trials worked out by hand from the definition, one or more per family, and properties that all trials share."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.tasks import CHANNELS, add_noise, battery_names, draw, parse, render, sample
from tests.reference_adapter import corrected, noise_sd, released

NAMES = st.sampled_from(battery_names(126))
STEPS = st.sampled_from([100, 50, 20])
DEFINITIONS = st.sampled_from(["corrected", "released"])
# a bump at its centre, one and two positions away
PEAK, NEAR, FAR = 0.8, 0.8 * math.exp(-0.5), 0.8 * math.exp(-2)


def params(family, durations, **rest):
    return {"family": family, "durations": durations, **rest}


def test_reach_integrates_its_delay_then_moves():
    # the answer 3 lies opposite the stimulus and two positions (200 ms) to the left of that: 13 + 8 - 2 = 19 = 3
    durations = {"fixation": 5, "stimulus": 5, "delay": 2, "decision": 10}
    observations, labels, sd = corrected("dlyantiintlseqr", params("reach", durations, modality=2, response=3), 100)
    assert labels.tolist() == [0] * 12 + [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert observations[:, 0].tolist() == [1] * 12 + [0] * 10
    assert observations[7, 17 + 13] == pytest.approx(PEAK)
    assert observations[7, [17 + 12, 17 + 14]] == pytest.approx([NEAR, NEAR])
    assert observations[7, [17 + 11, 17 + 15]] == pytest.approx([FAR, FAR])
    assert not observations[:, 1:17].any()
    assert not observations[np.r_[:5, 10:22], 1:].any()
    assert not sd.any()


def test_go_has_a_delay_only_in_the_published_code():
    rest = {"modality": 1, "response": 15}
    durations = {"fixation": 5, "stimulus": 5, "delay": 0, "decision": 5}
    assert corrected("go", params("reach", durations, **rest), 100)[1].tolist() == [0] * 10 + [16] * 5
    durations = {"fixation": 5, "stimulus": 5, "delay": 5, "decision": 5}
    # position 15 becomes "fixate"
    assert released("go", params("reach", durations, **rest), 100)[1].tolist() == [0] * 20


def test_published_integration_turns_off_the_grid():
    durations = {"fixation": 5, "stimulus": 5, "delay": 3, "decision": 5}
    observations, labels, _ = released("dlygointr", params("reach", durations, modality=1, response=2), 100)
    centre = 2 + 0.01 * 300 * 16 / (2 * math.pi)  # 9.639
    assert observations[5, 1:17].argmax() == 10
    assert observations[5, 1 + 10] == pytest.approx(0.8 * math.exp(-((10 - centre) ** 2) / 2))
    assert labels[-5:].tolist() == [3] * 5


def test_rt_answers_while_it_sees_and_crosses_zero():
    observations, labels, sd = corrected(
        "rtgoseql", params("rt", {"fixation": 5, "decision": 10}, modality=1, response=1), 100
    )
    assert labels.tolist() == [0] * 5 + [2, 1, 16, 15, 14, 13, 12, 11, 10, 9]
    assert observations[5:, 2] == pytest.approx([PEAK] * 10)
    assert observations[5:, 1] == pytest.approx([NEAR] * 10)
    assert observations[:, 0].tolist() == [1] * 5 + [0] * 10
    assert not observations[:5, 1:].any()
    assert not sd.any()


def test_dm_weighs_the_evidence_of_one_ring():
    durations = {"fixation": 2, "stimulus": 5, "decision": 2}
    coherences = {"coh1_mod1": 0.82, "coh2_mod1": 0.18, "coh1_mod2": 0.42, "coh2_mod2": 0.58}
    given_ = params("dm", durations, theta1=0, theta2=4, winner=2, tie=False, **coherences)
    observations, labels, sd = corrected("ctxdm2", given_, 100)
    assert labels.tolist() == [0] * 7 + [5, 5]
    ring = observations[3, 1:17]
    assert ring[0] == pytest.approx(0.82 * 0.8 + 0.18 * 0.8 * math.exp(-8))
    assert ring[2] == pytest.approx(0.8 * math.exp(-2))  # halfway: both add up to one bump
    assert observations[3, 17 + 4] == pytest.approx(0.58 * 0.8 + 0.42 * 0.8 * math.exp(-8))
    assert sd[2:7, 1:] == pytest.approx(0.1)
    assert not sd[:, 0].any()
    assert not sd[[0, 1, 7, 8]].any()
    fixation_too = released("ctxdm2", given_, 100)[2]
    assert fixation_too[2:7] == pytest.approx(0.1)


def test_dlydm_shows_in_turn_and_integrates_at_a_finer_step():
    # 700 ms at 20 ms per step; the first stimulus is stronger: 12 + 7 = 19 = 3
    durations = {"fixation": 10, "stim1": 25, "delay": 35, "stim2": 25, "decision": 10}
    given_ = params("dlydm", durations, theta1=12, theta2=6, winner=1, tie=False, coh1_mod1=1.0, coh2_mod1=0.3)
    observations, labels, sd = corrected("dlydm1intr", given_, 20)
    assert labels.tolist() == [0] * 95 + [4] * 10
    assert observations[10:35, 1 + 12] == pytest.approx([0.8] * 25)
    assert observations[70:95, 1 + 6] == pytest.approx([0.24] * 25)
    assert not observations[np.r_[:10, 35:70, 95:105], 1:].any()
    assert not observations[:, 17:].any()
    # noise is on the silent ring too
    assert np.flatnonzero(sd[:, 20]).tolist() == [*range(10, 35), *range(70, 95)]
    assert sd.max() == pytest.approx(20**-0.5)


@pytest.mark.parametrize(("match", "label"), [(False, 3), (True, 0)])
def test_match_answers_with_the_test_position(match, label):
    durations = {"fixation": 3, "sample": 5, "delay": 2, "test": 5, "decision": 9}
    shown = params("match", durations, modality=2, sample=8, test=2, match=match)
    observations, labels, sd = corrected("dnmc", shown, 100)
    assert labels.tolist() == [0] * 15 + [label] * 9
    assert observations[3:8, 17 + 8] == pytest.approx([PEAK] * 5)
    assert observations[10:15, 17 + 2] == pytest.approx([PEAK] * 5)
    assert not observations[:, 1:17].any()
    expected = np.zeros((24, CHANNELS))
    expected[np.r_[3:8, 10:15], 17:] = 0.1
    assert sd == pytest.approx(expected)


@pytest.mark.parametrize(("name", "labels"), [("dmsseqr", [16, 1, 2]), ("dmsseql", [16, 15, 14])])
def test_movement_takes_100_ms_per_position(name, labels):
    durations = {"fixation": 15, "sample": 25, "delay": 10, "test": 25, "decision": 50}
    shown = params("match", durations, modality=1, sample=15, test=15, match=True)
    assert corrected(name, shown, 20)[1][75:90].tolist() == [label for label in labels for _ in range(5)]


@settings(max_examples=60, deadline=None)
@given(NAMES, STEPS, DEFINITIONS, st.integers(0, 2**32), st.integers(1, 12))
def test_trials_rendered_together_are_trials_rendered_alone(name, dt, definition, seed, n):
    task = parse(name)
    draws = draw(task, n, np.random.default_rng(seed), dt, definition)
    together = render(task, draws, dt, definition)
    for i in range(n):
        alone = render(task, draws[i : i + 1], dt, definition)
        rows = together.rows(i)
        np.testing.assert_array_equal(together.observations[rows], alone.observations)
        np.testing.assert_array_equal(together.labels[rows], alone.labels)
        np.testing.assert_array_equal(noise_sd(together)[rows], noise_sd(alone))
        assert together.periods(i) == alone.periods(0)


@settings(max_examples=60, deadline=None)
@given(NAMES, STEPS, DEFINITIONS, st.integers(0, 2**32))
def test_every_trial_is_well_formed(name, dt, definition, seed):
    trials = sample(parse(name), 20, np.random.default_rng(seed), dt, definition)
    assert trials.observations.dtype == np.float32
    assert np.isfinite(trials.observations).all()
    assert trials.start.tolist() == [0, *np.cumsum(trials.length)[:-1].tolist()]
    assert len(trials.observations) == len(trials.labels) == trials.length.sum()
    assert trials.labels.min() >= 0
    assert trials.labels.max() <= (15 if definition == "released" else 16)
    for i, onset in enumerate(trials.decision):
        periods = {period.name: period for period in trials.periods(i)}
        labels = trials.labels[trials.rows(i)]
        assert periods["decision"] == ("decision", onset, trials.length[i])
        assert not labels[:onset].any()
        if definition == "corrected":
            assert len(set(labels[onset:].astype(bool))) == 1
        quiet = [step for name_ in ("fixation", "delay") if name_ in periods for step in range(*periods[name_][1:])]
        observations = trials.observations[trials.rows(i)]
        assert (observations[quiet, 0] == 1).all()
        assert not observations[quiet, 1:].any()
        assert not observations[onset:, 0].any()
        assert trials.task.family == "rt" or not observations[onset:].any()


@settings(max_examples=40, deadline=None)
@given(NAMES, STEPS, DEFINITIONS, st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 8))
def test_noise_of_first_trials_ignores_what_follows(name, dt, definition, seed, n, more):
    task = parse(name)
    draws = draw(task, n + more, np.random.default_rng(seed), dt, definition)
    few = add_noise(render(task, draws[:n], dt, definition), np.random.default_rng(1))
    many = add_noise(render(task, draws, dt, definition), np.random.default_rng(1))
    np.testing.assert_array_equal(few.observations, many.observations[: len(few.observations)])


@settings(max_examples=30, deadline=None)
@given(NAMES, DEFINITIONS, st.integers(0, 2**32))
def test_noise_lies_where_its_deviation_says(name, definition, seed):
    task = parse(name)
    draws = draw(task, 5, np.random.default_rng(seed), 100, definition)
    clean = render(task, draws, 100, definition)
    noisy = add_noise(render(task, draws, 100, definition), np.random.default_rng(seed))
    changed, noisy_entries = noisy.observations != clean.observations, noise_sd(clean) > 0
    assert not changed[~noisy_entries].any()
    # noise smaller than the rounding of a float32 leaves an entry as it was, about once in ten million
    assert changed[noisy_entries].sum() >= noisy_entries.sum() - 2


def test_noise_is_normal_with_the_stated_deviation():
    task = parse("multidlydm")
    draws = draw(task, 500, np.random.default_rng(0), 20)
    clean = render(task, draws, 20)
    noise = add_noise(render(task, draws, 20), np.random.default_rng(1)).observations - clean.observations
    values = noise[noise_sd(clean) > 0] * math.sqrt(20)  # 800,000
    assert abs(values.mean()) < 5 / math.sqrt(values.size)
    assert abs(values.std() - 1) < 5 / math.sqrt(2 * values.size)
    assert abs((values**4).mean() - 3) < 5 * math.sqrt(96 / values.size)


def test_no_trials_render_to_nothing():
    trials = sample(parse("multidlydmintr"), 0, np.random.default_rng(0))
    assert trials.observations.shape == (0, 33)
    assert len(trials) == 0
