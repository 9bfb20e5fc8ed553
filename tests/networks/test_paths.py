"""Every path of the recurrence computes the same thing: tested against the reference path in float64."""

import copy
import os
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmrnn.datasets.batches import PADDING, Batch
from lmrnn.errors import ConfigError
from lmrnn.networks import (
    LMRNN,
    Connectivity,
    build_connectivity,
    choose_path,
    dense,
    get_path,
    kernel,
    pairs,
    reference,
)

# LMRNN_EXAMPLES: how many random problems; fewer where a slow build of the kernel runs them
EXAMPLES = settings(
    max_examples=int(os.environ.get("LMRNN_EXAMPLES", 60)),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
compiled = pytest.mark.skipif(kernel.why_not() is not None, reason=f"{kernel.why_not()}")
IN_STRIPS = "kernel in strips"
FAST_PATHS = ["dense", pytest.param("kernel", marks=compiled), pytest.param(IN_STRIPS, marks=compiled)]
# What makes a small network walk as a very large one.
STRIPS = {"LARGEST_WHOLE": 0, "STRIP": 4, "LARGEST_CACHED": 0, "LARGEST_WINDOW": 100}


@contextmanager
def computing(name):
    """A path by its name; the kernel also as it computes very large networks."""
    if name != IN_STRIPS:
        yield get_path(name)
        return
    with patch.multiple(pairs, **STRIPS):
        yield kernel


@st.composite
def connectivities(draw):
    """Any set of synapses, not symmetric, also none; a sheet, whose neighbours share columns; or a long ring."""
    neurons, kind = draw(st.integers(1, 40)), draw(st.sampled_from(["any", "local", "ring"]))
    if kind == "ring":
        return build_connectivity({"kind": "ring", "radius": draw(st.integers(1, 9))}, 5 * neurons + 20)
    if kind == "local":
        side = draw(st.integers(2, 7))
        boundary = draw(st.sampled_from(["torus", "open"]))
        return build_connectivity({"kind": "local", "radius": 2, "boundary": boundary}, side * side)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    post, pre = np.nonzero(rng.random((neurons, neurons)) < draw(st.sampled_from([0, 0.05, 0.3, 1])))
    return Connectivity(neurons, post.astype(np.int64), pre.astype(np.int64), "any")


@st.composite
def problems(draw):
    """A network, a batch for it, perhaps an initial state, perhaps recurrent noise."""
    tasks, seed = draw(st.integers(1, 5)), draw(st.integers(0, 2**32))
    generator = torch.Generator().manual_seed(seed)
    options = {
        "nonlinearity": draw(st.sampled_from(["relu", "softplus", "tanh"])),
        "leak": draw(st.sampled_from([1.0, 0.2, 0.7])),
        "recurrent_noise": draw(st.sampled_from([0.0, 0.1])),
    }
    network = LMRNN(draw(connectivities()), tasks, initialisation="gaussian", generator=generator, **options)
    batch = random_batch(draw(st.integers(1, 25)), draw(st.integers(1, 140)), tasks, seed, draw(st.booleans()))
    steps, trials = batch.labels.shape
    state = torch.rand((trials, network.neurons), generator=generator) if draw(st.booleans()) else None
    return network, batch, state, network.draw_noise(steps, trials, generator)


def random_batch(steps, trials, tasks, seed=0, padded=True):
    """Trials of random lengths with a rule each, or streams whose rule changes; rings silent at most time steps."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, steps + 1, trials) if padded else np.full(trials, steps)
    lengths[rng.integers(trials)] = steps
    padding = np.arange(steps)[:, None] >= lengths  # (T, B)
    observations = rng.standard_normal((steps, trials, 33)).astype(np.float32)
    observations[..., 1:] *= rng.random((steps, trials, 1)) < 0.4
    observations[padding] = 0
    labels = np.where(padding, -1, rng.integers(0, 17, (steps, trials)))
    rule = rng.integers(0, tasks, (1, trials) if padded else (steps, trials))
    rule = np.broadcast_to(rule, (steps, trials)).copy()
    arrays = (observations, rule, labels, lengths, lengths - 1)
    return Batch(*(torch.from_numpy(array) for array in arrays))


def wide(batch, dtype=torch.float64):
    """The same batch with observations of another floating-point type."""
    return replace(batch, observations=batch.observations.to(dtype))


def distance(values, right):
    """Norm of the difference, relative to the norm of what is right (of 1e-3, where that is larger)."""
    return float((values.double() - right).norm() / right.norm().clamp(min=1e-3))


def gradient(network):
    """The gradient of all parameters as one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


def doubled(network, batch, *tensors):
    """The same problem in float64."""
    doubles = [None if tensor is None else tensor.double() for tensor in tensors]
    return copy.deepcopy(network).double(), wide(batch), *doubles


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", FAST_PATHS)
@EXAMPLES
@given(problem=problems())
def test_losses_and_gradients_equal_the_reference(name, dtype, problem):
    network, batch, state, noise = problem
    right, *rest = doubled(*problem)
    right_loss = reference.loss_and_gradients(right, *rest)
    cast = [None if tensor is None else tensor.to(dtype) for tensor in (state, noise)]
    network = network.to(dtype)
    with computing(name) as path:
        loss = path.loss_and_gradients(network, wide(batch, dtype), *cast)
    assert distance(loss, right_loss) <= TOLERANCE[dtype]
    for (parameter, p), (_, q) in zip(network.named_parameters(), right.named_parameters(), strict=True):
        assert p.grad.shape == p.shape
        # one parameter's gradient alone may be a small difference of large sums
        assert distance(p.grad, q.grad) <= 10 * TOLERANCE[dtype], parameter
    assert distance(gradient(network), gradient(right)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", FAST_PATHS)
@EXAMPLES
@given(problem=problems())
def test_logits_and_states_equal_the_reference(name, problem):
    inside = problem[1].labels >= 0
    for function in ("logits", "states"):
        with computing(name) as path:
            result = getattr(path, function)(*problem)
        right = getattr(reference, function)(*doubled(*problem))
        assert result.shape == right.shape
        assert not result.requires_grad
        assert distance(result[inside], right[inside]) <= 1e-5


@pytest.mark.parametrize("nonlinearity", ["relu", "softplus", "tanh"])
@pytest.mark.parametrize("name", ["reference", *FAST_PATHS])
def test_gradients_are_what_the_loss_does_when_a_weight_moves(name, nonlinearity):
    batch = wide(random_batch(5, 3, 2, seed=1))
    connectivity = build_connectivity({"kind": "random", "density": 0.5}, 6)
    network = LMRNN(connectivity, 2, nonlinearity, leak=0.6, initialisation="gaussian").double()

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *parameters):
            for own, given_ in zip(network.parameters(), parameters, strict=True):
                own.data.copy_(given_)
            with torch.enable_grad(), computing(name) as path:
                loss = path.loss_and_gradients(network, batch)
            ctx.save_for_backward(*(own.grad.clone() for own in network.parameters()))
            return loss

        @staticmethod
        def backward(ctx, scale):
            return tuple(scale * gradient for gradient in ctx.saved_tensors)

    values = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(Loss.apply, values, eps=1e-6, atol=1e-7, fast_mode=False)


@pytest.mark.parametrize("leak", [1.0, 0.8])
@pytest.mark.parametrize("nonlinearity", ["relu", "softplus", "tanh"])
@pytest.mark.parametrize("name", ["reference", "dense", pytest.param("kernel", marks=compiled)])
def test_what_a_network_does_after_a_trials_end_reaches_neither_loss_nor_gradients(name, nonlinearity, leak):
    """Each trial by itself, in float64 and without padding, says what they are; the padding alone would overflow."""
    generator, lengths = torch.Generator().manual_seed(0), torch.tensor([60, 4, 3, 4])
    options = {"nonlinearity": nonlinearity, "leak": leak, "initial_scale": 9.0, "generator": generator}
    network = LMRNN(build_connectivity({"kind": "full"}, 64), 2, **options)
    with torch.no_grad():
        network.bias.fill_(-1.0)
        network.rule.zero_()
        network.readout *= 1e-3
    padding = torch.arange(60)[:, None] >= lengths
    observations = torch.rand(60, 4, 33, generator=generator)
    observations[:, 0] = 0  # the long one is silent
    if nonlinearity != "tanh":
        observations[:, 1:] *= 30
    if nonlinearity == "softplus":
        network.bias.data[:] = -40.0
    observations[padding] = 0
    labels = torch.randint(0, 17, (60, 4), generator=generator).masked_fill(padding, PADDING)
    rule, decision = torch.zeros((60, 4), dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    loss = get_path(name).loss_and_gradients(network, Batch(observations, rule, labels, lengths, decision)).item()
    ours = {key: parameter.grad.double() for key, parameter in network.named_parameters()}
    network.double()
    expected, total = dict.fromkeys(ours, 0), 0
    for one, length in enumerate(lengths.tolist()):
        part = slice(0, length), slice(one, one + 1)
        whole = torch.tensor([length]), torch.tensor([1])
        alone = Batch(observations[part].double(), rule[part], labels[part].contiguous(), *whole)
        total += get_path("reference").loss_and_gradients(network, alone).item() * length / int(lengths.sum())
        for key, parameter in network.named_parameters():
            expected[key] = expected[key] + parameter.grad * length / int(lengths.sum())
    assert loss == pytest.approx(total, rel=1e-4)
    for key, values in expected.items():
        assert torch.linalg.norm(ours[key] - values) <= 5e-3 * torch.linalg.norm(values), key


@pytest.mark.parametrize("name", FAST_PATHS)
def test_gradients_replace_those_of_the_step_before(name):
    network, batch = LMRNN(build_connectivity({"kind": "full"}, 8), 2), random_batch(6, 4, 2)
    with computing(name) as path:
        path.loss_and_gradients(network, batch)
        once = [parameter.grad.clone() for parameter in network.parameters()]
        path.loss_and_gradients(network, batch)
    assert all(torch.equal(parameter.grad, first) for parameter, first in zip(network.parameters(), once, strict=True))


@pytest.mark.parametrize("name", FAST_PATHS)
def test_a_diverged_network_has_no_finite_loss(name):
    network, batch = LMRNN(build_connectivity({"kind": "local", "radius": 3}, 16), 2), random_batch(6, 4, 2)
    network.recurrent.data[3] = torch.nan
    with computing(name) as path:
        loss = path.loss_and_gradients(network, batch)
    assert torch.isnan(loss)


def test_the_choice_follows_the_device(monkeypatch):
    sparse = LMRNN(build_connectivity({"kind": "local", "radius": 3}, 256), 2)
    full = LMRNN(build_connectivity({"kind": "full"}, 256), 2)
    monkeypatch.setattr(kernel, "_load", lambda: kernel._Library.__new__(kernel._Library))
    assert choose_path(sparse, "cpu") == "kernel"
    assert choose_path(full, "cpu") == "kernel"
    assert choose_path(full, "cpu", "dense") == "dense"
    assert choose_path(sparse, "cuda") == "dense"
    with pytest.raises(ConfigError, match="runs on the CPU"):
        choose_path(sparse, "cuda", "kernel")


def test_without_a_compiled_kernel_the_slower_path_is_taken_and_said(monkeypatch, tmp_path):
    monkeypatch.setenv("LMRNN_KERNEL", str(tmp_path / "missing.so"))
    monkeypatch.setattr(kernel, "_load", kernel._load.__wrapped__)
    network = LMRNN(build_connectivity({"kind": "local", "radius": 3}, 16), 2)
    with pytest.warns(UserWarning, match=r"slower dense path: no compiled kernel at .*missing\.so"):
        assert choose_path(network, "cpu") == "dense"
    with pytest.raises(ConfigError, match="no compiled kernel"):
        choose_path(network, "cpu", "kernel")


def test_a_library_with_other_sizes_is_said_and_not_run(monkeypatch):
    library = kernel._load.__wrapped__()
    assert isinstance(library, kernel._Library)
    monkeypatch.setattr(kernel, "CLASSES", 18)
    assert "compiled from other source" in kernel._load.__wrapped__()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@EXAMPLES
@given(problem=problems())
def test_the_dense_path_on_a_gpu_equals_the_cpu(problem):
    network, batch, state, noise = problem
    there = copy.deepcopy(network).cuda()
    moved = [None if tensor is None else tensor.cuda() for tensor in (state, noise)]
    loss = dense.loss_and_gradients(network, batch, state, noise)
    loss_there = dense.loss_and_gradients(
        there, Batch(*(tensor.cuda() for tensor in vars(batch).values() if tensor is not None)), *moved
    )
    assert distance(loss_there.cpu(), loss.double()) <= 1e-5
    for p, q in zip(network.parameters(), there.parameters(), strict=True):
        assert distance(q.grad.cpu(), p.grad.double()) <= 1e-4
