"""The network's formula, its gradients and its initial weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lmrnn.datasets.batches import Batch
from lmrnn.errors import ConfigError
from lmrnn.networks import PATHS, Connectivity, build_connectivity, choose_path, get_path, reference
from lmrnn.networks.model import INITIALISATIONS, LMRNN, NONLINEARITIES

PARAMETERS = {"recurrent", "input", "rule", "bias", "readout", "readout_bias"}


def network(spec, neurons, n_tasks=2, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return LMRNN(build_connectivity(spec, neurons), n_tasks, generator=generator, **options)


def random_batch(steps=5, trials=3, n_tasks=2, seed=0, lengths=None):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.full((trials,), steps) if lengths is None else torch.tensor(lengths)
    padding = torch.arange(steps)[:, None] >= lengths
    observations = torch.randn((steps, trials, 33), generator=generator).masked_fill_(padding[..., None], 0)
    labels = torch.randint(17, (steps, trials), generator=generator).masked_fill_(padding, -1)
    rule = torch.randint(n_tasks, (steps, trials), generator=generator)
    return Batch(observations, rule, labels, lengths, lengths - 1)


def by_hand(leak, f):
    """Two neurons, 0 -> 1 and 1 -> 1, two time steps of one trial of task 1, computed number by number."""
    h0 = h1 = 0.0
    logits = []
    for x in (1.0, 2.0):
        drive0 = 0.5 * x + 0.1 + 0.01
        drive1 = -0.25 * x + 0.2 + 0.02
        new0 = (1 - leak) * h0 + leak * f(drive0)
        new1 = (1 - leak) * h1 + leak * f(2.0 * h0 + 3.0 * h1 + drive1)
        h0, h1 = new0, new1
        logits.append((0.7 * h0 - 0.4 * h1 + 0.05, 0.03))
    return logits, (h0, h1)


@pytest.mark.parametrize("leak", [1.0, 0.2])
@pytest.mark.parametrize(
    ("name", "f"),
    [("relu", lambda x: max(x, 0.0)), ("tanh", math.tanh), ("softplus", lambda x: math.log1p(math.exp(x)))],
)
def test_two_steps_worked_out_by_hand(name, f, leak):
    connectivity = Connectivity(2, np.array([1, 1]), np.array([0, 1]), "two")
    net = LMRNN(connectivity, 2, nonlinearity=name, leak=leak).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.recurrent[:] = torch.tensor([2.0, 3.0], dtype=torch.float64)
        net.input[:, 4] = torch.tensor([0.5, -0.25], dtype=torch.float64)
        net.rule[:, 1] = torch.tensor([0.1, 0.2], dtype=torch.float64)
        net.bias[:] = torch.tensor([0.01, 0.02], dtype=torch.float64)
        net.readout[0] = torch.tensor([0.7, -0.4], dtype=torch.float64)
        net.readout_bias[:2] = torch.tensor([0.05, 0.03], dtype=torch.float64)
    observations = torch.zeros((2, 1, 33), dtype=torch.float64)
    observations[:, 0, 4] = torch.tensor([1.0, 2.0])
    labels = torch.tensor([[0], [1]])
    batch = Batch(observations, torch.ones((2, 1), dtype=torch.int64), labels, torch.tensor([2]), torch.tensor([1]))

    expected, state = by_hand(leak, f)
    logits = net(batch)[:, 0]
    torch.testing.assert_close(logits[:, :2], torch.tensor(expected, dtype=torch.float64))
    assert torch.all(logits[:, 2:] == 0)
    loss = reference.loss_and_gradients(net, batch)
    torch.testing.assert_close(reference.states(net, batch)[-1, 0], torch.tensor(state, dtype=torch.float64))
    nats = [math.log(sum(map(math.exp, row)) + 15) - row[label] for row, label in zip(expected, (0, 1), strict=True)]
    assert loss.item() == pytest.approx(sum(nats) / 2, rel=1e-12)


def wide(batch):
    """The same batch in float64."""
    return replace(batch, observations=batch.observations.double())


def test_a_synapse_leads_from_pre_to_post():
    net = network({"kind": "local", "radius": 1.5}, 9)
    dense = net.recurrent_matrix()
    assert torch.equal(dense[net.post, net.pre], net.recurrent)
    assert int((dense != 0).sum()) == int((net.recurrent != 0).sum())


@pytest.mark.parametrize("leak", [1.0, 0.3])
@pytest.mark.parametrize("nonlinearity", list(NONLINEARITIES))
def test_gradients_agree_with_finite_differences(nonlinearity, leak):
    net = network({"kind": "local", "radius": 1.5}, 9, nonlinearity=nonlinearity, leak=leak).double()
    batch = wide(random_batch(steps=4, trials=2, lengths=[4, 3]))
    state = torch.rand((2, 9), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    noise = torch.randn((4, 2, 9), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    reference.loss_and_gradients(net, batch, state, noise)
    for name, parameter in net.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for index in range(0, len(flat), max(1, len(flat) // 12)):
            value, losses = flat[index].item(), []
            for shift in (1e-6, -1e-6):
                flat[index] = value + shift
                losses.append(
                    reference.cross_entropy(net(batch, initial_state=state, noise=noise), batch.labels).item()
                )
            flat[index] = value
            slope = (losses[0] - losses[1]) / 2e-6
            assert gradient[index].item() == pytest.approx(slope, rel=1e-5, abs=1e-8), (name, index)


def test_gradients_are_overwritten_not_added_to():
    net, batch = network({"kind": "full"}, 9), random_batch()
    reference.loss_and_gradients(net, batch)
    first = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    reference.loss_and_gradients(net, batch)
    assert set(first) == PARAMETERS
    assert all(torch.equal(parameter.grad, first[name]) for name, parameter in net.named_parameters())


def test_padding_has_no_share_in_loss_and_gradients():
    net = network({"kind": "full"}, 9).double()
    short = wide(random_batch(steps=3, trials=2))
    longer = wide(random_batch(steps=6, trials=2))
    padded = Batch(
        torch.cat([short.observations, longer.observations[3:]]),  # whatever stands there
        torch.cat([short.rule, longer.rule[3:]]),
        torch.cat([short.labels, torch.full((3, 2), -1)]),
        short.lengths,
        short.decision,
    )
    losses, gradients = [], []
    for batch in (short, padded):
        losses.append(reference.loss_and_gradients(net, batch))
        gradients.append({name: parameter.grad for name, parameter in net.named_parameters()})
    torch.testing.assert_close(*losses)
    for name in PARAMETERS:
        torch.testing.assert_close(gradients[0][name], gradients[1][name])


def test_the_state_can_be_carried_on():
    net, batch = network({"kind": "full"}, 9), random_batch(steps=6)
    parts = [
        Batch(batch.observations[part], batch.rule[part], batch.labels[part], batch.lengths // 2, batch.decision)
        for part in (slice(0, 3), slice(3, 6))
    ]
    whole = reference.states(net, batch)
    first = reference.states(net, parts[0])
    assert torch.equal(torch.cat([first, reference.states(net, parts[1], first[-1])]), whole)


def test_the_rule_may_change_from_one_time_step_to_the_next():
    net, batch = network({"kind": "autapse"}, 4, initial_scale=0.0), random_batch(trials=1)
    state = reference.states(net, batch)[:, 0]
    for t, task in enumerate(batch.rule[:, 0]):
        drive = net.input @ batch.observations[t, 0] + net.rule[:, task] + net.bias
        torch.testing.assert_close(state[t], torch.relu(drive))


def test_equal_seeds_share_all_but_the_recurrent_weights_whatever_the_connectivity():
    local, full = (network(spec, 25, seed=7) for spec in ({"kind": "local", "radius": 2}, {"kind": "full"}))
    for name in PARAMETERS - {"recurrent"}:
        assert torch.equal(getattr(local, name), getattr(full, name))
    other = network({"kind": "full"}, 25, seed=8)
    assert not torch.equal(full.input, other.input)


def test_scaled_identity():
    net = network({"kind": "local", "radius": 2}, 25, initial_scale=0.5)
    assert torch.equal(net.recurrent_matrix(), 0.5 * torch.eye(25))
    random = network({"kind": "random", "density": 0.1, "self_connections": False}, 25)
    weights = random.recurrent_matrix().detach()
    assert torch.equal(weights, torch.diag(torch.diag(weights))), "nothing beside the diagonal"
    assert int((weights != 0).sum()) == np.trace(random.connectivity.matrix())


def test_gaussian_has_variance_one_over_in_degree():
    net = network({"kind": "local", "radius": 4}, 1600, initialisation="gaussian", initial_scale=1.0)
    in_degree = torch.tensor(net.connectivity.in_degree)[net.post]
    scaled = net.recurrent.detach() * in_degree.sqrt()
    assert abs(scaled.mean().item()) < 5 / math.sqrt(len(scaled))
    assert scaled.std().item() == pytest.approx(1, rel=0.02)


def test_input_and_readout_start_within_the_bounds_of_a_linear_layer():
    net = network({"kind": "autapse"}, 400, n_tasks=20)
    for weights, fan_in in ((net.input, 53), (net.rule, 53), (net.bias, 53), (net.readout, 400)):
        bound = 1 / math.sqrt(fan_in)
        assert 0.9 * bound < weights.abs().max().item() <= bound


def test_noise_has_the_variance_of_yang_et_al():
    net = network({"kind": "autapse"}, 50, leak=0.2, recurrent_noise=0.05)
    noise = net.draw_noise(40, 30, torch.Generator().manual_seed(0))
    assert noise.shape == (40, 30, 50)
    assert noise.std().item() == pytest.approx(math.sqrt(2 / 0.2) * 0.05, rel=0.02)
    assert network({"kind": "autapse"}, 50).draw_noise(4, 3, torch.Generator()) is None


def test_a_missing_synapse_has_no_parameter():
    net = network({"kind": "autapse"}, 10)
    assert {name: tuple(p.shape) for name, p in net.named_parameters()} == {
        "recurrent": (10,),
        "input": (10, 33),
        "rule": (10, 2),
        "bias": (10,),
        "readout": (17, 10),
        "readout_bias": (17,),
    }


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"nonlinearity": "gelu"}, ["nonlinearity is 'gelu'", "relu, softplus, tanh"]),
        ({"initialisation": "zeros"}, ["initialisation is 'zeros'", *INITIALISATIONS]),
        ({"leak": 0.0}, ["leak is 0.0", "(0, 1]"]),
        ({"leak": float("nan")}, ["leak is nan"]),
        ({"initial_scale": -1.0}, ["initial_scale is -1.0"]),
        ({"recurrent_noise": -0.1}, ["recurrent_noise is -0.1"]),
    ],
)
def test_settings_out_of_range_are_refused(option, words):
    with pytest.raises(ConfigError) as caught:
        network({"kind": "autapse"}, 4, **option)
    assert all(word in str(caught.value) for word in words)


def test_every_path_has_the_three_functions_and_an_unknown_one_is_refused():
    for name in PATHS:
        assert all(callable(getattr(get_path(name), f)) for f in ("loss_and_gradients", "logits", "states"))
    net = network({"kind": "autapse"}, 4)
    assert choose_path(net, "cpu", "reference") == "reference"
    assert choose_path(net, "cpu") in PATHS
    with pytest.raises(ConfigError, match="reference"):
        choose_path(net, "cpu", "fastest")


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_plain_arrays_give_the_logits_of_the_batch_that_they_are(leak):
    net, batch = network({"kind": "local", "radius": 2}, 9, leak=leak), random_batch()
    expected = net(batch).detach().numpy()
    plain = net(batch.observations.numpy(), batch.rule.numpy())
    np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=1e-6)
    tensors = net(batch.observations, batch.rule)
    assert tensors.requires_grad
    np.testing.assert_allclose(tensors.detach(), expected, rtol=1e-5, atol=1e-6)
    alone, of_each = net(batch.observations[:, 1].numpy(), 1), net(batch.observations.numpy(), np.array([0, 1, 0]))
    np.testing.assert_allclose(alone, of_each[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "rule"), [((3, 2, 32), 0), ((33,), 0), ((3, 2, 33), None), ((3, 2, 33), 99), ((3, 2, 33), [0, 0, 0])]
)
def test_plain_arrays_that_do_not_fit_are_refused_with_what_is_allowed(shape, rule):
    net = network({"kind": "autapse"}, 4)
    with pytest.raises(ConfigError, match="allowed"):
        net(np.zeros(shape, np.float32), rule if not isinstance(rule, list) else np.array(rule))
