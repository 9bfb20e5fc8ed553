"""Rows: the (time step, trial) pairs of a batch that are computed, time step after time step without gaps.

The trials of a padded batch are sorted, the longest first, so that at each time step those that are still on come first
and only they need be computed. `Rows` is a staircase: the first ``widths[t]`` trials at time step t. Its steps are the
same for every batch, or no CUDA graph could be used again; they are as wide as nearly all batches need, and one batch
that needs more is computed on the full rectangle.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

# A step of the staircase is this many trials: batched products come in tiles of that height anyway.
_TILE = 8
# Standard deviations above the mean width: of 256 cells' batches, one step in 50 or fewer takes the rectangle.
_SPARE = 4.5


class Rows:
    """Which trials of a sorted batch are computed at each time step: the first ``widths[t]`` >= 1, never increasing."""

    def __init__(self, widths: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        self.widths, self.device = widths, torch.device(device)
        self.begin = tuple(np.concatenate([[0], np.cumsum(widths)]).tolist())

    def __len__(self) -> int:
        return self.begin[-1]

    @property
    def steps(self) -> int:
        """Time steps T."""
        return len(self.widths)

    @property
    def rectangle(self) -> bool:
        """Whether every trial is computed at every time step."""
        return self.widths[0] == self.widths[-1]

    @cached_property
    def time(self) -> Tensor:
        """Time step of each row, int64 (R,)."""
        return torch.from_numpy(np.repeat(np.arange(self.steps), self.widths)).to(self.device)

    @cached_property
    def trial(self) -> Tensor:
        """Place of each row's trial in the sorted batch, int64 (R,)."""
        return torch.from_numpy(np.concatenate([np.arange(width) for width in self.widths])).to(self.device)

    @cached_property
    def before(self) -> Tensor:
        """The row of the same trial one time step earlier, of all rows but those of the first time step, int64."""
        earlier = [begin + np.arange(width) for begin, width in zip(self.begin, self.widths[1:], strict=False)]
        return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *earlier])).to(self.device)

    @cached_property
    def begins(self) -> Tensor:
        """First row of each time step, and the number of rows, int32 (T + 1,)."""
        return torch.tensor(self.begin, dtype=torch.int32, device=self.device)

    @cached_property
    def reach(self) -> Tensor:
        """Time steps of each trial of the first time step, int32 (B,)."""
        steps = (np.array(self.widths)[:, None] > np.arange(self.widths[0])).sum(0)
        return torch.from_numpy(steps.astype(np.int32)).to(self.device)

    def holds(self, lengths: np.ndarray) -> np.ndarray:
        """Whether batches (...) of trials of these lengths (..., B), the longest first, are computed to the end."""
        reach = (np.array(self.widths)[:, None] > np.arange(lengths.shape[-1])).sum(0)  # (B,): time steps of each place
        return (lengths <= reach).all(-1)


def full(steps: int, batch: int, device: torch.device | str = "cpu") -> Rows:
    """All of a batch of B trials or sequences at all of T time steps."""
    return Rows((batch,) * steps, device)


def staircase(lengths: np.ndarray, batch: int, device: torch.device | str = "cpu") -> Rows:
    """Rows for batches of B trials drawn from many of these lengths (n,): wide enough for nearly all of them."""
    steps = int(lengths.max())
    share = np.array([(lengths > t).mean() for t in range(steps)])
    wanted = batch * share + _SPARE * np.sqrt(batch * share * (1 - share))
    widths = [min(batch, _TILE * math.ceil(max(width, 1) / _TILE)) for width in wanted]
    return Rows(tuple(widths), device)
