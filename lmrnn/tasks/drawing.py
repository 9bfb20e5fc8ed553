"""Drawing trials: how long each period lasts, and what is shown in it. Nothing is rendered here."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np

from lmrnn.errors import ConfigError
from lmrnn.tasks.battery import BASES, PERIODS, Base, Task, check_setting

POSITIONS = 16  # on the ring
MS_PER_POSITION = 100  # int and seq move by one position on the ring in this time
DM_COHERENCES = (0.08, 0.16, 0.32, 0.64)
DLYDM_STRENGTHS = (0.3, 0.6, 1.0)


@dataclass(frozen=True)
class Span:
    """Duration of a period: `low` ms, or uniform over low, low + grid, ... below `high`; grid is dt unless given."""

    low: int
    high: int
    grid: int | None = None

    def mean(self, dt: int) -> float:
        """Mean duration in ms at a time step of `dt` ms."""
        return self.low if self.low == self.high else (self.low + self.high - (self.grid or dt)) / 2


def _fixed(duration: int) -> Span:
    return Span(duration, duration)


_INT_DELAY = Span(0, 1200, 100)
_FIXATION = {
    "reach": _fixed(500),
    "rt": _fixed(500),
    "dm": Span(200, 500),
    "dlydm": Span(200, 500),
    "match": _fixed(300),
}
_DECISION = {"reach": 500, "rt": 500, "dm": 200, "dlydm": 200, "match": 900}


def spans(task: Task, definition: str = "corrected") -> dict[str, Span]:
    """Span of each period of a task's trials, by name, in the order of time; ConfigError on an unknown definition."""
    check_setting(definition, 100)
    durations = dict(task.own.periods(definition)) if task.own else _battery_spans(task, definition)
    changed = {name: _varied(task, name, span) for name, span in task.variation.timing if name in durations}
    return {**durations, **changed}


def _battery_spans(task: Task, definition: str) -> dict[str, Span]:
    durations = dict.fromkeys(PERIODS[task.family], _fixed(500))
    durations["fixation"] = _FIXATION[task.family]
    # the published code forgets to lengthen the decision of rt tasks that move along the ring
    forgotten = task.family == "rt" and definition == "released"
    durations["decision"] = _fixed(1000 if task.seq_sign and not forgotten else _DECISION[task.family])
    if "delay" in durations:
        durations["delay"] = _delay_span(task, definition)
    return durations


def _varied(task: Task, name: str, numbers: tuple[int, ...]) -> Span:
    """The span that a study gives a period; over a delay, int tasks move by whole positions."""
    span = Span(numbers[0], *numbers[1:]) if len(numbers) > 1 else _fixed(numbers[0])
    if not (task.int_sign and name == "delay"):
        return span
    if any(number % MS_PER_POSITION for number in numbers):
        what = f"{task.name} moves by one position in {MS_PER_POSITION} ms of its delay"
        raise ConfigError(f"timing: delay is {numbers}; {what}: allowed are multiples of {MS_PER_POSITION}")
    return span if span.grid else Span(span.low, span.high, MS_PER_POSITION)


def check_spans(task: Task, dt: int, definition: str = "corrected") -> dict[str, Span]:
    """The spans of a task's trials; raises ConfigError on one that is no whole number of steps of `dt` ms, and on an
    empty period that cannot be empty: only a delay can, or a period of a user's own task before the last.
    """
    found = spans(task, definition)
    last = list(found)[-1]
    for name, span in found.items():
        if span.low % dt or span.high % dt or (span.grid or dt) % dt:
            what = f"{_shown(span)} ms of the period {name} are no whole number of steps of dt = {dt} ms"
            raise ConfigError(f"task {task.name}: {what}; allowed: multiples of {dt}")
        may_be_empty = name != last if task.own else name == "delay"
        if span.low < dt and not may_be_empty:
            raise ConfigError(f"task {task.name}: the period {name} lasts {_shown(span)} ms; allowed: at least {dt}")
    return found


def _shown(span: Span) -> str:
    return str(span.low) if span.low == span.high else f"{span.low} to {span.high}"


def _delay_span(task: Task, definition: str) -> Span:
    """Span of a delay. The published code gives go and anti dlygo's delay and never varies that of dlydm int tasks."""
    if task.int_sign:
        return _fixed(500) if task.family == "dlydm" and definition == "released" else _INT_DELAY
    if task.family == "match":
        return Span(200, 1200)
    return _fixed(500 if BASES[task.base].delay or definition == "released" else 0)


@dataclass(frozen=True)
class Draws:
    """Drawn parameters of n trials of one task.

    `durations` (n, periods) are steps of each period, in the order of `PERIODS` of the task's family. `columns` are the
    rest by name, each with n rows. reach, rt: ``modality`` (1 or 2: ring of the stimulus), ``response`` (0..15). dm,
    dlydm: ``theta1``, ``theta2`` (0..15), ``coherence`` (n, 4) of (first, second stimulus) on ring 1, then on ring 2,
    NaN where the ring is silent, ``winner`` (1 or 2: which is the answer), ``tie`` (the evidence was equal). match:
    ``modality``, ``sample``, ``test`` (0..15), ``match``.
    """

    durations: np.ndarray
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.durations)

    def __getitem__(self, trials: slice | np.ndarray) -> Draws:
        return Draws(self.durations[trials], {name: values[trials] for name, values in self.columns.items()})


