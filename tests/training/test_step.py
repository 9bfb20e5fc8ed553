"""The training step in one piece, as it is captured into a CUDA graph; with a GPU, the graphs themselves."""

import copy

import numpy as np
import pytest
import torch

from lmrnn.datasets.batches import Batch, TrialTensors
from lmrnn.errors import Interrupted, ResourceError
from lmrnn.networks import LMRNN, build_connectivity
from lmrnn.training import step as training_step
from lmrnn.training import train as loop
from lmrnn.training.state import Compute, Training
from lmrnn.training.step import Adam, CapturedStep, PlainStep, make_step
from lmrnn.training.train import train
from tests.small_data import cell_spec, dataset, datasets

NETWORKS = [
    {"nonlinearity": "relu"},
    {"nonlinearity": "softplus", "leak": 0.3, "recurrent_noise": 0.1},
    {"nonlinearity": "tanh", "initialisation": "gaussian", "initial_scale": 1.0},
]
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def again(function):
    """Captures a function as a graph does, but for the graph: a replay computes it anew, from the same places."""
    return function


def never(function):
    raise AssertionError("nothing is to be captured")


def trained(kind, steps=25, network=None, clip=0.05):
    """A network after some steps on batches of several shapes, its optimiser, and the losses."""
    torch.manual_seed(0)
    training = Training(cell_spec(network=network, gradient_clip=clip), *datasets()[:2], Compute(path="dense"))
    step = kind(training)
    losses = []
    for _ in range(steps):
        batch = training.batches.next()
        losses.append(step.take(batch, training.network.draw_noise(*batch.labels.shape, training.noise)))
    return training.network, training.optimiser, losses


def captured(capture):
    return lambda t: CapturedStep(t.network, t.optimiser, t.settings["gradient_clip"], capture)


def plain(t):
    return PlainStep(t.network, t.optimiser, t.settings["gradient_clip"], "dense")


@pytest.mark.parametrize("clip", [0.05, 1e6])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_step_in_one_piece_trains_as_the_one_in_parts(network, clip):
    one, _, losses = trained(captured(again), network=network, clip=clip)
    other, _, expected = trained(plain, network=network, clip=clip)
    assert losses == pytest.approx(expected, rel=1e-4)
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_captured_step_reads_each_batch_from_its_place(network, monkeypatch):
    shapes = []

    def noting(function):
        shapes.append(function)
        return again(function)

    one, _, losses = trained(captured(noting), network=network)
    monkeypatch.setattr(training_step, "MOST_SHAPES", 0)
    other, _, expected = trained(captured(never), network=network)
    assert losses == expected
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))
    assert 1 < len(shapes) < 10  # once for each length of batch


def test_a_shape_is_captured_when_it_comes_again(monkeypatch):
    network = LMRNN(build_connectivity({"kind": "local", "radius": 2}, 25), 2)
    trials, captures = TrialTensors.of(dataset()), []
    step = CapturedStep(network, Adam(network.parameters(), 1e-3), 1.0, lambda f: captures.append(f) or f)
    monkeypatch.setattr(training_step, "MOST_SHAPES", 2)
    for trial_count, expected in ((3, 0), (4, 0), (3, 1), (3, 1), (4, 2), (5, 2), (5, 2)):
        step.take(_same_length(trials, trial_count))
        assert len(captures) == expected


def _same_length(trials, count):
    rows = torch.arange(4 * count).view(4, count).numpy()
    observations, labels = trials.rows(rows)
    return Batch(observations, torch.zeros_like(labels), labels, torch.full((count,), 4), torch.ones(count))


