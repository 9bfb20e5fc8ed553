"""The fused scan in Triton's interpreter: it computes what batched products do, and says where it cannot."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmrnn.networks import build_connectivity
from lmrnn.training.fleet.fused import Fused
from lmrnn.training.fleet.passes import Weights
from lmrnn.training.fleet.rows import Rows
from lmrnn.training.fleet.scan import Products, make_scan
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.state import Compute, Training
from tests.small_data import cell_spec, dataset
from tests.training.fleets import TASKS, Together, run_fleet

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton (tests/README.md)")

CPU, N = torch.device("cpu"), 25
# listed as [longest list of senders, of receivers], or multiplied as a whole matrix: -1
CELLS = [
    ({"kind": "local", "radius": 1.2}, [5, 5]),
    ({"kind": "full"}, [-1, -1]),
    ({"kind": "random", "density": 0.1}, [6, 5]),
]
NETWORKS = [("relu", 1.0), ("relu", 0.3), ("tanh", 0.7), ("softplus", 0.4)]
ROWS = Rows((18, 17, 9))  # of two tiles of trials


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    """As Triton reads it when the kernels are first imported, here or in an earlier test of this file."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def shape_of(nonlinearity="relu", leak=1.0, **options):
    return Shape(N, 2, 100, 18, "padded", 0, nonlinearity, leak, math.inf, **{"scan": "fused", **options})


def networks(shape, dtype, cells=CELLS, scale=1.0, seeds=None, rows=ROWS):
    """Fused scan, weights, drive and gradients by the states of some cells, each by its seed, and of an empty place."""
    scan = make_scan(shape, len(cells) + 1, CPU, dtype)
    assert isinstance(scan, Fused), scan.says
    w = torch.zeros(len(cells) + 1, N, N, dtype=dtype)
    drive, grads = torch.zeros(2, len(cells) + 1, len(rows), N, dtype=dtype)
    for k, (connectivity, _) in enumerate(cells):
        random = torch.Generator().manual_seed(seeds[k] if seeds else k)
        there = torch.from_numpy(build_connectivity(connectivity, N, 0).matrix() != 0)
        scan.load(k, *there.nonzero().T)
        w[k][there] = scale * torch.randn(int(there.sum()), generator=random, dtype=dtype) / 3
        drive[k], grads[k] = torch.randn(2, len(rows), N, generator=random, dtype=dtype)
    return SimpleNamespace(scan=scan, weights=Weights(w, w, w), drive=drive, grads=grads)


def both_passes(scan, made, rows=ROWS):
    """Values, states and deltas (K, R, N); the memory around them, and what is not there yet, is NaN, and stays so."""
    places = [
        torch.full((len(made.drive) + 1, *made.drive.shape[1:]), torch.nan, dtype=made.drive.dtype) for _ in "vsd"
    ]
    values, states, deltas = (place[:-1] for place in places)
    values.copy_(made.drive)
    deltas.copy_(made.grads)
    found = scan.forward(values, made.weights, rows, lambda name, *size: states)
    scan.backward(deltas, values, made.weights, rows)
    assert all(place[-1].isnan().all() for place in places)
    return values, found, deltas


def close(ours, theirs, bound):
    """Of each cell by itself, relative to its norm."""
    for one, other in zip(ours, theirs, strict=True):
        far = torch.linalg.vector_norm((one - other).double(), dim=(1, 2))
        assert (far <= bound * torch.linalg.vector_norm(other.double(), dim=(1, 2))).all(), far


@pytest.mark.parametrize(("nonlinearity", "leak"), NETWORKS)
def test_a_fused_scan_computes_what_batched_products_do(nonlinearity, leak):
    shape = shape_of(nonlinearity, leak)
    double = networks(shape, torch.float64)
    assert double.scan.longest.tolist() == [longest for _, longest in CELLS] + [[0, 0]]
    close(both_passes(double.scan, double), both_passes(Products(shape), double), 1e-13)
    if nonlinearity == "tanh":
        single = networks(shape, torch.float32)
        close(both_passes(single.scan, single), both_passes(Products(shape), single), 1e-6)


@pytest.mark.parametrize("layout", ["padded", "stream"])
def test_loss_and_gradients_of_a_step_are_those_of_batched_products(layout):
    network = {"nonlinearity": "relu", "leak": 0.4, "initialisation": "gaussian"}
    data = [dataset(TASKS, 4, seed=seed, decision=(1, 3), rest=(1, 3)) for seed in range(2)]

    def step(scan):
        made = []
        for k, (connectivity, _) in enumerate(CELLS):
            training = {"layout": layout, "batch_size": 3, "sequence_length": 4, "gradient_clip": 0.05, "steps": 9}
            spec = cell_spec(connectivity, {**network, "recurrent_noise": 0.1 * k}, **training)
            one = Training({**spec, "seed": k}, data[k % 2], data[0], Compute(path="dense"))
            one.network.double()
            for name in ("first", "second"):
                setattr(one.optimiser, name, [moment.double() for moment in getattr(one.optimiser, name)])
            made.append(one)
        together = Together(made, places=4, scan=scan).take(1)
        measures = together.crew.evaluate(together.members)
        return together.crew.places, together.losses, [one.means() for one in measures]

    (ours, *losses), (theirs, *expected) = step("fused"), step("products")
    assert (ours.scan.name, theirs.scan.name) == ("fused", "products")
    np.testing.assert_allclose(np.array(losses[0]), np.array(expected[0]), rtol=1e-12)
    assert losses[1] == expected[1]
    for name in ("recurrent", "inward", "outward"):
        close([getattr(ours.grad_weights, name)], [getattr(theirs.grad_weights, name)], 1e-10)
        close([getattr(ours.weights, name)], [getattr(theirs.weights, name)], 1e-10)


