"""Drawing trials of chosen conditions: everything else about them is drawn as in training.

A condition is a number for all trials or one for each. Periods are set to any length (``delay_ms=800``). The
evidence of decision tasks is set to any ``coherence``, -1 .. 1: the strength of the first stimulus minus that of the
second on every ring that counts. Whatever else a task draws (``response``, ``modality``, ``theta1``, ``theta2``,
``winner``, ``sample``, ``test``, ``match``; an own task's own) is kept to a value by drawing until it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lmrnn.errors import ConfigError
from lmrnn.tasks import BASES, Draws, Task, draw, join, period_names

# Mean strength of the two stimuli around which a chosen coherence lies: that of the training's trials.
MEAN_STRENGTH = {"dm": 0.5, "dlydm": 0.65}
_BLOCK = 512  # trials drawn at once in search of those that fit
_BLOCKS = 40  # after which a condition that never came is taken for one that does not exist


def conditions_of(task: Task, dt: int = 100, definition: str = "corrected") -> tuple[str, ...]:
    """Names of the conditions that can be chosen in a task."""
    columns = draw(task, 1, np.random.default_rng(0), dt, definition).columns
    return (*_period_keys(task), *(name for name in columns if name != "tie"))


def _period_keys(task: Task) -> tuple[str, ...]:
    """Conditions that set a period's length: its name may also be that of a column (sample, test)."""
    return tuple(f"{name}_ms" for name in period_names(task))


def draw_conditions(
    task: Task,
    trials: int,
    rng: np.random.Generator,
    conditions: Mapping[str, Any],
    dt: int = 100,
    definition: str = "corrected",
) -> Draws:
    """Draw the parameters of trials of a task under conditions, each a number or an array (trials,).

    Raises ConfigError on a condition that the task does not have, of another length, or that no trial meets.
    """
    known = conditions_of(task, dt, definition)
    chosen = {name: _of_each(name, values, trials, known, task) for name, values in conditions.items()}
    keys = _period_keys(task)
    periods = {name: chosen.pop(name) for name in keys if name in chosen}
    coherence = chosen.pop("coherence", None)
    if coherence is not None and "winner" in chosen:
        raise ConfigError(f"conditions of {task.name}: the coherence says which stimulus wins; leave out winner")
    draws = _kept(task, trials, rng, chosen, dt, definition)
    durations, columns = draws.durations.copy(), {name: values.copy() for name, values in draws.columns.items()}
    for name, values in periods.items():
        durations[:, keys.index(name)] = _steps(task, name, values, dt)
    if coherence is not None:
        columns |= _evidence(task, coherence, columns, rng)
    return Draws(durations, columns)


def _of_each(name: str, values: Any, trials: int, known: tuple[str, ...], task: Task) -> np.ndarray:
    """A condition's value in every trial, (trials,)."""
    if name not in known:
        raise ConfigError(f"{task.name} has no condition {name!r}; it has: {', '.join(known)}")
    array = np.asarray(values)
    if array.shape not in ((), (trials,)) or array.dtype.kind not in "biuf" or not np.all(np.isfinite(array)):
        what = f"conditions of {task.name}: {name} is {'of shape ' + str(array.shape) if array.ndim else repr(values)}"
        raise ConfigError(f"{what}; allowed: a number, or one for each of {trials} trials")
    return np.broadcast_to(array, (trials,))


def _steps(task: Task, name: str, milliseconds: np.ndarray, dt: int) -> np.ndarray:
    """Durations of a period in time steps."""
    shortest = dt if name == _period_keys(task)[-1] else 0
    steps = np.rint(milliseconds / dt).astype(np.int64)
    wrong = (steps * dt != milliseconds) | (milliseconds < shortest)
    if wrong.any():
        allowed = f"multiples of dt = {dt} ms from {shortest} ms"
        raise ConfigError(f"conditions of {task.name}: {name} is {milliseconds[wrong][0]:g}; allowed: {allowed}")
    return steps


def _kept(
    task: Task, trials: int, rng: np.random.Generator, chosen: Mapping[str, np.ndarray], dt: int, definition: str
) -> Draws:
    """Draws whose columns have the values chosen for each trial."""
    if not (chosen and trials):
        return draw(task, trials, rng, dt, definition)
    values = np.stack([np.asarray(column, float) for column in chosen.values()], axis=1)
    wanted, kind = np.unique(values, axis=0, return_inverse=True)
    kind = kind.reshape(-1)  # its shape with an axis differs between versions of numpy
    parts, places = [], []
    for number, row in enumerate(wanted):
        own = np.flatnonzero(kind == number)
        parts.append(_fitting(task, len(own), rng, dict(zip(chosen, row, strict=True)), dt, definition))
        places.append(own)
    return join(parts)[np.argsort(np.concatenate(places))]


def _fitting(
    task: Task, count: int, rng: np.random.Generator, values: Mapping[str, float], dt: int, definition: str
) -> Draws:
    """As many draws as asked for with the same values in some columns."""
    found, missing = [], count
    seen: dict[str, set[float]] = {name: set() for name in values}
    for _ in range(_BLOCKS + count):
        block = draw(task, _BLOCK, rng, dt, definition)
        fits = np.ones(_BLOCK, bool)
        for name, value in values.items():
            seen[name] |= set(np.asarray(block.columns[name]).tolist())
            fits &= block.columns[name] == value
        part = np.flatnonzero(fits)[:missing]
        found.append(block[part])
        missing -= len(part)
        if not missing:
            return join(found)
        if len(found) == _BLOCKS and missing == count:
            break
    come = "; ".join(f"{name} is one of {', '.join(map(str, sorted(seen[name])))}" for name in values)
    asked = ", ".join(f"{name} = {value:g}" for name, value in values.items())
    raise ConfigError(f"no trial of {task.name} has {asked} ({_BLOCKS * _BLOCK:,} were drawn); {come}")


def _evidence(
    task: Task, coherence: np.ndarray, columns: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Columns of a decision task with the evidence on all rings that count set to a coherence; a coin decides at 0."""
    if task.family not in MEAN_STRENGTH:
        raise ConfigError(f"{task.name} has no coherence that can be chosen; those of {', '.join(MEAN_STRENGTH)} have")
    if np.any(np.abs(coherence) > 1):
        what = f"coherence is {coherence[np.abs(coherence) > 1][0]:g}"
        allowed = "-1 to 1, the first stimulus's strength minus the second's"
        raise ConfigError(f"conditions of {task.name}: {what}; allowed: {allowed}")
    strengths = columns["coherence"].copy()  # (n, 4): first and second stimulus on ring 1, then on ring 2
    for ring, weight in enumerate(BASES[task.base].weights):
        if weight:
            mean = MEAN_STRENGTH[task.family]
            strengths[:, 2 * ring] = mean + coherence / 2
            strengths[:, 2 * ring + 1] = mean - coherence / 2
    tie = coherence == 0
    first = np.where(tie, rng.integers(0, 2, len(coherence)) == 0, coherence > 0)
    return {"coherence": strengths, "winner": np.where(first, 1, 2), "tie": tie}
