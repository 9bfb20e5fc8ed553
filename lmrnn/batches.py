"""From trials laid end to end to batches of time steps: padded trials, or sequences of them.

The order of trials depends on the seed alone, so that two networks with the same seed see the same trials in the same
order. Every epoch's permutation has its own random stream: a position in an order is an epoch and a place in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmrnn.seeds import stream

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset

PADDING = -1  # label of a time step that is not in the loss


@dataclass(frozen=True, eq=False)
class Batch:
    """T time steps of B trials (padded) or B parallel sequences (stream), time first.

    Parameters
    ----------
    observations : Tensor (T, B, 33), float32
        0 in the padding at a trial's end.
    rule : Tensor (T, B), int64
        Task of each time step (column of the rule weights); in the padding the trial's own.
    labels : Tensor (T, B), int64
        0 fixate, 1..16 ring positions, -1 padding: not in the loss.
    lengths : Tensor (B,), int64
        Time steps before the padding.
    decision : Tensor (B,), int64
        Time step at which the decision period begins; 0 in the stream layout, where it means nothing.
    """

    observations: Tensor
    rule: Tensor
    labels: Tensor
    lengths: Tensor
    decision: Tensor

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Batch:
        """Copy on another device, or with observations of another floating-point type."""
        moved = {name: getattr(self, name).to(device) for name in ("rule", "labels", "lengths", "decision")}
        return replace(self, observations=self.observations.to(device, dtype), **moved)


@dataclass(frozen=True, eq=False)
class Trials:
    """A dataset as tensors on the device that trains on it; see `lmrnn.datasets.Dataset` for the fields."""

    observations: Tensor  # (S, 33) float32
    labels: Tensor  # (S,) int8
    start: Tensor  # (n,) int64
    length: Tensor  # (n,) int64
    task: Tensor  # (n,) int64
    decision: Tensor  # (n,) int64
    n_tasks: int

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device | str = "cpu") -> Trials:
        """Trials of a dataset; on the CPU its observations are shared, not copied."""

        def tensor(values: np.ndarray, dtype: type) -> Tensor:
            return torch.from_numpy(np.require(values, dtype, "CW")).to(device)

        columns = {name: tensor(getattr(dataset, name), np.int64) for name in ("start", "length", "task", "decision")}
        observations, labels = tensor(dataset.observations, np.float32), tensor(dataset.labels, np.int8)
        return cls(observations, labels, **columns, n_tasks=len(dataset.tasks))

    def __len__(self) -> int:
        return len(self.start)


def padded_batch(trials: Trials, index: np.ndarray | Tensor) -> Batch:
    """Whole trials side by side, each padded to the longest.

    Parameters
    ----------
    trials : Trials
        Where they come from.
    index : array or Tensor of int64
        The trials, (B,).

    Returns
    -------
    Batch
        T is the length of the longest.
    """
    index = torch.as_tensor(index, device=trials.start.device)
    length, task = trials.length[index], trials.task[index]
    time = torch.arange(int(length.max()), device=index.device)[:, None]  # (T, 1)
    padding = time >= length  # (T, B)
    rows = (trials.start[index] + torch.minimum(time, length - 1)).view(-1)
    observations = trials.observations.index_select(0, rows).view(*padding.shape, -1)
    labels = trials.labels.index_select(0, rows).view(padding.shape).long()
    return Batch(
        observations=observations.masked_fill_(padding[..., None], 0),
        rule=task.expand(padding.shape).contiguous(),
        labels=labels.masked_fill_(padding, PADDING),
        lengths=length,
        decision=trials.decision[index],
    )


class Permutations:
    """An endless order of n things: one permutation after the other, each thing once in every epoch.

    Parameters
    ----------
    n : int
        Number of things.
    seed : int
        Seed of the order.
    *keys : int or str
        Names the order among others of the same seed.
    """

    def __init__(self, n: int, seed: int, *keys: int | str) -> None:
        self.n, self.seed, self.keys = n, seed, keys
        self.restore(0)

    def restore(self, drawn: int) -> None:
        """Go to the place after `drawn` things."""
        if type(drawn) is not int or drawn < 0:
            raise ValueError(f"a place in an order is a whole number >= 0, not {drawn!r}")
        self.drawn = drawn
        self._order = self._permutation(drawn // self.n)

    def _permutation(self, epoch: int) -> np.ndarray:
        return stream(self.seed, *self.keys, epoch).permutation(self.n)

    def take(self, count: int) -> np.ndarray:
        """The next things, int64, (count,); what an epoch has left goes first into the next batch."""
        parts = []
        while count:
            place = self.drawn % self.n
            part = self._order[place : place + count]
            parts.append(part)
            count -= len(part)
            self.drawn += len(part)
            if place + len(part) == self.n:
                self._order = self._permutation(self.drawn // self.n)
        return np.concatenate(parts)


class PaddedBatches:
    """Endless batches of whole trials of all tasks mixed.

    Parameters
    ----------
    trials : Trials
        The training set.
    batch_size : int
        B trials in a batch.
    seed : int
        Seed of the order.
    """

    def __init__(self, trials: Trials, batch_size: int, seed: int) -> None:
        self.trials, self.batch_size = trials, batch_size
        self.order = Permutations(len(trials), seed, "order")

    @property
    def trials_seen(self) -> int:
        """Trials in the batches so far."""
        return self.order.drawn

    def next(self) -> Batch:
        """The next batch."""
        return padded_batch(self.trials, self.order.take(self.batch_size))

    def state(self) -> dict[str, Any]:
        """Position, as JSON can hold it."""
        return {"drawn": self.order.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a position that `state` gave."""
        self.order.restore(state["drawn"])


