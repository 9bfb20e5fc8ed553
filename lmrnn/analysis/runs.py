"""Running trained networks on fresh trials, to look into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmrnn.datasets.batches import TrialTensors, padded_batch
from lmrnn.networks import LMRNN, choose_path, get_path
from lmrnn.seeds import stream
from lmrnn.tasks import Task, Trials, draw, render


class ExplodesError(ValueError):
    """States of a network leave the range of float32: there is nothing to look into."""


@dataclass(frozen=True)
class Run:
    """A network's states (S, N) after each of the S time steps of n trials of one task, laid out as the trials'
    observations.
    """

    trials: Trials
    states: np.ndarray

    @property
    def trial(self) -> np.ndarray:
        """(S,) trial of each row."""
        return np.repeat(np.arange(len(self.trials)), self.trials.length)

    @property
    def time(self) -> np.ndarray:
        """(S,) time step of each row within its trial."""
        return np.arange(len(self.states)) - self.trials.start[self.trial]


def run_task(network: LMRNN, task: Task, rule: int, spec: dict, trials: int, seed: int = 0) -> Run:
    """Run a network on noise-free trials of a task at rule channel `rule`, drawn from a stream of their own.

    `spec` is the cell's, for its definition and dt. Raises `ExplodesError` where states are not finite.
    """
    rng = stream(seed, "analysis", task.name)
    made = render(task, draw(task, trials, rng, spec["dt"], spec["definition"]), spec["dt"], spec["definition"])
    states = run_trials(network, made, rule)
    if not np.isfinite(states).all():
        raise ExplodesError(f"states on {task.name} are not finite")
    return Run(made, states)


def run_trials(network: LMRNN, made: Trials, rule: int, generator: torch.Generator | None = None) -> np.ndarray:
    """States (S, N) of a network on rendered trials at rule channel `rule`, laid out as their observations.

    With a `generator` the network's recurrent noise is drawn from it; without, there is none, as in every evaluation.
    """
    found = {"start": made.start, "length": made.length, "task": np.full(len(made), rule), "decision": made.decision}
    columns: dict[str, Any] = {name: np.asarray(column, np.int64) for name, column in found.items()}
    observed = torch.from_numpy(made.observations), torch.from_numpy(made.labels)
    tensors = TrialTensors(*observed, **columns, n_tasks=network.n_tasks)
    batch = padded_batch(tensors, np.arange(len(made)))
    noise = None if generator is None else network.draw_noise(len(batch.labels), len(made), generator)
    states = get_path(choose_path(network, "cpu")).states(network, batch, noise=noise).numpy()  # (T, n, N)
    return np.concatenate([states[:length, trial] for trial, length in enumerate(made.length)])


def moments(trials: Trials) -> np.ndarray:
    """What point of a trial each time step is, (S,): equal for time steps of the same period that are equally long
    after its onset, which are to be compared; -1 in the fixation period, in which nothing differs yet.
    """
    time = np.arange(len(trials.labels)) - np.repeat(trials.start, trials.length)
    bounds = np.repeat(trials.bounds, trials.length, axis=0)  # (S, periods + 1)
    period = (time[:, None] >= bounds[:, 1:-1]).sum(axis=1)
    since = time - bounds[np.arange(len(time)), period]
    return np.where(period == 0, -1, period * 100_000 + since)


def answers_of(network: LMRNN, run: Run) -> np.ndarray:
    """What the network answers at each time step: the class of the largest output, 0 .. 16, (S,)."""
    readout, bias = network.readout.detach().numpy(), network.readout_bias.detach().numpy()
    return (run.states @ readout.T + bias).argmax(axis=1)
