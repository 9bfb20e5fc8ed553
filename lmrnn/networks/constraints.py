"""What constrains a network beside its synapses: signs of its neurons, and which of them get input or are read out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lmrnn.networks.model import LMRNN


def draw_marks(
    neurons: int, shares: Mapping[str, float | None], generator: torch.Generator
) -> dict[str, Tensor | None]:
    """For each share of the neurons, which of them are in it, bool (N,), drawn uniformly; None where there is no share.

    Exactly round(share * N) neurons, at least one. Nothing is drawn where there is no share, so that networks without
    constraints keep their weights.
    """
    marks: dict[str, Tensor | None] = {}
    for name, share in shares.items():
        marks[name] = None
        if share is not None and (name == "excitatory" or share < 1):
            chosen = torch.randperm(neurons, generator=generator)[: max(1, round(share * neurons))]
            marks[name] = torch.zeros(neurons, dtype=torch.bool).index_fill_(0, chosen, True)
    return marks


@torch.no_grad()
def obey(network: LMRNN) -> None:
    """Make fresh weights obey the network's constraints.

    Dale's law: the size of each weight stays, its sign becomes that of the sending neuron; where the initialisation is
    gaussian, inhibitory ones are scaled by the number of excitatory neurons over that of inhibitory ones, so that they
    balance (Song, Yang and Wang 2016, PLoS Computational Biology 12). Neurons without input or readout have weights 0.
    """
    signs = network.signs
    if signs is not None:
        excitatory = int((signs > 0).sum())
        inhibitory = len(signs) - excitatory
        balance = excitatory / inhibitory if inhibitory and network.initialisation == "gaussian" else 1.0
        factor = torch.where(signs > 0, signs, signs * balance)
        network.recurrent.copy_(network.recurrent.abs() * factor[network.pre])
    mask_rows(network, {"input": network.input, "rule": network.rule, "readout": network.readout})


def mask_rows(network: LMRNN, tensors: Mapping[str, Tensor]) -> None:
    """Set to 0, in place, what is of neurons that get no input (input, rule: (N, any)) or are not read (any, N)."""
    if network.receives is not None:
        for name in ("input", "rule"):
            tensors[name].mul_(network.receives[:, None])
    if network.is_read is not None:
        tensors["readout"].mul_(network.is_read)


@torch.no_grad()
def project(network: LMRNN) -> None:
    """Dale's law after a step: a recurrent weight of the wrong sign becomes 0."""
    if network.signs is not None:
        wrong = network.recurrent * network.signs[network.pre] < 0
        network.recurrent.masked_fill_(wrong, 0)
