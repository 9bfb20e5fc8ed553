"""A trained network for other programs: as a torch.nn.RNN, or as plain arrays in an .npz file."""

from __future__ import annotations

from pathlib import Path

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
        has = f"leak {network.leak:g} and {network.nonlinearity}"
        raise ConfigError(f"torch.nn.RNN computes leak 1 with tanh or relu only; this network has {has}: "
                          "to_npz exports any, with its formula")  # fmt: skip
    neurons, inputs = network.neurons, network.input.shape[1] + network.n_tasks
    kind = {"device": network.bias.device, "dtype": network.bias.dtype}
    rnn = nn.RNN(inputs, neurons, nonlinearity=network.nonlinearity, **kind)
    linear = nn.Linear(neurons, network.readout.shape[0], **kind)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.cat([network.input, network.rule], dim=1))
        rnn.weight_hh_l0.copy_(network.recurrent_matrix())
        rnn.bias_ih_l0.copy_(network.bias)
        rnn.bias_hh_l0.zero_()
        linear.weight.copy_(network.readout)
        linear.bias.copy_(network.readout_bias)
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
    arrays = {name: one.numpy(force=True) for name, one in network.named_parameters()}
    arrays |= {"post": network.connectivity.post, "pre": network.connectivity.pre}
    arrays |= {"leak": np.float64(network.leak), "nonlinearity": np.str_(network.nonlinearity)}
    arrays |= {"tasks": np.array(cell.tasks), "dt": np.int64(cell.spec["dt"])}
    arrays |= {"spec": np.str_(canonical_json(cell.spec)), "formula": np.str_(FORMULA)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