def test_a_cell_has_the_same_bits_whoever_else_is_there_and_wherever_it_sits():
    shape, rows = shape_of("relu", 0.3), Rows((18, 3))
    whole = networks(shape, torch.float32, rows=rows)
    some = networks(shape, torch.float32, CELLS[:0:-1], seeds=[2, 1], rows=rows)
    for one, other in zip(both_passes(whole.scan, whole, rows), both_passes(some.scan, some, rows), strict=True):
        assert torch.equal(one[[2, 1]], other[:2])


@pytest.mark.parametrize("nonlinearity", ["relu", "softplus"])
def test_nothing_grows_after_a_trials_end(nonlinearity):
    shape = shape_of(nonlinearity)
    made = networks(shape, torch.float32, CELLS[1:2], scale=1e30)
    made.drive[:, ROWS.widths[0] :] = -torch.inf  # all trials have one time step
    made.grads[:, ROWS.widths[0] :] = 0
    values, states, deltas = both_passes(made.scan, made)
    assert states.isfinite().all()
    assert (states[:, ROWS.widths[0] :] == 0).all()
    close([values, states, deltas], both_passes(Products(shape), made), 1e-6)


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh", "softplus"])
def test_what_is_not_a_number_stays_so_in_its_own_cell(nonlinearity):
    rows = Rows((2, 1))
    made = networks(shape_of(nonlinearity), torch.float32, rows=rows)
    made.drive[1, 0, 0] = torch.nan
    _, states, _ = both_passes(made.scan, made, rows)
    assert states[1, 0, 0].isnan()
    assert states[1, 2].isnan().all()
    assert states[[0, 2]].isfinite().all()


def test_a_place_is_left_to_the_next_cell_without_a_trace():
    made = networks(shape_of(), torch.float32)
    for place, (connectivity, _) in enumerate(CELLS[::-1]):
        if place == 1:
            made.scan.empty(place)
            assert made.scan.longest[place].tolist() == [0, 0]
        made.scan.load(place, *torch.from_numpy(build_connectivity(connectivity, N, 0).matrix()).nonzero().T)
    fresh = networks(shape_of(), torch.float32, CELLS[::-1])
    for name in ("senders", "receivers", "longest"):
        assert torch.equal(getattr(made.scan, name), getattr(fresh.scan, name)), name


@pytest.mark.parametrize("asked", ["auto", "products", "fused"])
def test_result_and_log_say_how_the_recurrence_was_computed(asked):
    small = dataset(TASKS, 2, decision=(1, 2), rest=(1, 2))
    training = {"batch_size": 2, "steps": 1, "evaluate_every": 5}
    made = Training(cell_spec({"kind": "autapse"}, **training), small, small, Compute(path="dense"))
    found = run_fleet([made], scan=asked)
    name = "fused" if asked == "fused" else "products"  # until a GPU has shown that it should be otherwise
    assert found.results[0].provenance["scan"] == name
    says = {"products": "by batched products", "fused": "by a scan fused over time"}
    assert f"trains on cpu in float32, one of 1 cells in a fleet of 1 places, {says[name]}" in found.said


def test_where_it_cannot_be_had_batched_products_are_and_say_why(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "triton", None)
        assert "pip install triton" in make_scan(shape_of(), 1, CPU, torch.float32).says
    monkeypatch.delenv("TRITON_INTERPRET")
    scan = make_scan(shape_of(), 1, CPU, torch.float32)
    assert scan.name == "products"
    assert scan.says == "batched products (not by the fused scan: Triton computes on GPUs, not on cpu)"


def test_triton_is_imported_where_it_is_asked_for_and_its_failure_is_told(run_python):
    code = """
import os, sys, torch
import lmrnn.training.fleet.leader
from lmrnn.training.fleet.scan import make_scan
from tests.training.test_scan import shape_of
def made(scan): return make_scan(shape_of(scan=scan), 1, torch.device("cpu"), torch.float32)
made("products")
assert "triton" not in sys.modules
from lmrnn.training.fleet import kernels  # not for the interpreter, but for a driver that is not there
os.environ["TRITON_INTERPRET"] = "1"
print(made("fused").name, made("fused").says)
"""
    done = run_python(code, env={key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("products batched products (not by the fused scan: it cannot be compiled here: ")


@pytest.mark.soak
def test_kernels_compile_for_an_h100_without_one(tmp_path):
    every = ["--every"] if "LMRNN_SOAK_KERNELS" in os.environ else []
    command = [sys.executable, "-m", "tests.training.compiled", *every]
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == (4 * 13 if every else 4)
    single = [row for row in rows if row["kind"][0] == "fp32"]
    assert all(row["registers"] <= 128 and row["spilled"] <= 16 for row in single), rows
    assert all(row["shared"] <= 64 * 1024 for row in rows), rows
