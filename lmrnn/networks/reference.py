"""The recurrence in plain torch with autograd: any device, any floating-point type, the yardstick of other paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lmrnn.datasets.batches import PADDING
from lmrnn.networks.model import NONLINEARITIES
from lmrnn.tasks import CLASSES

if TYPE_CHECKING:
    from lmrnn.datasets.batches import Batch
    from lmrnn.networks.model import LMRNN


def unroll(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """States of a network at all time steps, with gradients.

    Parameters
    ----------
    network : LMRNN
        With N neurons.
    batch : Batch
        T time steps of B trials.
    initial_state : Tensor, optional
        State before the first time step, (B, N); 0 if none is given.
    noise : Tensor, optional
        Recurrent noise as it enters the nonlinearity, (T, B, N).

    Returns
    -------
    Tensor
        (T, B, N). Formula: `lmrnn.networks.model`.
    """
    activation, leak = NONLINEARITIES[network.nonlinearity], network.leak
    drive = F.linear(batch.observations, network.input, network.bias) + network.rule.T[batch.rule]  # (T, B, N)
    if noise is not None:
        drive = drive + noise
    weights = network.recurrent_matrix().T  # (pre, post)
    state = drive.new_zeros(drive.shape[1:]) if initial_state is None else initial_state  # (B, N)
    states = []
    for drive_now in drive:
        state = (1 - leak) * state + leak * activation(torch.addmm(drive_now, state, weights))
        states.append(state)
    return torch.stack(states)


def readout(network: LMRNN, states: Tensor) -> Tensor:
    """Logits (T, B, 17) of states (T, B, N), with gradients."""
    return F.linear(states, network.readout, network.readout_bias)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy in nats of logits (T, B, 17) against labels (T, B), averaged over all but padding."""
    return F.cross_entropy(logits.view(-1, CLASSES), labels.view(-1), ignore_index=PADDING)


def loss_and_gradients(
    network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None
) -> Tensor:
    """Loss of a batch; sets the gradient of every parameter.

    Parameters
    ----------
    network : LMRNN
        Its parameters' `grad` are overwritten.
    batch : Batch
        T time steps of B trials.
    initial_state : Tensor, optional
        State before the first time step, (B, N); no gradient flows into it.
    noise : Tensor, optional
        Recurrent noise as it enters the nonlinearity, (T, B, N).

    Returns
    -------
    Tensor ()
        Mean cross-entropy in nats over all time steps that are not padding.
    """
    network.zero_grad(set_to_none=True)
    states_ = unroll(network, batch, None if initial_state is None else initial_state.detach(), noise)
    loss = cross_entropy(readout(network, states_), batch.labels)
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