@pytest.mark.parametrize("kind", [plain, captured(again)], ids=["in parts", "in one piece"])
def test_a_loss_that_is_not_finite_moves_nothing(kind):
    training = Training(cell_spec(), *datasets()[:2], Compute(path="dense"))
    step, batch = kind(training), training.batches.next()
    step.take(batch)
    training.network.bias.data[3] = torch.nan
    optimiser = training.optimiser
    state = lambda: [*training.network.parameters(), *optimiser.first, *optimiser.second, *optimiser.steps]  # noqa: E731
    before = copy.deepcopy(state())
    assert step.take(batch) != step.take(batch)  # NaN
    for one, same in zip(state(), before, strict=True):
        torch.testing.assert_close(one, same, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", ["local", "full"])
def test_the_step_in_one_piece_waits_for_no_gpu(network, kind):
    """A tensor on the device "meta" has no values: reading one back, or mixing in a tensor on the CPU, is an error."""
    connectivity = build_connectivity({"kind": kind, **({"radius": 2} if kind == "local" else {})}, 25)
    model = LMRNN(connectivity, 2, **network).to("meta")
    optimiser = Adam(model.parameters(), 1e-3)
    batch = Batch(
        torch.zeros(6, 4, 33, device="meta"),
        *(torch.zeros(6, 4, dtype=torch.int64, device="meta") for _ in range(2)),
        *(torch.zeros(4, dtype=torch.int64, device="meta") for _ in range(2)),
    )
    noise = torch.zeros(6, 4, 25, device="meta") if model.recurrent_noise else None
    loss = CapturedStep(model, optimiser, 1.0, never).compute(batch, noise)
    assert loss.shape == ()
    assert loss.is_meta
    assert all(p.grad.shape == p.shape and p.grad.is_meta for p in model.parameters())
    with pytest.raises(RuntimeError, match="meta"):
        PlainStep(model, optimiser, 1.0, "dense").take(batch, noise)


def test_only_the_dense_path_on_a_gpu_is_captured():
    network = LMRNN(build_connectivity({"kind": "full"}, 9), 2)
    optimiser = Adam(network.parameters(), 1e-3)
    assert not make_step(network, optimiser, 1.0, "dense").captured
    assert not make_step(network, optimiser, 1.0, "kernel").captured


def test_what_cannot_be_captured_is_said():
    def refuse(function):
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(ResourceError, match=r"\(\d+, 7\).*not permitted.*set compute.cuda_graphs to false"):
        trained(captured(refuse))


def gpu_cell(graphs, checkpoint=None, network=None, layout="padded", log=print):
    spec = cell_spec(network=network, steps=40, layout=layout)
    compute = Compute(device="cuda", cuda_graphs=graphs, checkpoint_seconds=1e-9)
    return train(spec, *datasets(), checkpoint, log, compute)


@pytest.mark.gpu
@no_gpu
@pytest.mark.parametrize("layout", ["padded", "stream"])
@pytest.mark.parametrize("network", NETWORKS)
def test_on_a_gpu_a_captured_training_is_the_one_in_parts_and_that_of_the_cpu(network, layout):
    graphs, parts = (gpu_cell(on, network=network, layout=layout) for on in (True, False))
    assert graphs.provenance["cuda_graphs"]
    assert not parts.provenance["cuda_graphs"]
    spec = cell_spec(network=network, steps=40, layout=layout)
    cpu = train(spec, *datasets(), compute=Compute(path="dense"))
    for name, values in graphs.weights.items():
        np.testing.assert_allclose(values, parts.weights[name], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(values, cpu.weights[name], rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@no_gpu
def test_on_a_gpu_an_interrupted_captured_training_ends_the_same(tmp_path, monkeypatch):
    whole = gpu_cell(True)
    take_step = loop.take_step

    def interrupted(self):
        if self.step == 20:
            raise Interrupted("at step 20")
        take_step(self)

    monkeypatch.setattr(loop, "take_step", interrupted)
    with pytest.raises(Interrupted):
        gpu_cell(True, tmp_path / "checkpoint.h5")
    monkeypatch.undo()
    resumed = gpu_cell(True, tmp_path / "checkpoint.h5")
    assert resumed.provenance["restarts"] == 1
    for name, values in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], values)
