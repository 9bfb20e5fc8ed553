"""Rendered trials: their observations, labels and named periods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lmrnn.tasks.battery import PERIODS, Task
from lmrnn.tasks.drawing import POSITIONS, Draws

CHANNELS = 1 + 2 * POSITIONS  # fixation and two rings
CLASSES = 1 + POSITIONS  # fixate, or a position on the ring


class Period(NamedTuple):
    """A named part of one trial: time steps `start` to `stop` - 1, counted from the trial's first."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Noise:
    """Where noise of deviation `sd`, 1 / sqrt(dt in ms), belongs: runs of `width` neighbouring channels at one time
    step.

    `entry` (R,) is the index of each run's first entry in the flattened observations, trial after trial.
    """

    entry: np.ndarray
    width: int
    sd: float


@dataclass(frozen=True)
class Trials:
    """Rendered trials of one task, laid end to end along time, S time steps in all.

    `observations` (S, 33) float32 are fixation, ring 1, ring 2; `labels` (S,) int64 are 0 fixate, 1..16 position on the
    ring; `start` and `length` (n,) int64 each trial's first row and number of time steps; `bounds` (n, periods + 1)
    int64 the first time step of each period within its trial, and the trial's length; `noise` says where noise belongs.
    """

    task: Task
    definition: str
    dt: int
    draws: Draws = field(repr=False)
    observations: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)
    length: np.ndarray = field(repr=False)
    bounds: np.ndarray = field(repr=False)
    noise: Noise = field(repr=False)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def decision(self) -> np.ndarray:
        """(n,) int64: time step within the trial at which the decision begins."""
        return self.bounds[:, -2]

    def rows(self, trial: int) -> slice:
        """Rows of one trial in `observations` and `labels`."""
        return slice(int(self.start[trial]), int(self.start[trial] + self.length[trial]))

    def periods(self, trial: int) -> tuple[Period, ...]:
        """Periods of one trial in the order of time, empty ones (a delay of 0 ms) included."""
        return periods_of(self.task, self.draws.durations[trial])


def period_names(task: Task) -> tuple[str, ...]:
    """Names of the periods of a task's trials, in the order of time."""
    return tuple(task.own.periods("corrected")) if task.own else PERIODS[task.family]


def periods_of(task: Task, durations: np.ndarray) -> tuple[Period, ...]:
    """Periods of one trial in the order of time, of its durations in steps; those beyond its names are ignored."""
    names = period_names(task)
    bounds = np.concatenate([[0], np.cumsum(durations[: len(names)])]).tolist()
    return tuple(map(Period, names, bounds, bounds[1:]))


def windows(array: np.ndarray, width: int) -> np.ndarray:
    """View of a C-contiguous array through which runs of `width` neighbouring entries are read and written at once.

    (array.size - width + 1, width), writable: row e is entries e .. e + width - 1 of the flattened array.
    """
    step = array.itemsize
    shape = (max(array.size - width + 1, 0), width)
    return np.lib.stride_tricks.as_strided(array, shape, (step, step))
