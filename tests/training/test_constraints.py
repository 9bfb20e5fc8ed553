"""Constraints and costs of weights and rates: every path honours or refuses them; signs hold at every step."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmrnn.datasets import DatasetSpec, generate
from lmrnn.errors import ConfigError
from lmrnn.networks import LMRNN, build_connectivity, choose_path, connectivity_label, dense, kernel, reference
from lmrnn.networks.masks import read_mask
from lmrnn.study.since import with_defaults
from lmrnn.training.penalties import make_penalties
from lmrnn.training.state import Compute, Training
from lmrnn.training.step import Adam, CapturedStep, PlainStep
from lmrnn.training.train import take_step
from lmrnn.training.weighing import time_weights
from tests.networks.test_paths import random_batch, wide
from tests.small_data import cell_spec, datasets

compiled = pytest.mark.skipif(kernel.why_not() is not None, reason=f"{kernel.why_not()}")
PATHS = ["reference", "dense", pytest.param("kernel", marks=compiled)]
LOCAL = {"kind": "local", "radius": 2}


def network_of(**options):
    return LMRNN(build_connectivity(LOCAL, 25), 2, generator=torch.Generator().manual_seed(3), **options)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("initialisation", ["scaled_identity", "gaussian"])
@pytest.mark.parametrize("recurrent_rate", [1, 3])
@pytest.mark.parametrize("of", ["a share", "a mask"])
def test_signs_hold_at_every_step_on_every_path(path, initialisation, recurrent_rate, of, tmp_path):
    network, connectivity = {"excitatory": 0.8}, {}
    if of == "a mask":
        file = tmp_path / "signed.npz"
        np.savez(file, mask=build_connectivity(LOCAL, 25).matrix(), signs=np.where(np.arange(25) % 5, 1, -1))
        network, connectivity = {}, {"connectivity": {"kind": "file", **read_mask(file)}}
    spec = cell_spec(network={**network, "initialisation": initialisation}, steps=8, learning_rate=0.1)
    spec["training"]["recurrent_rate"] = recurrent_rate
    training = Training({**spec, **connectivity}, *datasets()[:2], Compute(path=path))
    signs = training.network.signs
    assert int((signs > 0).sum()) == 20
    assert of == "a share" or bool((signs[::5] < 0).all())
    moved = False
    for _ in range(8):
        before = training.network.recurrent.detach().clone()
        take_step(training)
        weights = training.network.recurrent.detach()
        moved |= not torch.equal(before, weights)
        assert torch.all(weights * signs[training.network.pre] >= 0)
    assert moved
    assert (weights > 0).any()
    assert (weights < 0).any()


def test_initial_weights_of_a_dale_network_balance():
    connectivity = build_connectivity("full", 400)
    network = LMRNN(connectivity, 1, initialisation="gaussian", initial_scale=1, excitatory=0.8)
    sums = network.recurrent_matrix().detach().sum(dim=1)
    assert abs(float(sums.mean())) < 0.1
    plain = LMRNN(connectivity, 1, initialisation="gaussian", initial_scale=1)
    assert torch.equal(plain.recurrent.abs()[network.signs[network.pre] > 0], network.recurrent[network.recurrent > 0])


def test_networks_without_constraints_have_the_weights_that_they_had():
    plain, constrained = network_of(), network_of(excitatory=0.5, input_share=0.4)
    assert torch.equal(plain.bias, constrained.bias)
    assert torch.equal(plain.readout, constrained.readout)


@pytest.mark.parametrize("path", PATHS)
def test_neurons_without_input_or_readout_stay_so(path):
    spec = cell_spec(network={"input_share": 0.4, "readout_share": 0.2}, steps=5, weight_decay=0.1)
    training = Training(spec, *datasets()[:2], Compute(path=path))
    network = training.network
    without, unread = ~network.receives, ~network.is_read
    assert (int(without.sum()), int(unread.sum())) == (15, 20)
    for _ in range(5):
        take_step(training)
    for weights, rows in ((network.input, without), (network.rule, without), (network.readout.T, unread)):
        assert not weights[rows].any()
        assert weights[~rows].any()
    assert network.bias[without].any()


@pytest.mark.parametrize("path", ["reference", "dense"])
def test_gradients_of_weighted_loss_and_rates_are_what_the_loss_does(path):
    module = {"reference": reference, "dense": dense}[path]
    network = network_of(leak=0.6, nonlinearity="softplus", initialisation="gaussian").double()
    network.rates_cost = 0.3
    batch = wide(random_batch(6, 4, 2, seed=2))
    weights = torch.rand(batch.labels.shape, generator=torch.Generator().manual_seed(1)).double()
    weights[1] = 0
    batch = replace(batch, weights=weights)
    loss = module.loss_and_gradients(network, batch)
    inside = (torch.arange(6)[:, None] < batch.lengths).double()
    states = reference.states(network, batch)
    each = torch.nn.functional.cross_entropy(
        reference.logits(network, batch).view(-1, 17), batch.labels.view(-1), ignore_index=-1, reduction="none"
    ).view(6, 4)
    counted = weights * (batch.labels >= 0)
    by_hand = (each * counted).sum() / counted.sum()
    by_hand += 0.3 * (states**2 * inside[..., None]).sum() / (inside.sum() * 25)
    assert torch.allclose(loss, by_hand, rtol=1e-10)
    for name, parameter in network.named_parameters():
        flat, step = parameter.data.view(-1), 1e-6
        for index in range(0, len(flat), max(1, len(flat) // 4)):
            changed = []
            for sign in (1, -1):
                moved = copy.deepcopy(network)
                dict(moved.named_parameters())[name].data.view(-1)[index] += sign * step
                changed.append(module.loss_and_gradients(moved, batch))
            slope = (changed[0] - changed[1]) / (2 * step)
            assert abs(slope - parameter.grad.view(-1)[index]) < 1e-7, name


@compiled
def test_the_kernel_refuses_what_it_does_not_compute_with_one_message():
    network = network_of()
    network.rates_cost = 0.1
    with pytest.raises(ConfigError, match=r"compute.path is 'kernel', but .*no cost of rates.*dense") as caught:
        choose_path(network, "cpu", "kernel")
    assert len(str(caught.value).splitlines()) == 1
    with pytest.warns(UserWarning, match="slower dense path"):
        assert choose_path(network, "cpu") == "dense"
    plain = network_of()
    batch = random_batch(3, 2, 2)
    with pytest.raises(ConfigError, match=r"weighs no time steps"):
        kernel.loss_and_gradients(plain, replace(batch, weights=torch.ones(batch.labels.shape)))


def test_costs_of_weights_are_those_of_the_formula():
    connectivity, lengths = build_connectivity({**LOCAL, "boundary": "torus"}, 25), None
    spec = {"connectivity": {**LOCAL, "boundary": "torus"}}
    network = LMRNN(connectivity, 2, initialisation="gaussian").double()
    penalties = make_penalties(network, spec, with_defaults({"l1": 0.2, "wiring_cost": 0.1}))
    apart = np.abs(np.array(np.divmod(connectivity.post, 5)) - np.array(np.divmod(connectivity.pre, 5)))
    lengths = torch.from_numpy(np.hypot(*np.minimum(apart, 5 - apart)))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalties.add()
    weights = network.recurrent.detach().clone().requires_grad_()
    (0.2 * weights.abs().sum() + 0.1 * (weights.abs() * lengths).sum()).backward()
    assert torch.allclose(network.recurrent.grad, weights.grad)


def test_lengths_are_those_along_a_ring_and_between_given_positions(tmp_path):
    from lmrnn.networks.places import synapse_lengths

    ends = np.array([0, 1]), np.array([9, 4])
    assert synapse_lengths({"kind": "ring", "radius": 2}, 10, *ends).tolist() == [1, 3]
    positions = np.array([[0.0, 0, 0], [3, 4, 12], [1, 0, 0]])
    np.savez(tmp_path / "mask.npz", mask=np.ones((3, 3)), positions=positions)
    np.savez(tmp_path / "moved.npz", mask=np.ones((3, 3)), positions=2 * positions)
    spec = {"kind": "file", **read_mask(tmp_path / "mask.npz")}
    assert synapse_lengths(spec, 3, np.array([0, 0]), np.array([1, 2])).tolist() == [13, 1]
    moved = {"kind": "file", **read_mask(tmp_path / "moved.npz")}
    assert synapse_lengths(moved, 3, np.array([0]), np.array([1])).tolist() == [26]
    assert moved["sha256"] == spec["sha256"]
    assert connectivity_label({**moved, "name": "mask"}) != connectivity_label(spec)


def test_weight_decay_is_that_of_adamw():
    network = network_of(initialisation="gaussian")
    other = copy.deepcopy(network)
    batches = [random_batch(5, 6, 2, seed) for seed in range(4)]
    optimiser = Adam(network.parameters(), 0.01)
    penalties = make_penalties(network, {"connectivity": LOCAL}, with_defaults({"weight_decay": 0.5}))
    step = PlainStep(network, optimiser, 1.0, "reference", penalties)
    named = dict(other.named_parameters())
    biases = [named.pop("bias"), named.pop("readout_bias")]
    groups = [{"params": list(named.values()), "weight_decay": 0.5}, {"params": biases, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=0.01)
    for batch in batches:
        step.take(batch)
        reference.loss_and_gradients(other, batch)
        torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        adamw.step()
    for (name, mine), (_, theirs) in zip(network.named_parameters(), other.named_parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6), name


@pytest.mark.parametrize("finite", [True, False])
def test_a_step_that_is_captured_does_what_a_plain_one_does(finite):
    networks, results = [network_of(initialisation="gaussian", excitatory=0.5, input_share=0.5) for _ in range(2)], []
    settings = with_defaults({"l1": 0.01, "wiring_cost": 0.01, "weight_decay": 0.1, "l2_rates": 0.1})
    for network, kind in zip(networks, (PlainStep, CapturedStep), strict=True):
        penalties = make_penalties(network, {"connectivity": LOCAL}, settings)
        optimiser = Adam(network.parameters(), 0.05)
        last = "dense" if kind is PlainStep else lambda function: function
        step = kind(network, optimiser, 0.5, last, penalties)
        batch = random_batch(5, 6, 2, 1)
        if not finite:
            batch.observations[0, 0, 0] = float("nan")
        batch = replace(batch, weights=torch.rand(batch.labels.shape, generator=torch.Generator().manual_seed(2)))
        before = [parameter.detach().clone() for parameter in network.parameters()]
        for _ in range(3):
            step.take(batch)
        same = all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
        assert same is not finite
        results.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    assert torch.allclose(*results, atol=1e-6)


def test_no_clipping_is_no_clipping():
    spec = cell_spec(gradient_clip=None, steps=3)
    spec["training"]["learning_rate"] = 1e-2
    one, two = (Training(copy.deepcopy(spec), *datasets()[:2], Compute(path="dense")) for _ in range(2))
    two.training_step.gradient_clip = 1e9
    for training in (one, two):
        for _ in range(3):
            take_step(training)
    assert torch.equal(one.network.recurrent, two.network.recurrent)


def test_the_grace_period_and_weights_of_periods_lie_where_they_belong():
    data = generate(DatasetSpec("corrected", 20, ("dlygo", "dms"), 2, "train", 0))
    weights = time_weights(data, {"grace": 100, "weights": {"decision": 5, "delay": 0.5}})
    for trial in range(4):
        first = int(data.start[trial])
        for period in data.periods(trial):
            own = weights[first + period.start : first + period.stop]
            wanted = {"decision": [0] * 5 + [5] * (len(own) - 5), "delay": [0.5] * len(own)}
            assert own.tolist() == wanted.get(period.name, [1] * len(own))
