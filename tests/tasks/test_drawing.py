"""Distributions of the drawn parameters, and the checks against published trials."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.errors import ConfigError
from lmrnn.tasks import BASES, battery_names, draw, parse, spans
from tests.reference_adapter import corrected, sample_corrected

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared/reference"
DMS = [name for name in BASES if BASES[name].family in ("dm", "dlydm")]
INT = [name for name in battery_names(126) if parse(name).int_sign]


def drawn(name, definition="corrected", dt=100, n=4000):
    return draw(parse(name), n, np.random.default_rng(7), dt, definition)


def delays(name, definition="corrected", dt=100):
    draws = drawn(name, definition, dt)
    return draws.durations[:, list(spans(parse(name))).index("delay")] * dt


def assert_uniform(values, support):
    """Each value of the support, and no other, about equally often (within 5 standard deviations)."""
    found, counts = np.unique(values, return_counts=True)
    assert found.tolist() == sorted(support)
    share = 1 / len(support)
    assert np.abs(counts / len(values) - share).max() < 5 * np.sqrt(share * (1 - share) / len(values))


@pytest.mark.parametrize("name", INT)
def test_int_delays_are_whole_tenths_of_a_second(name):
    assert_uniform(delays(name, dt=20), range(0, 1200, 100))


@pytest.mark.parametrize("dt", [100, 20])
def test_match_delays_lie_on_the_time_step(dt):
    assert_uniform(delays("dmsseqr", dt=dt), range(200, 1200, dt))


@pytest.mark.parametrize("name", ["multidlydm", "dm1seql"])
@pytest.mark.parametrize("dt", [100, 20])
def test_fixation_of_decision_tasks(name, dt):
    assert_uniform(drawn(name, dt=dt).durations[:, 0] * dt, range(200, 500, dt))


@pytest.mark.parametrize(
    ("name", "definition", "delay"),
    [
        ("go", "corrected", 0),
        ("antiseql", "corrected", 0),
        ("go", "released", 500),
        ("antiseql", "released", 500),
        ("dlygo", "corrected", 500),
        ("ctxdlydm1seqr", "corrected", 500),
        ("ctxdlydm1intr", "released", 500),
    ],
)
def test_constant_delays(name, definition, delay):
    assert set(delays(name, definition)) == {delay}


@pytest.mark.parametrize(
    ("name", "definition", "duration"),
    [
        ("go", "corrected", 500),
        ("goseqr", "corrected", 1000),
        ("rtgoseqr", "corrected", 1000),
        ("rtgoseqr", "released", 500),
        ("dm1", "corrected", 200),
        ("dlydm1intr", "corrected", 200),
        ("dlydm1seql", "corrected", 1000),
        ("dnmc", "corrected", 900),
        ("dnmcseqr", "corrected", 1000),
    ],
)
def test_durations_of_the_decision(name, definition, duration):
    assert set(drawn(name, definition, 50).durations[:, -1] * 50) == {duration}


@pytest.mark.parametrize("name", ["go", "rtanti", "dms", "dnmc"])
def test_modality_is_drawn_or_published_in_turn(name):
    assert_uniform(drawn(name).columns["modality"], [1, 2])
    assert drawn(name, "released").columns["modality"][:5].tolist() == [1, 2, 1, 2, 1]


@pytest.mark.parametrize("name", DMS)
def test_two_different_stimuli_and_no_ties(name):
    base, columns = BASES[name], drawn(name).columns
    assert_uniform(columns["theta1"], range(16))
    assert_uniform((columns["theta2"] - columns["theta1"]) % 16, range(1, 16))
    silent = np.isnan(columns["coherence"]).all(axis=0).reshape(2, 2)  # (ring, stimulus)
    assert [ring for ring in (1, 2) if not silent[ring - 1].any()] == list(base.rings)
    evidence = np.nan_to_num(columns["coherence"]).reshape(-1, 2, 2)
    excess = (evidence[:, :, 0] - evidence[:, :, 1]) @ base.weights
    assert np.abs(excess).min() > 0.01
    assert not columns["tie"].any()
    np.testing.assert_array_equal(columns["winner"], np.where(excess > 0, 1, 2))
    assert_uniform(columns["winner"], [1, 2])


@pytest.mark.parametrize(("name", "share"), [("multidm", 1 / 8), ("multidlydm", 1 / 6), ("ctxdm1", 0), ("dlydm2", 0)])
def test_published_ties_go_by_a_coin(name, share):
    columns = drawn(name, "released", n=20000).columns
    assert columns["tie"].mean() == pytest.approx(share, abs=0.015)
    assert share == 0 or columns["winner"][columns["tie"]].mean() == pytest.approx(1.5, abs=0.05)


def test_coherences_of_one_ring():
    first = drawn("dm1").columns["coherence"][:, 0]
    assert_uniform(np.round(first, 6), [0.18, 0.34, 0.42, 0.46, 0.54, 0.58, 0.66, 0.82])
    pairs = drawn("dlydm2").columns["coherence"][:, 2:] @ [10, 1]
    assert_uniform(np.round(pairs, 6), [3.6, 4.0, 6.3, 7.0, 10.3, 10.6])


@pytest.mark.parametrize("name", ["dms", "dnms"])
def test_identity_matches(name):
    columns = drawn(name).columns
    assert_uniform(columns["match"], [False, True])
    assert_uniform(columns["sample"], range(16))
    np.testing.assert_array_equal((columns["test"] - columns["sample"]) % 16, np.where(columns["match"], 0, 8))


@pytest.mark.parametrize("name", ["dmc", "dnmc"])
@pytest.mark.parametrize(("definition", "second_half_from"), [("corrected", 8), ("released", 9)])
def test_category_matches(name, definition, second_half_from):
    columns = drawn(name, definition).columns
    same = (columns["sample"] >= second_half_from) == (columns["test"] >= 8)
    np.testing.assert_array_equal(same, columns["match"])
    assert_uniform(columns["test"][columns["match"] & (columns["sample"] < 8)], range(8))
    assert_uniform(columns["test"][columns["match"] & (columns["sample"] > 8)], range(8, 16))
    assert_uniform(columns["match"], [False, True])


def test_negative_number_of_trials():
    with pytest.raises(ConfigError, match="trials: -1 is negative"):
        drawn("go", n=-1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(battery_names(126)), st.integers(0, 10**6), st.sampled_from([100, 20]))
def test_given_parameters_render_to_the_sampled_trial(name, seed, dt):
    for params, observations, labels in sample_corrected(name, 3, seed, dt, with_params=True):
        clean, expected, sd = corrected(name, params, dt)
        np.testing.assert_array_equal(labels, expected)
        assert not (observations != clean)[sd == 0].any()
        assert np.abs(observations - clean).max() < 6.5 * dt**-0.5


def run_check(script, *arguments):
    if not REFERENCE.is_dir():
        reason = f"the published reference trials are not at {REFERENCE}"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    command = [sys.executable, REFERENCE / script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "PASS" in done.stdout


@pytest.mark.parametrize(("definition", "stem"), [("released", "reference"), ("corrected", "corrected")])
def test_reference_trials(definition, stem):
    data = [REFERENCE / f"{stem}_dt{dt}.npz" for dt in (100, 20)]
    run_check("check_reference.py", f"tests.reference_adapter:{definition}", "--data", *data)


def test_published_distribution():
    data = REFERENCE / "distribution_dt100.json"
    run_check("check_distribution.py", "tests.reference_adapter:sample_released", "--data", data)