def join(parts: list[Draws]) -> Draws:
    """All trials of several draws of one task, at least one, one after the other."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return Draws(np.concatenate([part.durations for part in parts]), columns)


def draw(task: Task, n: int, rng: np.random.Generator, dt: int = 100, definition: str = "corrected") -> Draws:
    """Draw the parameters of n trials of a task at a time step of `dt` ms.

    Raises ConfigError on a negative n, an unknown definition or a time step that does not divide 100.
    """
    check_setting(definition, dt)
    if n < 0:
        raise ConfigError(f"trials: {n} is negative; a number >= 0 is allowed")
    varied = task.own or task.variation.timing
    lasting = check_spans(task, dt, definition) if varied else spans(task, definition)
    durations = [_draw_steps(span, n, rng, dt) for span in lasting.values()]
    columns = task.own.draw(n, rng, definition) if task.own else draw_columns(task, n, rng, definition)
    return Draws(np.stack(durations, axis=1), columns)


def draw_columns(task: Task, n: int, rng: np.random.Generator, definition: str) -> dict[str, np.ndarray]:
    """What `Draws` calls columns, of n trials of a task of the battery."""
    return _DRAW[task.family](BASES[task.base], n, rng, definition)


def _draw_steps(span: Span, n: int, rng: np.random.Generator, dt: int) -> np.ndarray:
    """Durations in steps, (n,); all of them are multiples of dt because dt divides 100."""
    if span.low == span.high:
        return np.full(n, span.low // dt)
    grid = span.grid or dt
    return rng.integers(span.low // grid, span.high // grid, n) * (grid // dt)


def _draw_modality(n: int, rng: np.random.Generator, definition: str) -> np.ndarray:
    """Ring of the stimulus, (n,); the published code takes both in turn."""
    return 1 + np.arange(n) % 2 if definition == "released" else rng.integers(1, 3, n)


def _draw_reach(base: Base, n: int, rng: np.random.Generator, definition: str) -> dict[str, np.ndarray]:
    return {"modality": _draw_modality(n, rng, definition), "response": rng.integers(0, POSITIONS, n)}


@cache
def evidence(base: Base, definition: str) -> tuple[np.ndarray, np.ndarray]:
    """All equally likely coherences (K, 4), NaN on silent rings, and the sign of their evidence (K,).

    Redrawing until there is no tie (corrected) is a draw from the untied ones.
    """
    if base.family == "dm":
        pairs = [(0.5 + sign * c / 2, 0.5 - sign * c / 2) for c in DM_COHERENCES for sign in (1, -1)]
    else:
        pairs = list(itertools.permutations(DLYDM_STRENGTHS, 2))
    silent = [(np.nan, np.nan)]
    per_ring = [pairs if ring in base.rings else silent for ring in (1, 2)]
    coherence = np.array([first + second for first, second in itertools.product(*per_ring)])  # (K, 4)
    excess = np.nan_to_num(coherence[:, 0::2] - coherence[:, 1::2]) @ np.array(base.weights)  # (K,)
    sign = np.where(np.abs(excess) < 1e-9, 0, np.sign(excess)).astype(int)
    kept = slice(None) if definition == "released" else sign != 0
    return coherence[kept], sign[kept]


def _draw_decision(base: Base, n: int, rng: np.random.Generator, definition: str) -> dict[str, np.ndarray]:
    theta1 = rng.integers(0, POSITIONS, n)
    theta2 = (theta1 + rng.integers(1, POSITIONS, n)) % POSITIONS
    coherence, sign = evidence(base, definition)
    pick = rng.integers(0, len(sign), n)
    tie = sign[pick] == 0
    coin = np.where(rng.integers(0, 2, n), 1, -1)
    winner = np.where(np.where(tie, coin, sign[pick]) > 0, 1, 2)
    return {"theta1": theta1, "theta2": theta2, "coherence": coherence[pick], "winner": winner, "tie": tie}


def in_second_half(sample: np.ndarray, definition: str) -> np.ndarray:
    """Whether a sample's category is that of positions 8 .. 15, (n,) bool; the published code counts position 8 to the
    first half as a sample and to the second as a test.
    """
    return sample > POSITIONS // 2 if definition == "released" else sample >= POSITIONS // 2


def _draw_match(base: Base, n: int, rng: np.random.Generator, definition: str) -> dict[str, np.ndarray]:
    modality = _draw_modality(n, rng, definition)
    match = rng.integers(0, 2, n).astype(bool)
    sample = rng.integers(0, POSITIONS, n)
    half = POSITIONS // 2
    if base.category:
        test = half * (in_second_half(sample, definition) == match) + rng.integers(0, half, n)
    else:
        test = (sample + half * ~match) % POSITIONS
    return {"modality": modality, "sample": sample, "test": test, "match": match}


_DRAW = {"reach": _draw_reach, "rt": _draw_reach, "dm": _draw_decision, "dlydm": _draw_decision, "match": _draw_match}
