"""Which synapses exist, for every kind."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.errors import ConnectivityError
from lmrnn.networks import (
    build_connectivity,
    complete_connectivity,
    connectivity_label,
    validate_connectivity,
)

SPECS = [
    {"kind": "local", "radius": 2.5},
    {"kind": "local", "radius": 2.5, "boundary": "torus"},
    {"kind": "full"},
    {"kind": "autapse"},
    {"kind": "random", "density": 0.2},
    {"kind": "random", "radius": 2.5, "self_connections": False},
    {"kind": "small_world", "radius": 2.5, "rewired": 0.3},
    {"kind": "ring", "radius": 3},
    {"kind": "full_matched", "radius": 2},
]


def self_connections(connectivity):
    return int(np.count_nonzero(connectivity.post == connectivity.pre))


def pairs(connectivity):
    return set(zip(connectivity.post.tolist(), connectivity.pre.tolist(), strict=True))


@pytest.mark.parametrize(
    ("radius", "density"), [(1, 0.0039), (2, 0.0323), (3, 0.0836), (4, 0.1423), (5, 0.2068), (6, 0.3018), (8, 0.4693)]
)
def test_density_of_the_open_16_by_16_sheet(radius, density):
    assert round(build_connectivity({"kind": "local", "radius": radius}, 256).density, 4) == density


@pytest.mark.parametrize("boundary", ["open", "torus"])
@pytest.mark.parametrize(
    ("side", "radius"), [(1, 0.5), (1, 1), (2, 1.5), (2, 2.8), (4, 0.5), (4, 2), (4, 2.9), (4, 5), (5, 1), (5, 3.7)]
)
def test_local_is_every_pair_nearer_than_the_radius(side, boundary, radius):
    def distance(a, b):
        apart = np.abs(np.subtract(a, b))
        return np.hypot(*(np.minimum(apart, side - apart) if boundary == "torus" else apart))

    sheet = list(itertools.product(range(side), range(side)))
    expected = {(i, j) for i, a in enumerate(sheet) for j, b in enumerate(sheet) if distance(a, b) < radius}
    connectivity = build_connectivity({"kind": "local", "radius": radius, "boundary": boundary}, side**2)
    assert pairs(connectivity) == expected
    assert connectivity.synapses == len(expected)


@pytest.mark.parametrize("spec", SPECS, ids=connectivity_label)
def test_synapses_are_sorted_distinct_and_read_only(spec):
    connectivity = build_connectivity(spec, 36, seed=3)
    keys = connectivity.post * connectivity.neurons + connectivity.pre
    assert np.all(np.diff(keys) > 0)
    assert connectivity.post.dtype == connectivity.pre.dtype == np.int64
    assert connectivity.matrix().sum() == connectivity.synapses == connectivity.in_degree.sum()
    with pytest.raises(ValueError, match="read-only"):
        connectivity.post[0] = 1


@pytest.mark.parametrize("spec", SPECS, ids=connectivity_label)
def test_the_same_seed_gives_the_same_synapses_and_another_seed_others_only_where_drawn(spec):
    first, again, other = (build_connectivity(spec, 36, seed) for seed in (1, 1, 2))
    assert pairs(first) == pairs(again)
    assert (pairs(first) != pairs(other)) == (spec["kind"] in ("random", "small_world"))


def test_random_has_exactly_the_synapses_of_the_local_sheet_it_is_matched_to():
    local = build_connectivity({"kind": "local", "radius": 3}, 256)
    for own in (True, False):
        random = build_connectivity({"kind": "random", "radius": 3, "self_connections": own}, 256)
        assert random.synapses == local.synapses
        assert (self_connections(random) == 256) == own


def test_random_without_forced_self_connections_has_them_by_chance():
    counts = [
        self_connections(build_connectivity({"kind": "random", "density": 0.1, "self_connections": False}, 100, seed))
        for seed in range(200)
    ]
    assert np.mean(counts) == pytest.approx(10, abs=4 * np.sqrt(10 / 200))


def test_random_is_uniform_over_pairs():
    drawn = sum(build_connectivity({"kind": "random", "density": 0.4}, 6, seed).matrix() for seed in range(2000)) / 2000
    others = drawn[~np.eye(6, dtype=bool)]
    expected = (round(0.4 * 36) - 6) / 30
    assert np.all(np.diag(drawn) == 1)
    assert np.abs(others - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 2000)


@settings(max_examples=60, deadline=None)
@given(side=st.integers(5, 9), radius=st.floats(1.1, 2.2), rewired=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_rewiring_moves_the_asked_share_and_keeps_in_degrees_and_self_connections(side, radius, rewired, seed):
    local = build_connectivity({"kind": "local", "radius": radius}, side**2)
    others = local.synapses - side**2
    spec = {"kind": "small_world", "radius": radius, "rewired": rewired}
    rewired_sheet = build_connectivity(spec, side**2, seed)
    assert len(pairs(local) - pairs(rewired_sheet)) == round(rewired * others)
    assert rewired_sheet.synapses == local.synapses
    assert np.array_equal(rewired_sheet.in_degree, local.in_degree)
    assert self_connections(rewired_sheet) == side**2


def test_a_sheet_without_room_for_rewiring_is_refused():
    with pytest.raises(ConnectivityError, match="too few other neurons"):
        build_connectivity({"kind": "small_world", "radius": 20, "rewired": 0.3}, 256)


@settings(max_examples=60, deadline=None)
@given(neurons=st.integers(1, 40), density=st.floats(0, 1, exclude_min=True), seed=st.integers(0, 2**32))
def test_random_has_exactly_the_density_asked_for(neurons, density, seed):
    spec = {"kind": "random", "density": density, "self_connections": False}
    assert build_connectivity(spec, neurons, seed).synapses == round(density * neurons**2)


def test_ring_reaches_both_ways_around():
    connectivity = build_connectivity({"kind": "ring", "radius": 2}, 5)
    assert pairs(connectivity) == {(i, (i + d) % 5) for i in range(5) for d in (-1, 0, 1)}
    assert build_connectivity({"kind": "ring", "radius": 4}, 5).density == 1


def test_full_matched_has_about_the_synapses_of_the_local_sheet():
    local = build_connectivity({"kind": "local", "radius": 5}, 256)
    matched = build_connectivity({"kind": "full_matched", "radius": 5}, 256)
    assert matched.density == 1
    assert matched.neurons == round(np.sqrt(local.synapses))
    assert matched.synapses == pytest.approx(local.synapses, rel=0.01)


def test_a_large_sheet_is_built_in_seconds():
    began = time.process_time()
    sheet = build_connectivity({"kind": "local", "radius": 4.6}, 256**2)
    random = build_connectivity({"kind": "random", "radius": 4.6}, 256**2)
    assert sheet.synapses == random.synapses == 4452592
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ({"kind": "local", "radius": 3}, "local-r3"),
        ({"kind": "local", "radius": 3.0}, "local-r3"),
        ({"kind": "local", "radius": 3, "boundary": "torus"}, "local-r3-torus"),
        ("full", "full"),
        ({"kind": "autapse"}, "autapse"),
        ({"kind": "random", "radius": 5}, "random-r5"),
        ({"kind": "random", "density": 0.1}, "random-d0.1"),
        ({"kind": "random", "radius": 5, "self_connections": False}, "random-r5-noself"),
        ({"kind": "small_world", "radius": 3}, "small_world-r3-p0.1"),
        ({"kind": "ring", "radius": 5}, "ring-r5"),
        ({"kind": "full_matched", "radius": 5}, "full_matched-r5"),
    ],
)
def test_labels(spec, label):
    assert connectivity_label(spec) == label


def test_equal_connectivities_have_equal_complete_specs():
    complete = complete_connectivity({"kind": "local", "radius": 3.0})
    assert complete == {"kind": "local", "radius": 3, "boundary": "open"}
    assert isinstance(complete["radius"], int)
    assert complete_connectivity(complete) == complete
    for spec in SPECS:
        assert complete_connectivity(complete_connectivity(spec)) == complete_connectivity(spec)


@pytest.mark.parametrize(
    ("spec", "neurons", "words"),
    [
        ({"kind": "locl", "radius": 3}, 256, ["'locl'", "did you mean 'local'", "autapse"]),
        ({}, 256, ["kind is None", "allowed"]),
        ({"kind": "local"}, 256, ["'radius' is missing"]),
        ({"kind": "local", "radus": 3}, 256, ["unknown key 'radus'", "did you mean 'radius'"]),
        ({"kind": "local", "radius": 0}, 256, ["radius is 0", "(0, "]),
        ({"kind": "local", "radius": -1}, 256, ["radius is -1"]),
        ({"kind": "local", "radius": 23}, 256, ["radius is 23", "22.6274"]),
        ({"kind": "local", "radius": float("nan")}, 256, ["radius is nan"]),
        ({"kind": "local", "radius": "3"}, 256, ["radius is '3'"]),
        ({"kind": "local", "radius": True}, 256, ["radius is True"]),
        ({"kind": "local", "radius": 3, "boundary": "closed"}, 256, ["boundary is 'closed'", "open, torus"]),
        ({"kind": "local", "radius": 3}, 250, ["neurons is 250", "225 or 256"]),
        ({"kind": "local", "radius": 3}, 0, ["neurons is 0"]),
        ({"kind": "full"}, -4, ["neurons is -4"]),
        ({"kind": "random"}, 256, ["either density", "or the radius"]),
        ({"kind": "random", "density": 0.1, "radius": 3}, 256, ["either density"]),
        ({"kind": "random", "density": 0.1, "boundary": "torus"}, 256, ["boundary has no meaning"]),
        ({"kind": "random", "density": 0}, 256, ["density is 0"]),
        ({"kind": "random", "density": 1.5}, 256, ["density is 1.5", "(0, 1]"]),
        ({"kind": "random", "density": 0.001}, 256, ["density is 0.001", "1/neurons"]),
        ({"kind": "random", "density": 0.1, "self_connections": 1}, 256, ["self_connections is 1"]),
        ({"kind": "small_world", "radius": 3, "rewired": 1.1}, 256, ["rewired is 1.1", "[0, 1]"]),
        ({"kind": "ring", "radius": 11}, 10, ["radius is 11"]),
    ],
)
def test_what_cannot_be_built_is_refused_with_key_value_and_what_is_allowed(spec, neurons, words):
    with pytest.raises(ConnectivityError) as caught:
        validate_connectivity(spec, neurons)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    with pytest.raises(ConnectivityError):
        build_connectivity(spec, neurons)


def test_labels_and_checks_need_no_torch(run_python):
    done = run_python("import sys, lmrnn.networks.connectivity; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr
