"""Generating datasets: the same trials whenever and wherever they are made.

Every (data seed, split, task, block of trials) has its own random streams, one for the drawn parameters and one for the
noise. So the first trials of a larger set are the smaller set, a task has the same trials in every battery, and train,
validation and test share nothing. Trials lie end to end at their true length, task after task, noise included.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lmrnn.datasets.spec import DatasetSpec
from lmrnn.errors import ConfigError
from lmrnn.seeds import stream
from lmrnn.tasks import CHANNELS, Draws, Period, Task, add_noise, draw, join, periods_of, render, spans
from lmrnn.tasks.own import MOST_PERIODS

GENERATOR_VERSION = 1  # raise it when the same spec gives other trials than before
BLOCK = 512  # trials that share a random stream; changing it changes the trials

_PERIODS = 5  # most periods that a family has
TRIAL_COLUMNS = {"start": np.int64, "length": np.int32, "task": np.int16, "decision": np.int32}
# ring positions (the longest list of them), modalities, ... or -1 for none
SMALL_COLUMNS = ("modality", "response", "theta1", "theta2", "winner", "tie", "sample", "test", "match")
PARAMETER_COLUMNS = {**dict.fromkeys(SMALL_COLUMNS, np.int8), "durations": np.int16, "coherence": np.float64}
_WIDTH = {"durations": _PERIODS, "coherence": 4}
OWN_COLUMN = "own_"  # before the name of a column that only a user's own task has; float64, NaN in other tasks' trials


class Trial(NamedTuple):
    """One trial of a dataset: `observations` (T, 33) float32 and `labels` (T,) int8, views into the dataset; `rule`,
    the channel of its `task`; the time step at which its `decision` begins.
    """

    observations: np.ndarray
    labels: np.ndarray
    rule: int
    task: str
    decision: int


@dataclass(frozen=True)
class Dataset:
    """Trials in memory, task after task: those of task k are k * trials_per_task .. (k + 1) * trials_per_task - 1.

    `observations` (S, 33) float32, noise included, of S time steps in all; `labels` (S,) int8: 0 fixate, 1..16 position
    on the ring. By trial: `start` int64 first row, `length` int32 time steps, `task` int16 index into `tasks`, which is
    the rule channel, `decision` int32 time step within the trial at which the decision begins, each (n,). `parameters`
    are drawn ones as `lmrnn.tasks.Draws` names them, n rows each, and ``durations`` (n, 5) in time steps; -1
    (``coherence``: NaN) where a task has no such parameter. Those that only a user's own task draws are float64, NaN in
    other tasks' trials; with such tasks there are 12 columns of durations.
    """

    spec: DatasetSpec
    observations: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)
    length: np.ndarray = field(repr=False)
    task: np.ndarray = field(repr=False)
    decision: np.ndarray = field(repr=False)
    parameters: dict[str, np.ndarray] = field(repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of their rule channels."""
        return self.spec.tasks

    @property
    def n_trials(self) -> int:
        """Trials of all tasks together."""
        return len(self.start)

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, trial: int) -> Trial:
        """One trial; negative numbers count from the end. Raises IndexError where there is no such trial."""
        at = range(len(self))[trial]
        rule = int(self.task[at])
        return Trial(*self.trial(at), rule, self.tasks[rule], int(self.decision[at]))

    def trial(self, trial: int) -> tuple[np.ndarray, np.ndarray]:
        """Observations (T, 33) and labels (T,) of one trial, as views."""
        rows = slice(int(self.start[trial]), int(self.start[trial]) + int(self.length[trial]))
        return self.observations[rows], self.labels[rows]

    def periods(self, trial: int) -> tuple[Period, ...]:
        """Named periods of one trial, in time steps from its beginning."""
        task = self.spec.battery[self.task[trial]]
        return periods_of(task, self.parameters["durations"][trial])


def _entries(spec: DatasetSpec) -> list[tuple[int, Task, int]]:
    """Rule channel, task, and how often its name came before."""
    return [(channel, task, spec.tasks[:channel].count(task.name)) for channel, task in enumerate(spec.battery)]


def _blocks(spec: DatasetSpec) -> list[tuple[int, int]]:
    """Number of each block of trials, and how many of its trials the dataset holds."""
    firsts = range(0, spec.trials_per_task, BLOCK)
    return [(block, min(BLOCK, spec.trials_per_task - first)) for block, first in enumerate(firsts)]


def _block_stream(spec: DatasetSpec, task: Task, occurrence: int, block: int, purpose: str) -> np.random.Generator:
    """Keyed by neither the battery nor its size; nor by definition and time step, whose trials so compare pairwise."""
    name = ("own task", task.name) if task.own else (task.name,)
    return stream(spec.data_seed, "trials", spec.split, *name, occurrence, block, purpose)


def _draw_block(spec: DatasetSpec, task: Task, occurrence: int, block: int, n: int) -> Draws:
    """First n trials of a block: the block is always drawn whole, so that its trials do not depend on n."""
    return draw(task, BLOCK, _block_stream(spec, task, occurrence, block, "draws"), spec.dt, spec.definition)[:n]


def column_shapes(spec: DatasetSpec) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type of number and shape of each of `TRIAL_COLUMNS` and `PARAMETER_COLUMNS` in a dataset."""
    types = {**TRIAL_COLUMNS, **PARAMETER_COLUMNS}
    wide = {**_WIDTH, "durations": MOST_PERIODS} if spec.own_tasks else _WIDTH
    widths = {name: (wide[name],) if name in wide else () for name in types}
    return {name: (dtype, (spec.n_trials, *widths[name])) for name, dtype in types.items()}


def trial_columns(spec: DatasetSpec) -> dict[str, np.ndarray]:
    """All of `TRIAL_COLUMNS` and `PARAMETER_COLUMNS` of a dataset by name, each with one row per trial."""
    shapes = column_shapes(spec)
    columns = {
        name: np.full(shapes[name][1], np.nan if name == "coherence" else -1, dtype)
        for name, dtype in PARAMETER_COLUMNS.items()
    }
    for channel, task, occurrence in _entries(spec):
        draws = join([_draw_block(spec, task, occurrence, block, n) for block, n in _blocks(spec)])
        rows = slice(channel * spec.trials_per_task, (channel + 1) * spec.trials_per_task)
        columns["durations"][rows, : draws.durations.shape[1]] = draws.durations
        for name, values in draws.columns.items():
            _put(columns, name, rows, values, task)
    durations = np.maximum(columns["durations"], 0)
    length = durations.sum(axis=1, dtype=np.int64)
    columns["start"] = np.cumsum(length) - length
    columns["length"] = length.astype(np.int32)
    columns["task"] = np.repeat(np.arange(len(spec.tasks), dtype=np.int16), spec.trials_per_task)
    last = (columns["durations"] >= 0).sum(axis=1) - 1
    columns["decision"] = (length - durations[np.arange(len(last)), last]).astype(np.int32)
    return columns


def _is_small(values: np.ndarray) -> bool:
    """Whether what a user's own task draws under a name that the battery has is such a number."""
    return values.ndim == 1 and values.dtype.kind in "biu" and not np.any((values < 0) | (values >= 32))


def _put(columns: dict[str, np.ndarray], name: str, rows: slice, values: np.ndarray, task: Task) -> None:
    """Write a drawn column of a task; one that the battery does not have is made for all trials."""
    if name not in PARAMETER_COLUMNS:
        shape = (len(columns["durations"]), *values.shape[1:])
        name = OWN_COLUMN + name
        columns.setdefault(name, np.full(shape, np.nan))
    elif task.own and columns[name].dtype == np.int8 and not _is_small(values):
        what = "is the battery's, whole numbers 0 to 31; give the column another name"
        raise ConfigError(f"task {task.name}: the name of the drawn column {name!r} {what}")
    if columns[name].shape[1:] != values.shape[1:]:
        what = f"is {values.shape[1:]} wide and {columns[name].shape[1:]} in another task; give one another name"
        raise ConfigError(f"task {task.name}: the drawn column {name.removeprefix(OWN_COLUMN)!r} {what}")
    columns[name][rows] = values


def fill_rows(spec: DatasetSpec, observations: Any, labels: Any) -> None:
    """Write all S time steps of a dataset, observations (S, 33) float32 and labels (S,) int8, into arrays in memory or
    in a file, a block of trials at a time, so that memory does not grow with the dataset.
    """
    row = 0
    for (_, task, occurrence), (block, n) in itertools.product(_entries(spec), _blocks(spec)):
        trials = render(task, _draw_block(spec, task, occurrence, block, n), spec.dt, spec.definition)
        add_noise(trials, _block_stream(spec, task, occurrence, block, "noise"))
        rows = slice(row, row + len(trials.labels))
        observations[rows] = trials.observations
        labels[rows] = trials.labels.astype(np.int8)
        row = rows.stop


def generate(spec: DatasetSpec) -> Dataset:
    """Generate a dataset in memory, equal to what `generate_dataset` and `load_dataset` give.

    >>> generate(DatasetSpec("corrected", 100, ("go", "dms"), 3, "train", 0)).n_trials
    6
    """
    columns = trial_columns(spec)
    steps = int(columns["length"].sum())
    observations, labels = np.empty((steps, CHANNELS), np.float32), np.empty(steps, np.int8)
    fill_rows(spec, observations, labels)
    return assemble(spec, {"observations": observations, "labels": labels, **columns})


def assemble(spec: DatasetSpec, arrays: Mapping[str, np.ndarray]) -> Dataset:
    """Dataset of its arrays, not copied: ``observations``, ``labels``, and the columns that `trial_columns` names."""
    parts = {name: arrays[name] for name in ("observations", "labels", *TRIAL_COLUMNS)}
    own = {name.removeprefix(OWN_COLUMN): arrays[name] for name in arrays if name.startswith(OWN_COLUMN)}
    return Dataset(spec, **parts, parameters={**{name: arrays[name] for name in PARAMETER_COLUMNS}, **own})


@cache
def dataset_bytes(spec: DatasetSpec) -> int:
    """Size of a dataset's file in bytes before it exists, from the mean length of each task's trials.

    Right to a few percent, more exactly the more trials there are.
    """
    steps = sum(span.mean(spec.dt) / spec.dt for task in spec.battery for span in spans(task, spec.definition).values())
    per_trial = sum(np.dtype(dtype).itemsize for dtype in TRIAL_COLUMNS.values())
    per_trial += sum(np.dtype(dtype).itemsize * _WIDTH.get(name, 1) for name, dtype in PARAMETER_COLUMNS.items())
    return round(spec.trials_per_task * steps * (CHANNELS * 4 + 1) + spec.n_trials * per_trial) + 8192
