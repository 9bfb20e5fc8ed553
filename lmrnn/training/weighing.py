"""How much each time step counts in the loss: a grace period after the go cue, periods of more weight.

Yang et al. (2019, Nature Neuroscience 22, Methods) leave the first 100 ms of the response out and weigh the rest of it
five times: ``loss: {grace: 100, weights: {decision: 5}}``. The loss is the weighted mean of the time steps in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrnn.tasks import period_names

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset


def time_weights(dataset: Dataset, loss: Mapping[str, Any]) -> np.ndarray:
    """Weight of every time step of a dataset in the loss, (S,) float32.

    `loss` has ``weights``, of periods by name (1 where not named), and ``grace``, ms from the beginning of the last
    period on that count 0.
    """
    weights, durations = np.ones(len(dataset.labels), np.float32), dataset.parameters["durations"]
    named, grace = loss.get("weights", {}), int(loss.get("grace", 0)) // dataset.spec.dt
    for number, task in enumerate(dataset.spec.battery):
        trials = np.flatnonzero(np.asarray(dataset.task) == number)
        names = period_names(task)
        per_period = np.array([named.get(name, 1.0) for name in names], np.float32)
        for trial in trials:
            first, length = int(dataset.start[trial]), int(dataset.length[trial])
            weights[first : first + length] = np.repeat(per_period, durations[trial, : len(names)])
            begin = first + int(dataset.decision[trial])
            weights[begin : min(begin + grace, first + length)] = 0
    return weights
