"""Learning rates: of each step by the schedule, and of the recurrent weights relative to all others.

Under Adam every weight moves by about the learning rate whatever its gradient is, so the drive of a neuron moves by
about rate times in-degree: a network with more synapses moves faster at the same rate. `recurrent_factors` says by how
much the rate of the recurrent weights differs from that of all others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

IN_DEGREE = "in_degree"
CONSTANT, WARMUP, COSINE, WARMUP_COSINE = "constant", "warmup", "cosine", "warmup_cosine"


def learning_rate(training: Mapping[str, Any], step: int) -> float:
    """Learning rate of the step that follows `step` >= 0 taken ones, of a section ``training`` `with_defaults`.

    In a warm-up it rises linearly from 1 / warmup_steps of the rate to the whole in the first warmup_steps. In a cosine
    it then falls from the whole to `rate_floor` of it at the end: floor + (1 - floor) (1 + cos(pi t / T)) / 2 after t
    of T steps (I. Loshchilov, F. Hutter: SGDR: Stochastic gradient descent with warm restarts. ICLR 2017, eq. 5).
    """
    schedule, rate = training["schedule"], training["learning_rate"]
    warmup = training["warmup_steps"] if schedule in (WARMUP, WARMUP_COSINE) else 0
    if step < warmup:
        return rate * (step + 1) / warmup
    if schedule in (COSINE, WARMUP_COSINE):
        done = (step - warmup) / max(1, training["steps"] - warmup)
        floor = training["rate_floor"]
        return rate * (floor + (1 - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2)
    return rate


def recurrent_factors(training: Mapping[str, Any], in_degree: NDArray[Any]) -> NDArray[np.float64]:
    """Factor of the learning rate for the recurrent weights that each neuron receives, (N,), of a complete section
    ``training`` and the neurons' in-degrees (N,): `recurrent_rate` itself, or reference_degree / in-degree, where a
    neuron without a synapse, which has no weight to move, gets 1.
    """
    factor, degrees = training["recurrent_rate"], np.asarray(in_degree)
    if factor == IN_DEGREE:
        return np.where(degrees > 0, training["reference_degree"] / np.maximum(degrees, 1), 1.0)
    return np.full(len(degrees), float(factor))
