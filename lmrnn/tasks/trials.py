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
    """Where noise belongs: runs of `width` neighbouring channels at one time step each.

    Parameters
    ----------
    entry : numpy.ndarray
        (R,) index of each run's first entry in the flattened observations, trial after trial.
    width : int
        Channels per run.
    sd : float
        Standard deviation, 1 / sqrt(dt in ms).
    """

    entry: np.ndarray
    width: int
    sd: float


@dataclass(frozen=True)
class Trials:
    """Rendered trials of one task, laid end to end along time.

    Parameters
    ----------
    task : Task
        Which task.
    definition : str
        ``corrected`` or ``released``.
    dt : int
        Time step in ms.
    draws : Draws
        Their parameters.
    observations : numpy.ndarray
        (S, 33) float32: fixation, ring 1, ring 2; S time steps in all.
    labels : numpy.ndarray
        (S,) int64: 0 fixate, 1..16 position on the ring.
    start, length : numpy.ndarray
        (n,) int64: first row of each trial and its number of time steps.
    bounds : numpy.ndarray
        (n, periods + 1) int64: first time step of each period within its trial, and the trial's length.
    noise : Noise
        Where noise belongs.
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
    return PERIODS[task.family]


def periods_of(task: Task, durations: np.ndarray) -> tuple[Period, ...]:
    """Periods of one trial.

    Parameters
    ----------
    task : Task
        The trial's task.
    durations : numpy.ndarray
        Steps of each period, in the order of `period_names`; entries beyond them are ignored.

    Returns
    -------
    tuple of Period
        In the order of time.
    """
    names = period_names(task)
    bounds = np.concatenate([[0], np.cumsum(durations[: len(names)])]).tolist()
    return tuple(map(Period, names, bounds, bounds[1:]))


def windows(array: np.ndarray, width: int) -> np.ndarray:
    """View of an array through which runs of neighbouring entries are read and written at once.

    Parameters
    ----------
    array : numpy.ndarray
        C-contiguous.
    width : int
        Entries per run.

    Returns
    -------
    numpy.ndarray
        (array.size - width + 1, width), writable: row e is entries e .. e + width - 1 of the flattened array.
    """
    step = array.itemsize
    shape = (max(array.size - width + 1, 0), width)
    return np.lib.stride_tricks.as_strided(array, shape, (step, step))
