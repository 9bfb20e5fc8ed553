"""Picture of one trial: what the network sees and what it is to answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Annotation

from lmrnn.figures.style import WIDTH, new_figure, picture
from lmrnn.seeds import stream
from lmrnn.tasks import CLASSES, Task, Trials, parse, sample

_GROUPS = {"fixation": (0, 1), "ring 1": (1, 17), "ring 2": (17, 33)}  # channels of the observation
_GAP = 0.04  # inches between names of periods
_LINE = 10  # points from a line of names to the next
_FIXATE = -3  # where "fixate" is drawn, below the positions on the ring


def draw_trial(task: str | Task, path: Path | str, seed: int = 0, dt: int = 100, definition: str = "corrected") -> None:
    """Draw one trial of a task with its noise, to a file that ends in ``.png`` or ``.svg``.

    `dt` is the time step in ms, a divisor of 100. Raises TaskNameError on an unknown task, ConfigError on an unknown
    definition, a time step that does not divide 100, or another ending.
    """
    stem, ending = picture(path)
    parsed = parse(task) if isinstance(task, str) else task
    trials = sample(parsed, 1, stream(seed, "show", parsed.name), dt, definition)
    draw_one(trials, 0, stem, (ending,))


def draw_one(trials: Trials, trial: int, stem: Path | str, formats: tuple[str, ...] = ("png", "svg")) -> None:
    """Draw one of several rendered trials of a task: observation as a heat map, right answer below, periods marked.

    Raises IndexError when there is no such trial.
    """
    if not 0 <= trial < len(trials):
        raise IndexError(f"trial {trial} of {len(trials)}")
    rows, dt = trials.rows(trial), trials.dt
    end = dt * int(trials.length[trial])
    with new_figure(WIDTH * 0.75, 4.4, stem, formats) as figure:
        heights = [stop - start for start, stop in _GROUPS.values()]
        panels = figure.subplots(4, 1, sharex=True, height_ratios=[*np.maximum(heights, 2), 12])
        norm = TwoSlopeNorm(0, min(float(trials.observations[rows].min()), -0.05), 1)  # noise below 0 is seen too
        for axes, (name, (start, stop)) in zip(panels, _GROUPS.items(), strict=False):
            image = _draw_channels(axes, name, trials.observations[rows, start:stop], end, norm)
        _draw_target(panels[3], trials.labels[rows], end)
        for axes in panels:
            for period in trials.periods(trial)[1:]:
                axes.axvline(dt * period.start, color="0.5", linewidth=0.6)
        names = _name_periods(panels[0], trials, trial)
        panels[3].set_xlabel("time (ms)")
        figure.colorbar(image, ax=list(panels[:3]), label="input", shrink=0.7, aspect=30, extend="max")
        title = f"{trials.task.name} ({trials.definition}), dt = {dt} ms"
        figure.suptitle(title, x=0.01, ha="left", fontsize=8.5, weight="bold")
        _stagger(figure, names)


def _draw_channels(axes: Axes, name: str, values: np.ndarray, end: float, norm: TwoSlopeNorm) -> AxesImage:
    """Heat map of some channels, values (T, channels), position 0 at the bottom."""
    channels = values.shape[1]
    image = axes.imshow(
        values.T, origin="lower", aspect="auto", cmap="PuOr_r", norm=norm, extent=(0, end, -0.5, channels - 0.5),
        interpolation="nearest",
    )  # fmt: skip
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    axes.set_yticks([0, 4, 8, 12] if channels > 1 else [])
    return image


def _draw_target(axes: Axes, labels: np.ndarray, end: float) -> None:
    """The right answer at each time step: fixate, or a position on the ring."""
    edges = np.linspace(0, end, len(labels) + 1)
    fixating = labels == 0
    axes.stairs(np.where(fixating, _FIXATE, np.nan), edges, baseline=None, color="0.5", linewidth=2)
    axes.stairs(np.where(fixating, np.nan, labels - 1.0), edges, baseline=None, color="#D55E00", linewidth=2)
    axes.set_ylim(_FIXATE - 1, CLASSES - 1)
    axes.set_yticks([_FIXATE, 0, 4, 8, 12], ["fixate", "0", "4", "8", "12"])
    axes.set_ylabel("right\nanswer", rotation=0, ha="right", va="center")


def _name_periods(axes: Axes, trials: Trials, trial: int) -> list[Annotation]:
    """Names of the periods above the picture; an empty period (a delay of 0 ms) has none."""
    names = []
    for period in trials.periods(trial):
        if period.stop > period.start:
            middle = trials.dt * (period.start + period.stop) / 2
            name = axes.annotate(
                period.name, (middle, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=7,
            )  # fmt: skip
            names.append(name)
    return names


def _stagger(figure: Figure, names: list[Annotation]) -> None:
    """Raise each name above those to its left that it would touch; twice, as long names at an end move the panels."""
    for _ in range(2):
        figure.draw_without_rendering()
        ends: list[float] = []  # where the last name of each line ends, in pixels
        for name in names:
            box = name.get_window_extent()
            line = next((line for line, end in enumerate(ends) if box.x0 > end), len(ends))
            ends[line:] = [box.x1 + _GAP * figure.dpi, *ends[line + 1 :]]
            name.xyann = (0, 3 + _LINE * line)
