"""How well a network does its tasks: four measures, each per task.

decision accuracy
    share of the decision period's time steps at which the largest logit is the right one (the headline);
trial accuracy
    share of trials in which all of them are right;
final-step accuracy
    share of trials whose last time step is right (the measure of the 2021 notebook);
fixation-break rate
    share of the time steps before the decision period at which the largest logit is not "fixate".

A battery's figure is the mean over its tasks with equal weight. Networks are evaluated trial by trial from state 0 and
without recurrent noise, whatever layout they were trained in, so that figures can be compared. A time step whose logits
are not all finite is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lmrnn.datasets.batches import Batch, TrialTensors, padded_batch
from lmrnn.networks import choose_path, get_path

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset
    from lmrnn.networks import LMRNN

FIXATE = 0
BATCH_SIZE = 512  # trials of nearly equal length, so that little padding is computed


@dataclass(frozen=True, eq=False)
class Measures:
    """The four measures, one value per task, each float64 (n_tasks,) in [0, 1]."""

    decision_accuracy: np.ndarray
    trial_accuracy: np.ndarray
    final_step_accuracy: np.ndarray
    fixation_break_rate: np.ndarray

    def per_task(self) -> dict[str, np.ndarray]:
        """Measure name to values per task, (n_tasks,)."""
        return dict(vars(self))

    def means(self) -> dict[str, float]:
        """Measure name to mean over tasks with equal weight."""
        return {name: float(np.mean(values)) for name, values in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Baseline:
    """What a network that always fixates would reach.

    `decision_accuracy` is the share of decision time steps whose right answer is "fixate", per task, (n_tasks,);
    `step_accuracy` the share of all time steps of all trials.
    """

    decision_accuracy: np.ndarray
    step_accuracy: float


def evaluate(
    network: LMRNN, dataset: Dataset | TrialTensors, path: str = "auto", batch_size: int = BATCH_SIZE
) -> Measures:
    """Measure a network, on its device, on every trial of a dataset of its battery, `batch_size` trials at a time.

    NaN for a task without trials. Raises `ConfigError` on an unknown `path` of the recurrence.
    """
    device = network.bias.device
    trials = dataset if isinstance(dataset, TrialTensors) else TrialTensors.of(dataset, device)
    logits = get_path(choose_path(network, device, path)).logits
    counts = [trial_counts(logits(network, batch), batch) for batch in batches(trials, batch_size)]
    return measures_of(torch.cat(counts, dim=1).cpu().numpy(), trials.n_tasks)


def batches(trials: TrialTensors, batch_size: int) -> Iterator[Batch]:
    """Every trial once, those of similar length together."""
    order = np.argsort(np.asarray(trials.length), kind="stable")
    return (padded_batch(trials, order[begin : begin + batch_size]) for begin in range(0, len(order), batch_size))


def trial_counts(logits: Tensor, batch: Batch) -> Tensor:
    """What the measures need to know of each trial of a batch of padded trials, given logits (T, B, 17): int64, (6, B).

    Task; decision time steps, and how many of them are right; whether the last time step is right; time steps before
    the decision, and at how many of them fixation is broken.
    """
    chosen = logits.argmax(-1).masked_fill_(~torch.isfinite(logits).all(-1), -2)  # (T, B); -2 is no label
    right = chosen == batch.labels
    time = torch.arange(len(right), device=right.device)[:, None]
    deciding = (time >= batch.decision) & (time < batch.lengths)
    waiting = time < batch.decision
    last = right.gather(0, (batch.lengths - 1)[None])[0]
    return torch.stack(
        [
            batch.rule[0],
            deciding.sum(0),
            (deciding & right).sum(0),
            last.long(),
            waiting.sum(0),
            (waiting & (chosen != FIXATE)).sum(0),
        ]
    )


def measures_of(counts: np.ndarray, n_tasks: int) -> Measures:
    """Measures per task of the counts (6, n) of all trials."""
    task, deciding, right, last, waiting, broken = counts

    def per_task(values: np.ndarray) -> np.ndarray:
        return np.bincount(task, values, minlength=n_tasks)

    with np.errstate(invalid="ignore"):  # 0 / 0 where a task has no trials
        trials = per_task(np.ones_like(task))
        return Measures(
            decision_accuracy=per_task(right) / per_task(deciding),
            trial_accuracy=per_task(right == deciding) / trials,
            final_step_accuracy=per_task(last) / trials,
            fixation_break_rate=per_task(broken) / per_task(waiting),
        )


def always_fixate(dataset: Dataset) -> Baseline:
    """What a network that always fixates would reach on a dataset; to be shown beside every accuracy."""
    length = np.asarray(dataset.length, dtype=np.int64)
    trial = np.repeat(np.arange(len(length)), length)
    time = np.arange(len(trial)) - np.repeat(np.cumsum(length) - length, length)
    rows = np.repeat(np.asarray(dataset.start), length) + time
    fixate = np.asarray(dataset.labels)[rows] == FIXATE
    deciding = time >= np.asarray(dataset.decision)[trial]
    task = np.asarray(dataset.task)[trial][deciding]
    n_tasks = len(dataset.tasks)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(task, fixate[deciding], minlength=n_tasks) / np.bincount(task, minlength=n_tasks)
    return Baseline(accuracy, float(fixate.mean()))
