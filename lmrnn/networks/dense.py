"""The dense path: plain torch with dense products and a backward pass written by hand, on the CPU or a GPU.

For networks with most of the possible synapses, and for GPUs, where dense products are fast. Nothing here waits for the
device or depends on the data's values, so that it can be captured into a CUDA graph. The gradient flows through

    delta_t = a f'(z_t) * dh_t,    dh_{t-1} = (1 - a) dh_t + delta_t W + dlogits_{t-1} readout

where z_t is what the nonlinearity is applied to (backpropagation through time of the recurrence of the model).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lmrnn.datasets.batches import PADDING

if TYPE_CHECKING:
    from lmrnn.datasets.batches import Batch
    from lmrnn.networks.model import LMRNN


def _weights(network: LMRNN) -> Tensor:
    """Dense W[post, pre], (N, N), without a gradient."""
    if network.connectivity.synapses == network.neurons**2:
        return network.recurrent.detach().view(network.neurons, network.neurons)
    return network.recurrent_matrix().detach()


def _activate(z: Tensor, nonlinearity: str) -> Tensor:
    """f(z), in place where that can be."""
    if nonlinearity == "relu":
        return z.relu_()
    return F.softplus(z) if nonlinearity == "softplus" else z.tanh_()


def _slope(f: Tensor, nonlinearity: str) -> Tensor:
    """f'(z) by the value of f(z): 1 where relu is on, 1 - exp(-f) for softplus, 1 - f^2 for tanh."""
    if nonlinearity == "relu":
        return (f > 0).to(f)
    if nonlinearity == "tanh":
        return 1 - f * f
    return torch.expm1(-f).neg_().masked_fill_(f > 20, 1)  # torch's softplus is the identity above 20


def _unroll(
    network: LMRNN, batch: Batch, initial_state: Tensor | None, noise: Tensor | None, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """States with the initial one before them (T + 1, B, N), and f(z) of every time step (T, B, N)."""
    observations = batch.observations.to(network.input)
    values = F.linear(observations, network.input, network.bias)  # (T, B, N): the drive, step by step becoming f(z)
    values += network.rule.T[batch.rule]
    if noise is not None:
        values += noise
    states = values.new_zeros((len(values) + 1, *values.shape[1:]))
    if initial_state is not None:
        states[0] = initial_state
    inward = weights.T.contiguous()  # (pre, post)
    for t, z in enumerate(values):
        torch.addmm(z, states[t], inward, out=z)
        f = _activate(z, network.nonlinearity)
        if f is not z:
            z.copy_(f)
        if network.leak == 1:
            states[t + 1] = z
        else:
            torch.lerp(states[t], z, network.leak, out=states[t + 1])
    # What grows after a trial's end may become infinite, which no factor of 0 takes out of a sum.
    ended = (torch.arange(len(values), device=values.device)[:, None] >= batch.lengths)[..., None]
    states[1:].masked_fill_(ended, 0)
    return states, values.masked_fill_(ended, 0)


def _deltas(network: LMRNN, values: Tensor, dstates: Tensor, weights: Tensor) -> Tensor:
    """Gradient by z, (T, B, N), of the readout's gradient by the states (T, B, N); `dstates` is used up."""
    deltas = _slope(values, network.nonlinearity).mul_(network.leak)
    for t in range(len(deltas) - 1, -1, -1):
        deltas[t] *= dstates[t]
        if t:
            torch.addmm(dstates[t - 1], deltas[t], weights, out=dstates[t - 1])
            if network.leak != 1:
                dstates[t - 1].add_(dstates[t], alpha=1 - network.leak)
    return deltas


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy () of logits (T * B, 17) over labels (T * B,) but padding, weighted or not; its gradient."""
    counted = labels != PADDING
    if weights is not None:
        counted = counted * weights
    targets = labels.clamp(min=0)[:, None]
    scale = (counted.to(logits) / counted.sum())[:, None]
    log_probabilities = torch.log_softmax(logits, dim=1)
    loss = -(log_probabilities.gather(1, targets) * scale).sum()
    gradient = log_probabilities.exp_()
    gradient.scatter_add_(1, targets, torch.full_like(scale, -1))
    return loss, gradient.mul_(scale)


@torch.no_grad()
def loss_and_gradients(
    network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None
) -> Tensor:
    """Loss () of a batch; overwrites the gradient of every parameter; as `lmrnn.networks.paths` says."""
    weights = _weights(network)
    states, values = _unroll(network, batch, initial_state, noise, weights)
    after, before = states[1:].flatten(0, 1), states[:-1].flatten(0, 1)  # (T * B, N)
    logits = F.linear(after, network.readout, network.readout_bias)
    loss, dlogits = _loss(logits, batch.labels.flatten(), None if batch.weights is None else batch.weights.flatten())
    dstates = (dlogits @ network.readout).view_as(values)
    if network.rates_cost:
        loss = loss + _add_rates(network, states[1:], dstates, batch)
    deltas = _deltas(network, values, dstates, weights).flatten(0, 1)

    tasks = torch.arange(network.n_tasks, device=deltas.device)
    rules = (batch.rule.flatten()[:, None] == tasks).to(deltas)  # a product, not a scatter: same bytes every time
    network.readout.grad, network.readout_bias.grad = dlogits.T @ after, dlogits.sum(0)
    network.input.grad = deltas.T @ batch.observations.to(deltas).flatten(0, 1)
    network.rule.grad, network.bias.grad = deltas.T @ rules, deltas.sum(0)
    network.recurrent.grad = _pick(network, deltas.T @ before)
    return loss


def _add_rates(network: LMRNN, states: Tensor, dstates: Tensor, batch: Batch) -> Tensor:
    """What states (T, B, N) cost; its gradient is added to theirs."""
    inside = (torch.arange(len(states), device=states.device)[:, None] < batch.lengths).to(states)[..., None]
    factor = inside * (network.rates_cost / (inside.sum() * network.neurons))
    dstates.add_(2 * factor * states)
    return (factor * states * states).sum()


def _pick(network: LMRNN, matrix: Tensor) -> Tensor:
    """Entries of a dense matrix (N, N) at the existing synapses, (E,)."""
    if network.connectivity.synapses == network.neurons**2:
        return matrix.view(-1)
    return matrix[network.post, network.pre]


@torch.no_grad()
def states(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """States (T, B, N) of a network at all time steps; arguments as in `loss_and_gradients`."""
    return _unroll(network, batch, initial_state, noise, _weights(network))[0][1:]


@torch.no_grad()
def logits(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """Logits (T, B, 17) of a network at all time steps; arguments as in `loss_and_gradients`."""
    return F.linear(states(network, batch, initial_state, noise), network.readout, network.readout_bias)
