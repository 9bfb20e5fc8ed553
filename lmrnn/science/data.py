"""Datasets for loops of one's own in torch: as a torch.utils.data.Dataset, with batches as networks take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils import data

from lmrnn.datasets import Dataset, Trial
from lmrnn.datasets.batches import PADDING, Batch


class TrialDataset(data.Dataset[Trial]):
    """The trials of a dataset, for a `torch.utils.data.DataLoader` with `collate` as its ``collate_fn``."""

    def __init__(self, trials: Dataset) -> None:
        self.trials = trials

    def __len__(self) -> int:
        return len(self.trials)

    def __getitem__(self, trial: int) -> Trial:
        """One trial; IndexError where there is none."""
        return self.trials[trial]


def collate(trials: Sequence[Trial]) -> Batch:
    """Trials side by side, each padded to the longest: what ``network(batch)`` takes."""
    lengths = np.array([len(trial.labels) for trial in trials])
    shape = int(lengths.max()), len(trials)
    observations = np.zeros((*shape, trials[0].observations.shape[1]), np.float32)
    labels = np.full(shape, PADDING, np.int64)
    for column, trial in enumerate(trials):
        observations[: lengths[column], column] = trial.observations
        labels[: lengths[column], column] = trial.labels
    rule = np.broadcast_to([trial.rule for trial in trials], shape).astype(np.int64)
    decision = np.array([trial.decision for trial in trials])
    return Batch(*map(torch.from_numpy, (observations, rule, labels, lengths, decision)))
