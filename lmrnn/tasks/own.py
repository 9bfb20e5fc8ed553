"""Tasks of one's own, which a file of a study's ``plugins`` registers with `own_task`.

    @own_task("late_go", periods={"fixation": (300, 800), "stimulus": 500, "decision": 500}, draw=positions)
    def late_go(trials):
        trials.show("stimulus", trials["position"])
        trials.answer(trials["position"])

The last period is the one in which the network answers: the fixation channel is on until it begins. Everything is
vectorised: the function sees n trials at once, and each of its values is one number or n of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmrnn import plugins
from lmrnn.errors import ConfigError
from lmrnn.tasks.battery import PERIODS, Task, is_of_battery, parse
from lmrnn.tasks.drawing import POSITIONS, Draws, Span, draw_columns, spans
from lmrnn.tasks.rendering import blank, bumps, render_battery, runs
from lmrnn.tasks.trials import CHANNELS, Noise, Trials
from lmrnn.tasks.variation import Variation

MOST_PERIODS = 12  # of an own task: a dataset has so many columns for their durations
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
_TRIED = 8  # trials that are drawn and rendered when a task is registered
Draw = Callable[[int, np.random.Generator], Mapping[str, Any]]
Render = Callable[["OwnTrials"], object]


@dataclass(frozen=True, eq=False)
class OwnTask:
    """What a file registers as a task; see `own_task`."""

    name: str
    given: Mapping[str, Span]
    drawing: Draw | None
    rendering: Render | None
    like: Task | None
    ideal: float | Callable[[int], float] | None
    plugin: plugins.Plugin = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return plugins.find, ("tasks", self.name, self.plugin.sha256)

    def periods(self, definition: str) -> dict[str, Span]:
        """Span of each period, in the order of time."""
        return {**(spans(self.like, definition) if self.like else {}), **self.given}

    def draw(self, n: int, rng: np.random.Generator, definition: str) -> dict[str, np.ndarray]:
        """The drawn columns of n trials, each with n rows."""
        if self.drawing is None:
            return draw_columns(self.like, n, rng, definition) if self.like else {}
        with plugins.blamed(self.plugin.path, self.drawing):
            drawn = self.drawing(n, rng)
            if not isinstance(drawn, Mapping):
                raise ConfigError(f"the draws of {self.name} are {type(drawn).__name__}; allowed: a dict of columns")
            return {name: _column(self.name, name, values, n) for name, values in drawn.items()}

    def render(self, trials: Trials) -> Noise:
        """Write what is shown and answered into blank trials, and say where noise belongs."""
        if self.rendering is None:
            assert self.like is not None
            return render_battery(trials, self.like)
        own = OwnTrials(trials)
        with plugins.blamed(self.plugin.path):
            self.rendering(own)
        return own.noise()

    def ideal_accuracy(self, dt: int) -> float:
        """Decision accuracy of the ideal observer at a time step of `dt` ms; NaN where the file gives none."""
        with plugins.blamed(self.plugin.path, self.ideal):
            value = self.ideal(dt) if callable(self.ideal) else self.ideal
            if value is None:
                return float("nan")
            if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0 <= value <= 1:
                raise ConfigError(f"the ideal observer's accuracy on {self.name} is {value!r}; allowed: 0 to 1")
            return float(value)


def _column(task: str, name: object, values: Any, n: int) -> np.ndarray:
    array = np.asarray(values)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "durations":
        raise ConfigError(f"a column of {task} is named {name!r}; allowed: small letters, digits and _, not durations")
    if array.shape[:1] != (n,) or array.ndim > 2 or array.dtype.kind not in "biuf":
        what = f"is of {array.dtype}, {array.shape}"
        raise ConfigError(f"the column {name} of {task} {what}; allowed: numbers, ({n},) or ({n}, some) for {n} trials")
    return array


class OwnTrials:
    """n trials of a user's own task while they are rendered: what the network sees, and what it is to answer.

    `trials[name]` is a drawn column, `trials.duration(period)` the ms that a period lasts in each trial, (n,).
    """

    def __init__(self, trials: Trials) -> None:
        self._trials, self._entries = trials, [np.zeros(0, np.int64)]
        self.dt, self._names = trials.dt, list(trials.task.own.periods(trials.definition)) if trials.task.own else []

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, column: str) -> np.ndarray:
        columns = self._trials.draws.columns
        if column not in columns:
            raise ConfigError(f"there is no column {column!r}; drawn are: {', '.join(columns) or 'none'}")
        return columns[column]

    def _number(self, period: str) -> int:
        if period not in self._names:
            raise ConfigError(f"there is no period {period!r}; the task has: {', '.join(self._names)}")
        return self._names.index(period)

    def duration(self, period: str) -> np.ndarray:
        """How long a period lasts in each trial, in ms, (n,)."""
        return self._trials.draws.durations[:, self._number(period)] * self.dt

    def rows(self, period: str, start: ArrayLike = 0, stop: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Time steps of a period, from `start` to before `stop` ms after its beginning: their rows in `observations`
        and `labels`, and the trial of each.
        """
        number, lasts = self._number(period), self.duration(period)
        begin = np.clip(self._numbers("start", start) // self.dt, 0, lasts // self.dt).astype(np.int64)
        end = lasts if stop is None else self._numbers("stop", stop)
        end = np.clip(end // self.dt, begin, lasts // self.dt).astype(np.int64)
        first = self._trials.start + self._trials.bounds[:, number] + begin
        rows, owner, _ = runs(first, end - begin)
        return rows, owner

    @property
    def observations(self) -> np.ndarray:
        """(S, 33) float32, all trials end to end: fixation, ring 1, ring 2; to be written into."""
        return self._trials.observations

    def show(
        self,
        period: str,
        position: ArrayLike,
        ring: ArrayLike = 1,
        strength: ArrayLike = 1.0,
        noise: bool = True,
        start: ArrayLike = 0,
        stop: ArrayLike | None = None,
    ) -> None:
        """Show a bump of activity in a period, added to what is shown already.

        `position` on the ring (0 to below 16, also between the channels), `ring` 1 or 2, `strength` (1: as in the
        battery), from `start` to before `stop` ms after the period's beginning; each one number, or (n,). `noise`:
        whether the ring is noisy meanwhile, as in the battery's decision tasks.
        """
        where, ring = self._numbers("position", position), self._numbers("ring", ring)
        strength = self._numbers("strength", strength)
        if not np.all((ring == 1) | (ring == 2)):
            raise ConfigError(f"ring is {ring[(ring != 1) & (ring != 2)][0]}; allowed: 1 or 2")
        rows, owner = self.rows(period, start, stop)
        whole = np.all(where == np.floor(where))
        profile = bumps(where.astype(np.int64) if whole else where.astype(float))  # (n, 16)
        channel = 1 + POSITIONS * (ring.astype(np.int64)[owner] - 1)
        shown = strength.astype(np.float32)[owner, None] * profile[owner]
        np.add.at(self.observations, (rows[:, None], channel[:, None] + np.arange(POSITIONS)), shown)
        if noise:
            self._entries.append(rows * CHANNELS + channel)

    def answer(
        self, position: ArrayLike, goes: ArrayLike = True, start: ArrayLike = 0, stop: ArrayLike | None = None
    ) -> None:
        """Say the right answer in the last period: a position on the ring (0, ..., 15) in trials in which the network
        `goes`, "fixate" in others and at all other time steps; `start` and `stop` as for `show`.
        """
        where, goes = self._numbers("position", position), self._numbers("goes", goes).astype(bool)
        wrong = goes & ((where != np.floor(where)) | (where < 0) | (where >= POSITIONS))
        if wrong.any():
            raise ConfigError(f"a position to answer is {where[wrong][0]}; allowed: 0, 1, ..., {POSITIONS - 1}")
        rows, owner = self.rows(self._names[-1], start, stop)
        self._trials.labels[rows] = np.where(goes, np.where(goes, where, 0).astype(np.int64) + 1, 0)[owner]

    def fixation(self, period: str, on: bool, start: ArrayLike = 0, stop: ArrayLike | None = None) -> None:
        """Switch the fixation channel on or off in a period; untouched, it is on until the last one begins."""
        self.observations[self.rows(period, start, stop)[0], 0] = float(on)

    def noise(self) -> Noise:
        """Where noise belongs; each ring at each time step once, in the order of time, trial after trial."""
        return Noise(np.unique(np.concatenate(self._entries)), POSITIONS, self.dt**-0.5)

    def _numbers(self, name: str, values: ArrayLike) -> np.ndarray:
        """Finite numbers, one for each trial."""
        array, n = np.asarray(values), len(self)
        if array.shape not in ((), (n,)) or array.dtype.kind not in "biuf":
            what = f"{name} is of {array.dtype}, {array.shape}"
            raise ConfigError(f"{what}; allowed: one number, or ({n},) for {n} trials")
        if not np.all(np.isfinite(array)):
            raise ConfigError(f"{name} has values that are not finite")
        return np.broadcast_to(array, (n,))


def own_task(
    name: str,
    periods: Mapping[str, Any] | None = None,
    draw: Draw | str | None = None,
    like: str | None = None,
    ideal: float | Callable[[int], float] | None = None,
) -> Callable[[Render | None], Any]:
    """Register a task; the function under it renders: it gets `OwnTrials`, shows and answers.

    `name` is of small letters, digits and _, and none of the battery's. `periods` gives the duration of each period, in
    the order of time: ms, (low, high), (low, high, grid) or a `Span` (uniform over low, low + grid, ... below high;
    grid is dt unless given). `draw` makes of (n, rng) a dict of drawn columns with n rows each, or is the name of a
    task of the battery that is drawn. `like` is a task of the battery: its periods (those in `periods` are changed),
    its draws, and, where no function is given (``own_task("long_dms", like="dms", periods={"delay": 3000})(None)``),
    its rendering. `ideal` is the ideal observer's decision accuracy, or a function of dt in ms that gives it. Raises
    ConfigError on what cannot be a task: each is tried on a few trials when it is registered.
    """
    plugin = plugins.current()
    base = None if like is None else _of_battery(name, "like", like)
    drawn = _of_battery(name, "draw", draw) if isinstance(draw, str) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"a task is named {name!r}; allowed: small letters, digits and _, a letter first")
    if is_of_battery(name):
        raise ConfigError(f"a task is named {name!r}, which is a task of the battery; choose another name")
    given = {period: _span(name, period, span) for period, span in (periods or {}).items()}
    if base and (foreign := [period for period in given if period not in PERIODS[base.family]]):
        raise ConfigError(f"task {name}: {like} has no period {foreign[0]!r}, but {', '.join(PERIODS[base.family])}")
    if not base and not 1 <= len(given) <= MOST_PERIODS:
        raise ConfigError(f"task {name} has {len(given)} periods; allowed: 1 to {MOST_PERIODS}, or those of `like`")
    draws = (lambda n, rng: draw_columns(drawn, n, rng, "corrected")) if drawn else draw

    def register(render: Render | None) -> Render | None:
        if render is None and base is None:
            raise ConfigError(f"task {name}: without `like`, a function renders its trials")
        task = OwnTask(name, given, draws, render, base, ideal, plugin)  # type: ignore[arg-type]
        _try(task)
        plugin.register("tasks", name, task)
        return render

    return register


def _of_battery(name: str, key: str, given: str) -> Task:
    if not is_of_battery(given):
        raise ConfigError(f"task {name}: {key} is {given!r}, which is no task of the battery")
    return parse(given, {})


def _span(task: str, period: object, span: Any) -> Span:
    if not isinstance(period, str) or not _NAME.fullmatch(period):
        raise ConfigError(f"task {task}: a period is named {period!r}; allowed: small letters, digits and _")
    if isinstance(span, Span):
        span = (span.low, span.high) if span.grid is None else (span.low, span.high, span.grid)
    numbers = Variation({period: span}).timing[0][1]  # type: ignore[arg-type]
    return Span(numbers[0], *numbers[1:]) if len(numbers) > 1 else Span(numbers[0], numbers[0])


def _try(own: OwnTask) -> None:
    """Draw and render a few trials, so that a mistake shows when the file is read and not in the middle of a study."""
    task = Task(own.name, own.name, "own", own=own)
    lasting = [max(1, span.high // 100) for span in own.periods("corrected").values()]
    first, second = (own.draw(_TRIED, np.random.default_rng(seed), "corrected") for seed in (0, 0))
    if not all(name in second and np.array_equal(second[name], first[name], equal_nan=True) for name in first):
        what = "its draws differ between two calls with the same generator; draw from the generator that is given"
        raise ConfigError(f"task {own.name}: {what}")
    draws = Draws(np.tile(lasting, (_TRIED, 1)), first)
    made, *parts = (blank(task, draws[part], 100, "corrected") for part in (slice(None), slice(1), slice(1, None)))
    for trials in (made, *parts):
        own.render(trials)
    for values in ("observations", "labels"):
        if not np.array_equal(np.concatenate([getattr(part, values) for part in parts]), getattr(made, values)):
            raise ConfigError(f"task {own.name}: a trial's {values} depend on which others are rendered with it")
    if not np.isfinite(made.observations).all():
        raise ConfigError(f"task {own.name}: it shows values that are not finite")
