"""The recurrence in plain torch with autograd: any device, any floating-point type, the yardstick of other paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lmrnn.datasets.batches import PADDING
from lmrnn.networks.model import readout, unroll
from lmrnn.tasks import CLASSES

if TYPE_CHECKING:
    from lmrnn.datasets.batches import Batch
    from lmrnn.networks.model import LMRNN


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy in nats of logits (T, B, 17) against labels (T, B), averaged over all but padding, with
    the weight (T, B) of each time step where there are such.
    """
    if weights is None:
        return F.cross_entropy(logits.view(-1, CLASSES), labels.view(-1), ignore_index=PADDING)
    each = F.cross_entropy(logits.view(-1, CLASSES), labels.view(-1), ignore_index=PADDING, reduction="none")
    counted = weights.view(-1) * (labels.view(-1) != PADDING)
    return (each * counted).sum() / counted.sum()


def rates_loss(network: LMRNN, states: Tensor, batch: Batch) -> Tensor:
    """What states (T, B, N) cost: `rates_cost` times the mean of their squares inside of trials."""
    inside = torch.arange(len(states), device=states.device)[:, None] < batch.lengths  # (T, B)
    mean = ((states**2).sum(-1) * inside).sum() / (inside.sum() * network.neurons)
    return network.rates_cost * mean


def loss_and_gradients(
    network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None
) -> Tensor:
    """Loss () of a batch; overwrites the gradient of every parameter; as `lmrnn.networks.paths` says."""
    network.zero_grad(set_to_none=True)
    states_ = unroll(network, batch, None if initial_state is None else initial_state.detach(), noise)
    loss = cross_entropy(readout(network, states_), batch.labels, batch.weights)
    if network.rates_cost:
        loss = loss + rates_loss(network, states_, batch)
    loss.backward()
    return loss.detach()


@torch.no_grad()
def states(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """States (T, B, N) of a network at all time steps; arguments as in `loss_and_gradients`."""
    return unroll(network, batch, initial_state, noise)


@torch.no_grad()
def logits(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """Logits (T, B, 17) of a network at all time steps; arguments as in `loss_and_gradients`."""
    return readout(network, unroll(network, batch, initial_state, noise))
