"""Networks of a few neurons whose behaviour is known."""

import numpy as np
import torch

from lmrnn.networks import LMRNN, Connectivity
from lmrnn.science.trained import TrainedNetwork


def hand_made(matrix, nonlinearity="tanh", leak=1.0, n_tasks=1, **weights):
    """A network in float64 of a dense matrix W[post, pre]; further weights by name, 0 unless given."""
    matrix = np.asarray(matrix, float)
    post, pre = np.nonzero(matrix)
    network = LMRNN(Connectivity(len(matrix), post, pre, "by hand"), n_tasks, nonlinearity, leak).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.zero_()
            if name in weights:
                parameter.copy_(torch.as_tensor(weights[name]))
        network.recurrent.copy_(torch.as_tensor(matrix[post, pre]))
    return network


def integrator(first, second):
    """An ideal integrator of dm1: a unit adds up the difference of the evidence at two positions, another one counts
    time steps, so that the first, kept above 0 by the same count, is linear; the sign of their difference is answered.
    """
    from lmrnn.tasks.rendering import bumps

    seen = np.zeros((2, 33))
    seen[0, 1:17] = bumps(np.array([first]))[0].astype(float) - bumps(np.array([second]))[0]
    readout = np.zeros((17, 2))
    readout[first + 1], readout[second + 1] = (1, -1), (-1, 1)
    network = hand_made(
        np.eye(2), "relu", bias=np.array([10.0, 10.0]), input=seen, readout=readout,
        readout_bias=np.where(np.isin(np.arange(17), [first + 1, second + 1]), 0.0, -1e6),
    )  # fmt: skip
    return TrainedNetwork(network, {"tasks": ["dm1"], "definition": "corrected", "dt": 100})
