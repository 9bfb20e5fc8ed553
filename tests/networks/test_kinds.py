"""A kind of connectivity is one entry: pairs, keys with their ranges, size and label come from it everywhere."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.errors import ConnectivityError
from lmrnn.figures.style import row_style
from lmrnn.networks import (
    Connectivity,
    build_connectivity,
    complete_connectivity,
    connectivity_label,
    network_size,
)
from lmrnn.networks.keys import Choice, Number
from lmrnn.networks.kinds import KINDS, kind
from lmrnn.steps import collect_cells
from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell


@pytest.fixture
def own_kinds():
    """The kinds that a test adds are gone after it."""
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


@pytest.fixture
def half_local(own_kinds):
    @kind("half_local", radius=..., boundary="open")
    def every_second_pair(spec, neurons, rng):
        post, pre = KINDS["local"].pairs(spec, neurons, rng)
        return post[::2], pre[::2]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "file"])
def test_the_size_of_a_kind_is_that_of_its_network(name):
    settings = {"radius": [1.5, 2.2], "boundary": ["open", "torus"], "density": [0.2, 0.5], "length": [2.5]}
    keys = [key for key in KINDS[name].keys if key in settings and not (name == "random" and key == "density")]
    for values in itertools.product(*(settings[key] for key in keys)):
        spec = {"kind": name, **dict(zip(keys, values, strict=True))}
        for neurons in (36, 49):
            built = build_connectivity(spec, neurons, seed=4)
            assert network_size(spec, neurons, seed=4) == (built.neurons, built.synapses)


def test_a_kind_added_by_one_function_has_its_own_number_of_synapses(half_local):
    built = build_connectivity({"kind": "half_local", "radius": 3}, 256)
    assert built.synapses == 2738
    assert network_size({"kind": "half_local", "radius": 3}, 256) == (256, 2738)
    assert connectivity_label({"kind": "half_local", "radius": 3, "boundary": "torus"}) == "half_local-r3-torus"
    with pytest.raises(ConnectivityError, match="radius is 23"):
        build_connectivity({"kind": "half_local", "radius": 23}, 256)
    with pytest.raises(ConnectivityError, match="square number"):
        build_connectivity({"kind": "half_local", "radius": 2}, 250)


def test_an_added_kind_goes_from_the_config_to_the_table_of_cells(half_local, tmp_path):
    entry = {"kind": "half_local", "radius": [2, 3]}
    block = {"connectivity": [entry], "tasks": [2], "trials_per_task": [4], "seed": [0]}
    small = {"validation_trials": 2, "test_trials": 2, "network": {"neurons": 16}, "training": {"steps": 2}}
    study = validate_config({"study": "own", "results": str(tmp_path), "grid": block, **small})
    cells = cells_of(study)
    for cell in cells:
        with open(tmp_path / "log", "w") as log:
            assert run_cell(cell, tmp_path, study["compute"], log) == "completed"
    collect_cells(cells, tmp_path, tmp_path / "cells.csv")
    rows = (tmp_path / "cells.csv").read_text().splitlines()
    header = rows[0].split(",")
    synapses = [int(row.split(",")[header.index("synapses")]) for row in rows[1:]]
    assert synapses == [len(read_cell(cell.path(tmp_path)).weights["recurrent"]) for cell in cells]
    assert len(set(synapses)) == 2


def test_a_kind_whose_number_of_synapses_is_drawn_counts_each_seeds_own(own_kinds):
    @kind("coin", density=0.3)
    def coin(spec, neurons, rng):
        return np.nonzero(rng.random((neurons, neurons)) < spec["density"])

    sizes = [network_size("coin", 20, seed) for seed in range(5)]
    assert sizes == [(20, build_connectivity("coin", 20, seed).synapses) for seed in range(5)]
    assert len(set(sizes)) > 1


@pytest.mark.parametrize("key", ["density", "path", "count", "neurons", "name", "pairs", "size", "seed", "label"])
def test_a_kind_may_have_a_key_of_any_name(own_kinds, key):
    @kind("plain", **{key: 0.5})
    def plain(spec, neurons, rng):
        assert spec[key] in (0.25, 0.5)
        return np.arange(neurons), np.arange(neurons)

    for spec in ("plain", {"kind": "plain", key: 0.25}):
        assert network_size(spec, 9) == (9, 9)
        assert build_connectivity(spec, 9).synapses == 9
    assert connectivity_label("plain") != connectivity_label({"kind": "plain", key: 0.25})


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=40)
)


@settings(max_examples=150, deadline=None)
@given(first=st.tuples(SCALARS, SCALARS), second=st.tuples(SCALARS, SCALARS))
def test_labels_tell_different_settings_apart(first, second):
    @kind("twofold", a="x", ab=1, boundary="open")
    def twofold(spec, neurons, rng):
        return np.arange(neurons), np.arange(neurons)

    try:
        specs = [complete_connectivity({"kind": "twofold", "a": a, "ab": b}) for a, b in (first, second)]
        labels = [connectivity_label(spec) for spec in specs]
    finally:
        del KINDS["twofold"]
    assert (labels[0] == labels[1]) == (json.dumps(specs[0]) == json.dumps(specs[1]))
    assert all(
        set(label) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+") for label in labels
    )
    assert all(len(label) < 200 and ".." not in label.split("/") for label in labels)


def test_the_range_of_a_key_stands_with_the_kind(own_kinds):
    @kind(
        "banded", width=Number(low=0, high=5, letter="w"), side=Choice("both", texts=(("both", ""), ("left", "left")))
    )
    def banded(spec, neurons, rng):
        return np.arange(neurons), np.arange(neurons)

    assert connectivity_label({"kind": "banded", "width": 2.0}) == "banded-w2"
    assert connectivity_label({"kind": "banded", "width": 2, "side": "left"}) == "banded-w2-left"
    for wrong, words in (({"width": 6}, r"width is 6; allowed: a number in \(0, 5\]"), ({"side": 1}, "both, left")):
        with pytest.raises(ConnectivityError, match=words):
            build_connectivity({"kind": "banded", "width": 1, **wrong}, 9)


def test_numbers_of_numpy_are_the_same_settings():
    assert complete_connectivity({"kind": "local", "radius": np.float64(3)}) == complete_connectivity(
        {"kind": "local", "radius": 3}
    )


@pytest.mark.parametrize("name", ["local", "full", "two words", "", "a/b", "x-y"])
def test_a_name_that_is_taken_or_unfit_for_a_file_is_refused(name):
    with pytest.raises(ConnectivityError, match="a kind named"):
        kind(name)


def test_a_size_that_is_not_that_of_the_pairs_is_refused(own_kinds):
    @kind("wrong", lambda spec, neurons: (neurons, 3))
    def wrong(spec, neurons, rng):
        return np.arange(neurons), np.arange(neurons)

    with pytest.raises(ConnectivityError, match="3 synapses, its pairs are 9"):
        build_connectivity("wrong", 9)


@pytest.mark.parametrize(
    ("post", "pre", "words"),
    [
        ([0, 1, 0], [1, 2, 1], "1 synapses stand twice, e.g. that to neuron 0 from neuron 1"),
        ([0, 0], [1, 1], "allowed: each pair of neurons once"),
        ([0, 3], [1, 2], "post has neurons from 0 to 3; allowed: 0 to 2"),
        ([0, 1], [-1, 2], "pre has neurons from -1 to 2"),
        ([0, 1], [0], "post has 2 synapses, pre has 1"),
        ([0.5, 1], [0, 1], "whole numbers"),
        ([[0, 1]], [[0, 1]], "one per synapse"),
    ],
)
def test_pairs_that_are_no_network_are_refused(own_kinds, post, pre, words):
    with pytest.raises(ConnectivityError, match=words):
        Connectivity(3, np.array(post), np.array(pre), "own")

    kind("own")(lambda spec, neurons, rng: (np.array(post), np.array(pre)))
    with pytest.raises(ConnectivityError, match=words):
        build_connectivity("own", 3)


def test_a_connectivity_does_not_change_with_the_callers_arrays():
    post, pre = np.array([0, 1], np.int32), np.array([1, 0])
    own = Connectivity(2, post, pre, "own")
    pre[:] = 1
    assert own.pre.tolist() == [1, 0]
    assert own.post.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        own.post[0] = 1


def test_two_networks_of_an_added_kind_are_drawn_differently():
    rows = [{"kind": "own", "connectivity": f"own-a{n}", "radius": float("nan"), "boundary": ""} for n in range(6)]
    styles = [row_style(row, "okabe_ito") for row in rows]
    assert len({(str(style.colour), str(style.dashes)) for style in styles}) == 6
    assert len({style.marker for style in styles}) == 1
