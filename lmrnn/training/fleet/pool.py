"""The trials that a fleet trains on, on its device once, whatever number of cells share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from lmrnn.datasets.batches import TrialTensors


class Pool:
    """Trials of several datasets, one dataset after the other; a number of a trial counts through all of them.

    `tensors` are ``observations`` (S, 33), ``labels`` (S,) int8, and ``start``, ``length``, ``task`` (n,) int64 of each
    trial. Datasets can be added, between two steps; each is held as long as the pool is.
    """

    def __init__(self, device: torch.device | str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.first: dict[tuple[int, int], tuple[int, int]] = {}  # trial and row of a dataset, by its place in memory
        self._held: list[TrialTensors] = []
        self.lengths = np.zeros(0, np.int64)  # on the host
        self.tensors: dict[str, Tensor] = {}

    def add(self, trials: TrialTensors) -> bool:
        """Take a dataset in, if it is not there; says whether the pool's tensors are now others than before."""
        key = trials.place
        if key in self.first:
            return False
        rows = len(self.tensors["labels"]) if self.tensors else 0
        self.first[key] = len(self.lengths), rows
        self._held.append(trials)
        self.lengths = np.concatenate([self.lengths, np.asarray(trials.length, np.int64)])
        new = {
            "observations": trials.observations.to(self.device, self.dtype),
            "labels": trials.labels.to(self.device),
            **{
                name: torch.from_numpy(np.asarray(values, np.int64)).to(self.device)
                for name, values in (("start", trials.start + rows), ("length", trials.length), ("task", trials.task))
            },
        }
        have = self.tensors
        self.tensors = {name: torch.cat([have[name], new[name]]) if have else new[name] for name in new}
        return True
