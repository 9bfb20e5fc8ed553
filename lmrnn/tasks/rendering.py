"""Rendering drawn trials: what is seen at every time step, what is to be answered, and where noise belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmrnn.tasks.battery import BASES, PERIODS, Task, check_setting
from lmrnn.tasks.drawing import MS_PER_POSITION, POSITIONS, Draws, draw
from lmrnn.tasks.trials import CHANNELS, Noise, Trials, windows

BUMP_HEIGHT = 0.8
STIMULI = {
    "reach": ("stimulus",),
    "rt": ("decision",),
    "dm": ("stimulus",),
    "dlydm": ("stim1", "stim2"),
    "match": ("sample", "test"),
}


def bumps(position: np.ndarray) -> np.ndarray:
    """Activity of a ring's 16 channels around each position: (n,) in ring steps -> (n, 16) float32."""
    if position.dtype.kind == "f":
        distance = np.abs(position[:, None] - np.arange(POSITIONS)) % POSITIONS
        distance = np.minimum(distance, POSITIONS - distance)
        return (BUMP_HEIGHT * np.exp(-(distance**2) / 2)).astype(np.float32)
    return _BUMP_AT[position % POSITIONS]


_BUMP_AT = bumps(np.arange(POSITIONS, dtype=float))


def runs(first: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows first[i] .. first[i] + steps[i] - 1 for each i in turn: rows, their i, their rank in the run; each (R,)."""
    owner = np.repeat(np.arange(len(steps)), steps)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(steps) - steps, steps)
    return first[owner] + rank, owner, rank


def _integrated(task: Task, draws: Draws, dt: int) -> np.ndarray | float:
    """Duration of the delay in positions on the ring, signed by the direction of int: (n,), 0 without int."""
    if not task.int_sign:
        return 0
    delay = draws.durations[:, PERIODS[task.family].index("delay")] * dt  # ms
    return task.int_sign * (delay // MS_PER_POSITION)


def _shown_reach(task: Task, draws: Draws, dt: int, definition: str) -> np.ndarray:
    """Profile of the one stimulus on its ring, (n, 1, 16): placed so that the drawn response is right."""
    position = draws.columns["response"] + POSITIONS // 2 * BASES[task.base].anti
    shift = -_integrated(task, draws, dt)
    if task.int_sign and definition == "released":
        # the published code turns by .01 rad per ms, off the grid, and the other way
        delay = draws.durations[:, PERIODS[task.family].index("delay")] * dt
        shift = task.int_sign * 0.01 * delay * POSITIONS / (2 * np.pi)
    return bumps(position + shift)[:, None]


def _two_bumps(draws: Draws, first: str, second: str) -> np.ndarray:
    """Profiles around two drawn positions, (n, 2, 16)."""
    return np.stack([bumps(draws.columns[first]), bumps(draws.columns[second])], axis=1)


def _shown_decision(task: Task, draws: Draws) -> np.ndarray:
    """Profiles of the stimuli on both rings, (n, 1, 32) together (dm) or (n, 2, 32) in turn (dlydm)."""
    profile = _two_bumps(draws, "theta1", "theta2")
    strength = np.nan_to_num(draws.columns["coherence"]).astype(np.float32).reshape(-1, 2, 2)  # (n, ring, stimulus)
    shown = strength.transpose(0, 2, 1)[..., None] * profile[:, :, None, :]  # (n, stimulus, ring, 16)
    shown = shown.reshape(len(shown), 2, 2 * POSITIONS)
    return shown.sum(axis=1, keepdims=True) if task.family == "dm" else shown


def _answer(task: Task, draws: Draws, dt: int) -> tuple[np.ndarray, np.ndarray]:
    """Position to report at decision onset, and whether there is anything to report; each (n,)."""
    values = draws.columns
    if task.family in ("reach", "rt"):
        return values["response"], np.ones(len(draws), bool)
    shift = _integrated(task, draws, dt)
    if task.family == "match":
        return values["test"] + shift, values["match"].astype(bool) == BASES[task.base].go_on_match
    return np.where(values["winner"] == 1, values["theta1"], values["theta2"]) + shift, np.ones(len(draws), bool)


def label_of(position: np.ndarray, definition: str) -> np.ndarray:
    """Class of a position; in the published code 15 becomes 0, which is also "fixate", and 16 never occurs."""
    return (position + 1) % POSITIONS if definition == "released" else position % POSITIONS + 1


def render(task: Task, draws: Draws, dt: int = 100, definition: str = "corrected") -> Trials:
    """Render trials without noise, laid end to end, at a time step of `dt` ms.

    Raises ConfigError on an unknown definition or a time step that does not divide 100.
    """
    check_setting(definition, dt)
    made = blank(task, draws, dt, definition)
    noise = task.own.render(made) if task.own else render_battery(made, task)
    return replace(made, noise=_varied(made, noise))


def blank(task: Task, draws: Draws, dt: int, definition: str) -> Trials:
    """Trials in which there is nothing but the fixation channel, on until the last period begins."""
    n, periods = draws.durations.shape
    bounds = np.zeros((n, periods + 1), np.int64)
    np.cumsum(draws.durations, axis=1, out=bounds[:, 1:])
    length = bounds[:, -1]
    start = np.cumsum(length) - length
    observations = np.zeros((int(length.sum()), CHANNELS), np.float32)
    observations[:, 0] = 1
    observations[runs(start + bounds[:, -2], draws.durations[:, -1])[0], 0] = 0
    labels = np.zeros(len(observations), np.int64)
    noise = Noise(np.zeros(0, np.int64), CHANNELS, dt**-0.5)
    return Trials(task, definition, dt, draws, observations, labels, start, length, bounds, noise)


def _varied(trials: Trials, noise: Noise) -> Noise:
    """Where noise belongs, and how strong, by what a study says of it."""
    variation = trials.task.variation
    if variation.noise_where == "throughout":
        noise = Noise(np.arange(len(trials.observations)) * CHANNELS, CHANNELS, noise.sd)
    return noise if variation.noise == 1 else replace(noise, sd=noise.sd * variation.noise)


def render_battery(trials: Trials, task: Task) -> Noise:
    """Write stimuli and labels of a task of the battery into blank trials, and say where noise belongs."""
    draws, dt, definition, names = trials.draws, trials.dt, trials.definition, PERIODS[task.family]
    rows, owner, step = runs(trials.start + trials.bounds[:, -2], draws.durations[:, -1])
    position, goes = _answer(task, draws, dt)
    moved = task.seq_sign * (dt * step // MS_PER_POSITION)
    trials.labels[rows] = np.where(goes[owner], label_of(position[owner] + moved, definition), 0)

    when = [names.index(name) for name in STIMULI[task.family]]
    first = trials.start[:, None] + trials.bounds[:, when]  # (n, stimuli)
    rows, owner, _ = runs(first.ravel(), draws.durations[:, when].ravel())
    if task.family in ("dm", "dlydm"):
        shown, channel = _shown_decision(task, draws), 1
    else:
        reach = task.family != "match"
        shown = _shown_reach(task, draws, dt, definition) if reach else _two_bumps(draws, "sample", "test")
        channel = 1 + POSITIONS * (draws.columns["modality"][owner // shown.shape[1]] - 1)
    width = shown.shape[-1]
    entry = rows * CHANNELS + channel
    windows(trials.observations, width)[entry] = shown.reshape(-1, width)[owner]
    if task.family in ("reach", "rt"):
        entry = entry[:0]
    elif task.family != "match" and definition == "released":
        # the published code adds noise to the fixation channel too
        entry, width = rows * CHANNELS, CHANNELS
    return Noise(entry, width, dt**-0.5)


def add_noise(trials: Trials, rng: np.random.Generator) -> Trials:
    """Add noise to rendered trials, in place, and return them; that of the first trials ignores how many follow."""
    noise = rng.standard_normal((len(trials.noise.entry), trials.noise.width), dtype=np.float32)
    noise *= np.float32(trials.noise.sd)
    windows(trials.observations, trials.noise.width)[trials.noise.entry] += noise
    return trials


def sample(task: Task, n: int, rng: np.random.Generator, dt: int = 100, definition: str = "corrected") -> Trials:
    """Draw n trials of a task, render them and add noise; raises ConfigError as `draw` does.

    >>> from lmrnn.tasks import parse
    >>> sample(parse("go"), 2, np.random.default_rng(0)).observations.shape
    (30, 33)
    """
    return add_noise(render(task, draw(task, n, rng, dt, definition), dt, definition), rng)
