"""From trials laid end to end to batches of time steps: padded trials, or sequences of them.

The order of trials depends on the seed alone, so that two networks with the same seed see the same trials in the same
order. Every epoch's permutation has its own random stream: a position in an order is an epoch and a place in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmrnn.errors import ConfigError
from lmrnn.seeds import stream
from lmrnn.tasks import CHANNELS

if TYPE_CHECKING:
    from lmrnn.datasets.generation import Dataset

PADDING = -1  # label of a time step that is not in the loss


@dataclass(frozen=True, eq=False)
class Batch:
    """T time steps of B trials (padded) or B parallel sequences (stream), time first.

    `observations` (T, B, 33) float32 are 0 in the padding at a trial's end; `rule` (T, B) int64 is the task of each
    time step (column of the rule weights), in the padding the trial's own; `labels` (T, B) int64: 0 fixate, 1..16 ring
    positions, -1 padding: not in the loss; `lengths` (B,) int64 are time steps before the padding; `decision` (B,)
    int64 is the time step at which the decision period begins, 0 in the stream layout, where it means nothing;
    `weights` (T, B) float32 are those of the time steps in the loss, None where all are 1.
    """

    observations: Tensor
    rule: Tensor
    labels: Tensor
    lengths: Tensor
    decision: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TrialTensors:
    """A dataset as tensors on the device that trains on it; see `lmrnn.datasets.Dataset` for the fields."""

    observations: Tensor  # (S, 33) float32
    labels: Tensor  # (S,) int8
    start: np.ndarray  # (n,) int64, like the next three: what is computed from them is small, and cheaper in numpy
    length: np.ndarray
    task: np.ndarray
    decision: np.ndarray
    n_tasks: int
    weights: Tensor | None = None  # (S,) float32, of each time step in the loss

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device | str = "cpu") -> TrialTensors:
        """Trials of a dataset; on the CPU its observations are shared, not copied."""
        columns: dict[str, Any] = {name: np.asarray(getattr(dataset, name), np.int64) for name in _COLUMNS}
        observations = torch.from_numpy(np.require(dataset.observations, np.float32, ["C", "W"]))
        labels = torch.from_numpy(np.require(dataset.labels, np.int8, ["C", "W"]))
        return cls(observations.to(device), labels.to(device), **columns, n_tasks=len(dataset.tasks))

    def __len__(self) -> int:
        return len(self.start)

    @property
    def place(self) -> tuple[int, int]:
        """Where they lie in memory: equal for trials of one dataset that share it, for as long as one of them lives."""
        return self.observations.data_ptr(), self.labels.data_ptr()

    def weights_of(self, rows: np.ndarray) -> Tensor | None:
        """Weights in the loss (*shape) of rows of the dataset, (*shape) int64."""
        if self.weights is None:
            return None
        return self.weights[torch.from_numpy(rows).to(self.weights.device)]

    def rows(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Observations (*shape, 33) float32 and labels (*shape) int64 of rows of the dataset, (*shape) int64."""
        flat = torch.from_numpy(rows.ravel()).to(self.labels.device)
        observations = self.observations.index_select(0, flat).view(*rows.shape, -1)
        return observations, self.labels.index_select(0, flat).view(rows.shape).long()


_COLUMNS = ("start", "length", "task", "decision")


def padded_batch(trials: TrialTensors, index: np.ndarray) -> Batch:
    """The trials `index` (B,) int64 side by side, each padded to the longest."""
    start, length, task, decision = (np.asarray(getattr(trials, name))[index] for name in _COLUMNS)
    time = np.arange(length.max())[:, None]  # (T, 1)
    padding = time >= length  # (T, B)
    rows = start + np.minimum(time, length - 1)
    observations, labels = trials.rows(rows)

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(labels.device)

    observations *= tensor(~padding)[..., None]  # several times faster than masked_fill_
    return Batch(
        observations=observations,
        rule=tensor(np.broadcast_to(task, padding.shape)),
        labels=labels.masked_fill_(tensor(padding), PADDING),
        lengths=tensor(length),
        decision=tensor(decision),
        weights=trials.weights_of(rows),
    )


def plain_batch(
    observations: Tensor | np.ndarray, rule: int | Tensor | np.ndarray | None, n_tasks: int, like: Tensor
) -> Batch:
    """Batch of trials of equal length given as plain arrays, of the type and on the device of the tensor `like`.

    `observations` are (T, B, 33), or (T, 33) of one trial; `rule` is the task of all of them, of each trial (B,) or of
    each time step (T, B). Every label is padding. Raises ConfigError where they do not fit each other or a network of
    `n_tasks` tasks.
    """
    shown = torch.as_tensor(observations).to(like)
    shown = shown[:, None] if shown.ndim == 2 else shown
    if shown.ndim != 3 or shown.shape[-1] != CHANNELS or not shown.numel():
        shape = tuple(np.shape(observations))
        raise ConfigError(f"observations are of shape {shape}; allowed: (T, B, {CHANNELS}) or (T, {CHANNELS})")
    steps, trials = shown.shape[:2]
    rules = torch.as_tensor(-1 if rule is None else rule, device=like.device)
    fits = tuple(rules.shape) in ((), (trials,), (steps, trials)) and not rules.is_floating_point()
    if not fits or rules.min() < 0 or rules.max() >= n_tasks:
        what = "none" if rule is None else f"{rule}" if rules.ndim == 0 else f"an array of shape {tuple(rules.shape)}"
        allowed = f"tasks 0 to {n_tasks - 1}, one for all, for each trial ({trials},) or ({steps}, {trials})"
        raise ConfigError(f"rule is {what}; allowed: {allowed}")
    rules = rules.long().expand(steps, trials)
    lengths = torch.full((trials,), steps, device=like.device)
    return Batch(shown, rules, torch.full_like(rules, PADDING), lengths, torch.zeros_like(lengths))


