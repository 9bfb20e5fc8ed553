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

    `observations` (S, 33), `labels` (S,) int8; `start`, `length`, `task` (n,) int64 of each trial. Datasets can be
    added, between two steps; each is held as long as the pool is.
    """

    def __init__(self, device: torch.device | str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.first_trial: dict[tuple[int, int], int] = {}  # by a dataset's place in memory
        self.first_row: dict[tuple[int, int], int] = {}
        self._held: list[TrialTensors] = []
        self.lengths = np.zeros(0, np.int64)  # on the host
        self._parts: dict[str, Tensor] = {}

    def add(self, trials: TrialTensors) -> bool:
        """Take a dataset in, if it is not there; says whether the pool's tensors are now others than before."""
        key = trials.place
        if key in self.first_trial:
            return False
        rows = len(self._parts["labels"]) if self._parts else 0
        self.first_trial[key], self.first_row[key] = len(self.lengths), rows
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
        self._parts = {name: torch.cat([self._parts[name], new[name]]) if self._parts else new[name] for name in new}
        return True

    def place_of(self, trials: TrialTensors) -> tuple[int, int]:
        """Number of the first trial, and of the first row, of a dataset that was added."""
        return self.first_trial[trials.place], self.first_row[trials.place]

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self.__dict__["_parts"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def longest(self) -> int:
        """Time steps of the longest trial."""
        return int(self.lengths.max())