class StreamBatches:
    """Endless batches of parallel sequences, each of trials laid end to end, as in the published recipe.

    A sequence begins with a new trial at state 0, the network's state is carried from trial to trial, and the last
    trial is cut where the sequence ends; its rest is dropped. (Carrying the state on into the next sequence was tried:
    full networks then grow without bound within ten steps at rates at which they learn otherwise.) After each trial the
    next task is drawn uniformly from the other tasks, never the same twice in a row; within a task, trials come in
    permutations, one an epoch, that all sequences share.

    Parameters
    ----------
    trials : Trials
        The training set.
    batch_size : int
        B parallel sequences.
    sequence_length : int
        T time steps of each.
    seed : int
        Seed of the order.
    """

    def __init__(self, trials: Trials, batch_size: int, sequence_length: int, seed: int) -> None:
        self.trials, self.sequence_length = trials, sequence_length
        self._start, self._length = trials.start.cpu().numpy(), trials.length.cpu().numpy()
        tasks = trials.task.cpu().numpy()
        self._of_task = [np.flatnonzero(tasks == task) for task in range(trials.n_tasks)]
        self._orders = [Permutations(len(own), seed, "order", task) for task, own in enumerate(self._of_task)]
        self._schedule = stream(seed, "schedule")
        self._last_task = [-1] * batch_size  # of each sequence; -1 before its first trial

    @property
    def trials_seen(self) -> int:
        """Trials begun in the batches so far."""
        return sum(order.drawn for order in self._orders)

    def _next_task(self, task: int) -> int:
        """A task drawn from all but the given one (-1: from all)."""
        others = self.trials.n_tasks - (task >= 0)
        if others == 0:
            return task
        drawn = int(self._schedule.integers(others))
        return drawn + (0 <= task <= drawn)

    def _rows(self, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the dataset and tasks of the next sequence of one column, each (T,)."""
        rows, tasks, filled = [], [], 0
        while filled < self.sequence_length:
            task = self._last_task[column] = self._next_task(self._last_task[column])
            trial = self._of_task[task][self._orders[task].take(1)[0]]
            start, length = self._start[trial], self._length[trial]
            rows.append(np.arange(start, start + length))
            tasks.append(np.full(length, task))
            filled += length
        return np.concatenate(rows)[: self.sequence_length], np.concatenate(tasks)[: self.sequence_length]

    def next(self) -> Batch:
        """The next sequence of every column."""
        columns = [self._rows(column) for column in range(len(self._last_task))]
        device = self.trials.start.device
        rows, rule = (torch.from_numpy(np.stack(part, axis=1)).to(device) for part in zip(*columns, strict=True))
        flat = rows.view(-1)
        lengths = torch.full((rows.shape[1],), self.sequence_length, device=device)
        return Batch(
            observations=self.trials.observations.index_select(0, flat).view(*rows.shape, -1),
            rule=rule,
            labels=self.trials.labels.index_select(0, flat).view(rows.shape).long(),
            lengths=lengths,
            decision=torch.zeros_like(lengths),
        )

    def state(self) -> dict[str, Any]:
        """Position, as JSON can hold it."""
        return {
            "drawn": [order.drawn for order in self._orders],
            "last_task": self._last_task,
            "schedule": self._schedule.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a position that `state` gave."""
        for order, drawn in zip(self._orders, state["drawn"], strict=True):
            order.restore(drawn)
        last = state["last_task"]
        if len(last) != len(self._last_task) or not all(-1 <= task < self.trials.n_tasks for task in last):
            raise ValueError(f"the last tasks of {len(self._last_task)} sequences are {last!r}")
        self._last_task = list(last)
        self._schedule.bit_generator.state = state["schedule"]