class Permutations:
    """An endless order of n things: one permutation after the other, each thing once in every epoch.

    `keys` name the order among others of the same seed.
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

    def take_one(self) -> int:
        """The next thing alone."""
        if self.drawn % self.n == self.n - 1:
            return int(self.take(1)[0])
        self.drawn += 1
        return int(self._order[(self.drawn - 1) % self.n])


class PaddedBatches:
    """Endless batches of `batch_size` whole trials of all tasks mixed, in an order of the seed."""

    def __init__(self, trials: TrialTensors, batch_size: int, seed: int) -> None:
        self.trials, self.batch_size = trials, batch_size
        self.order = Permutations(len(trials), seed, "order")

    @property
    def trials_seen(self) -> int:
        """Trials in the batches so far."""
        return self.order.drawn

    def draw(self, count: int = 1) -> np.ndarray:
        """Which trials the next batches are made of, int64 (count, B)."""
        return self.order.take(count * self.batch_size).reshape(count, -1)

    def next(self) -> Batch:
        """The next batch."""
        return padded_batch(self.trials, self.draw()[0])

    def state(self) -> dict[str, Any]:
        """Position, as JSON can hold it."""
        return {"drawn": self.order.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a position that `state` gave."""
        self.order.restore(state["drawn"])


class StreamBatches:
    """Endless batches of parallel sequences, each of trials laid end to end, as in the published recipe.

    A sequence begins with a new trial at state 0, the network's state is carried from trial to trial, and the last
    trial is cut where the sequence, of `sequence_length` time steps, ends; its rest is dropped. (Carrying the state on
    into the next sequence was tried: full networks then grow without bound within ten steps at rates at which they
    learn otherwise.) After each trial the next task is drawn uniformly from the other tasks, never the same twice in a
    row; within a task, trials come in permutations, one an epoch, that all sequences share.
    """

    def __init__(self, trials: TrialTensors, batch_size: int, sequence_length: int, seed: int) -> None:
        self.trials, self.sequence_length = trials, sequence_length
        self._start, self._length, self._task = trials.start, trials.length, trials.task
        self._of_task = [np.flatnonzero(self._task == task) for task in range(trials.n_tasks)]
        self._orders = [Permutations(len(own), seed, "order", task) for task, own in enumerate(self._of_task)]
        self._schedule = stream(seed, "schedule")
        self._last_task = self._schedule.integers(trials.n_tasks, size=batch_size).tolist()  # of each column
        self._most_trials = -(-sequence_length // int(self._length.min()))

    @property
    def trials_seen(self) -> int:
        """Trials begun in the batches so far."""
        return sum(order.drawn for order in self._orders)

    def _next_tasks(self, task: int) -> Iterator[int]:
        """Tasks of as many trials as a sequence can have, each drawn from all but the one before it, first `task`."""
        others = self.trials.n_tasks - 1
        for drawn in self._schedule.integers(max(others, 1), size=self._most_trials).tolist():
            task = drawn + (drawn >= task) if others else task
            yield task

    def _next_trials(self, column: int) -> list[int]:
        """Trials of the next sequence of one column; the last one may be cut."""
        trials, filled = [], 0
        for task in self._next_tasks(self._last_task[column]):
            trial = int(self._of_task[task][self._orders[task].take_one()])
            trials.append(trial)
            filled += int(self._length[trial])
            if filled >= self.sequence_length:
                self._last_task[column] = task
                break
        return trials

    def _rows(self, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the dataset and tasks of the next sequence of one column, each (T,)."""
        trials = np.array(self._next_trials(column))
        length = self._length[trials]
        begin = np.cumsum(length) - length  # of each trial within the sequence
        which = np.repeat(np.arange(len(trials)), length)[: self.sequence_length]
        rows = (self._start[trials] - begin)[which] + np.arange(self.sequence_length)
        return rows, self._task[trials][which]

    def draw(self, count: int = 1) -> np.ndarray:
        """Rows of the dataset and tasks that the next batches are made of, int64 (count, 2, T, B)."""
        columns = range(len(self._last_task))
        return np.array([np.stack([self._rows(column) for column in columns], axis=-1) for _ in range(count)])

    def next(self) -> Batch:
        """The next sequence of every column."""
        rows, tasks = self.draw()[0]
        observations, labels = self.trials.rows(rows)
        lengths = torch.full((rows.shape[1],), self.sequence_length, device=labels.device)
        rule = torch.from_numpy(tasks).to(labels.device)
        return Batch(observations, rule, labels, lengths, torch.zeros_like(lengths), self.trials.weights_of(rows))

    def state(self) -> dict[str, Any]:
        """Position, as JSON can hold it."""
        return {
            "drawn": [order.drawn for order in self._orders],
            "last_task": list(self._last_task),
            "schedule": self._schedule.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a position that `state` gave."""
        for order, drawn in zip(self._orders, state["drawn"], strict=True):
            order.restore(drawn)
        last = state["last_task"]
        if len(last) != len(self._last_task) or not all(0 <= task < self.trials.n_tasks for task in last):
            raise ValueError(f"the last tasks of {len(self._last_task)} sequences are {last!r}")
        self._last_task = list(last)
        self._schedule.bit_generator.state = state["schedule"]
