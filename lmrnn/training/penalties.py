"""What a training adds to its gradients and does after a step: costs of weights, and the network's constraints.

The costs of recurrent weights are, of synapses of weight w and length d, l1 * sum |w| and wiring_cost * sum |w| d
(Achterberg, Akarca, Strouse, Duncan and Astle 2023, Nature Machine Intelligence 5); their gradients are added before
clipping. Weight decay is decoupled: every weight but the biases shrinks by learning rate * weight_decay in each step
(Loshchilov and Hutter 2019, AdamW). None of them is part of the loss that a history shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmrnn.networks.constraints import mask_rows, project
from lmrnn.networks.places import synapse_lengths

if TYPE_CHECKING:
    from lmrnn.networks import LMRNN

_DECAYING = ("recurrent", "input", "rule", "readout")


class Penalties:
    """Costs and constraints of a network; see `make_penalties`. Nothing here reads anything back from the device."""

    def __init__(self, network: LMRNN, cost: Tensor | None, weight_decay: float) -> None:
        self.network, self.cost, self.weight_decay = network, cost, weight_decay

    @torch.no_grad()
    def add(self) -> None:
        """Add the costs' gradients to the network's, and take away those of weights that are 0 for good."""
        network = self.network
        gradients = {name: getattr(network, name).grad for name in _DECAYING}
        if self.cost is not None:
            gradients["recurrent"].addcmul_(self.cost, network.recurrent.sign())
        mask_rows(network, gradients)

    @torch.no_grad()
    def decay(self, rate: float | Tensor, skip: Tensor | None = None) -> None:
        """Shrink the weights for a step at a learning rate; not where `skip`, float32 (), is 1."""
        if not self.weight_decay:
            return
        factor = 1 - rate * self.weight_decay * (1 if skip is None else 1 - skip)
        for name in _DECAYING:
            getattr(self.network, name).mul_(factor)

    def project(self) -> None:
        """Bring the weights back to the signs that they may have."""
        project(self.network)


def make_penalties(network: LMRNN, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> Penalties | None:
    """The costs and constraints of a cell's network, on its device; None where there are none.

    `settings` are of the training, complete. Sets the network's `rates_cost` (training.l2_rates). Raises
    ConnectivityError where a wiring cost is asked for and neurons have no place.
    """
    network.rates_cost, network.weighs_time = settings["l2_rates"], bool(settings["loss"])
    connectivity, cost = network.connectivity, None
    if settings["wiring_cost"]:
        ends = connectivity.neurons, connectivity.post, connectivity.pre
        cost = settings["wiring_cost"] * torch.from_numpy(synapse_lengths(spec["connectivity"], *ends))
    if settings["l1"]:
        cost = settings["l1"] + (torch.zeros(connectivity.synapses) if cost is None else cost)
    constrained = any(one is not None for one in (network.signs, network.receives, network.is_read, cost))
    if not constrained and not settings["weight_decay"]:
        return None
    return Penalties(network, None if cost is None else cost.to(network.recurrent), settings["weight_decay"])
