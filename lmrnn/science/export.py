"""A trained network for other programs: as a torch.nn.RNN, or as plain arrays in an .npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lmrnn.errors import ConfigError
from lmrnn.files.storage import atomic_path
from lmrnn.networks import LMRNN
from lmrnn.science.trained import TrainedNetwork
from lmrnn.study.cells import canonical_json

FORMULA = (
    "state = (1 - leak) * state + leak * f(W @ state + input @ observation + rule[:, task] + bias), from state 0; "
    "W[post, pre] = recurrent; logits = readout @ state + readout_bias; class 0: fixate, k: ring position k - 1"
)


def to_rnn(network: LMRNN) -> tuple[nn.RNN, nn.Linear]:
    """A network as torch.nn.RNN and the linear readout of its states: the same states, up to rounding.

    Inputs are those of `rnn_input`. Weights of synapses that do not exist are 0 and no longer stay so in training.
    Raises ConfigError where nn.RNN computes something else: a leak below 1, another nonlinearity than tanh and ReLU.
    """
    if network.leak != 1 or network.nonlinearity not in ("tanh", "relu"):
        has = f"this network has leak {network.leak:g} and {network.nonlinearity}: to_npz exports any, with its formula"
        raise ConfigError(f"torch.nn.RNN computes leak 1 with tanh or relu only; {has}")
    neurons, inputs = network.neurons, network.input.shape[1] + network.n_tasks
    rnn = nn.RNN(inputs, neurons, nonlinearity=network.nonlinearity).to(network.bias)
    linear = nn.Linear(neurons, network.readout.shape[0]).to(network.bias)
    drive = torch.cat([network.input, network.rule], dim=1).detach()
    recurrent, bias = network.recurrent_matrix().detach(), network.bias.detach()
    ours = {"weight_ih_l0": drive, "weight_hh_l0": recurrent, "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)}
    rnn.load_state_dict(ours)
    linear.load_state_dict({"weight": network.readout.detach(), "bias": network.readout_bias.detach()})
    return rnn, linear


def rnn_input(observations: Tensor, rule: Tensor, n_tasks: int) -> Tensor:
    """Observations (T, B, 33) with the task of each time step (T, B) as a one-hot vector behind them."""
    return torch.cat([observations, one_hot(rule, n_tasks).to(observations)], dim=-1)


def to_npz(cell: TrainedNetwork, path: Path | str) -> None:
    """Write a network's weights, synapses (`post`, `pre`), names of the tasks, spec (JSON) and formula to an .npz file.

    The file, which `numpy.load` opens without pickle, appears whole or not at all. Raises ConfigError on another
    ending.
    """
    if Path(path).suffix != ".npz":
        raise ConfigError(f"{path}: the name of an export ends in .npz")
    network = cell.network
    arrays: dict[str, Any] = {name: one.numpy(force=True) for name, one in network.named_parameters()}
    arrays |= {"post": network.connectivity.post, "pre": network.connectivity.pre}
    arrays |= {"leak": network.leak, "nonlinearity": network.nonlinearity, "dt": cell.spec["dt"], "tasks": cell.tasks}
    arrays |= {"spec": canonical_json(cell.spec), "formula": FORMULA}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
