"""Pictures of what is found in a trained network: psychometric curves, and states in their principal components."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from lmrnn.errors import ConfigError
from lmrnn.figures.style import WIDTH, accuracy_axis, new_figure, picture
from lmrnn.science.fixed_points import FixedPoints
from lmrnn.science.psychometric import Psychometric
from lmrnn.science.state_space import PrincipalComponents, principal_components
from lmrnn.science.trained import Responses

_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's
_ON_RING = ("response", "theta1", "theta2", "sample", "test", "answer", "label")  # coloured so that the ring closes


def draw_psychometric(curves: Mapping[str, Psychometric], path: Path | str) -> None:
    """Draw psychometric curves by name, choices and accuracy, to a file that ends in ``.png`` or ``.svg``.

    Bars are Wilson's 95% intervals; the sigmoid of a curve whose spread the data do not determine is dotted. Raises
    ConfigError on another ending.
    """
    stem, ending = picture(path)
    with new_figure(WIDTH, 2.6, stem, (ending,)) as figure:
        choice, accuracy = figure.subplots(1, 2)
        for number, (name, curve) in enumerate(curves.items()):
            _draw_curve(choice, accuracy, name, curve, _COLOURS[number % len(_COLOURS)])
        accuracy_axis(choice, "share choosing the first stimulus")
        accuracy_axis(accuracy, "share correct")
        choice.set_xlabel("coherence")
        accuracy.set_xlabel("absolute coherence")
        accuracy.legend(loc="lower right")


def _draw_curve(choice: Axes, accuracy: Axes, name: str, curve: Psychometric, colour: str) -> None:
    """One network's curve on both panels."""
    table = curve.table
    share = table["first"] / (table["first"] + table["second"])
    bars = np.maximum(np.stack([share - table["low"], table["high"] - share]), 0)
    choice.errorbar(table["coherence"], share, bars, fmt="o", color=colour, elinewidth=0.7)
    size = table["coherence"].abs()
    correct = (table["correct"] * table["trials"]).groupby(size).sum() / table["trials"].groupby(size).sum()
    accuracy.plot(correct.index, correct, "o", color=colour, label=name)
    most = float(size.max())
    for axes, fit, low in ((choice, curve.choice, -most), (accuracy, curve.accuracy, 0.0)):
        line = np.linspace(low, most, 200)
        axes.plot(line, fit(line), color=colour, linestyle="-" if fit.determined else ":")


def draw_state_space(
    run: Responses,
    path: Path | str,
    colour: str | None = None,
    components: PrincipalComponents | None = None,
    points: FixedPoints | None = None,
) -> None:
    """Draw the trials of a run as paths in three principal components (of the run itself, unless given), to a file that
    ends in ``.png`` or ``.svg``.

    `colour` is a numeric column of ``run.table()``. A dot marks where the decision begins; of `points`, squares are
    fixed points and diamonds slow ones, filled where they are stable. Raises ConfigError on another ending or column.
    """
    stem, ending = picture(path)
    components = principal_components(run.states, 3) if components is None else components
    if len(components.share) < 3:
        raise ConfigError(f"state space is drawn in 3 components; these are {len(components.share)}")
    values = _colours(run, colour)
    shades = [_COLOURS[1]] * len(run.trials) if values is None else list(values.to_rgba(np.asarray(values.get_array())))
    with new_figure(WIDTH, 3.2, stem, (ending,)) as figure:
        places, panels = components.project(run.states), figure.subplots(1, 2)
        for axes, up in zip(panels, (1, 2), strict=True):
            for trial in range(len(run.trials)):
                path_of, shade = places[run.trials.rows(trial)][:, [0, up]], shades[trial]
                axes.plot(*path_of.T, linewidth=0.7, alpha=0.8, color=shade)
                axes.plot(*path_of[run.trials.decision[trial]], "o", markersize=2.5, color=shade)
            _draw_points(axes, points, components, up)
            axes.set_xlabel(f"PC 1 ({components.share[0]:.0%})")
            axes.set_ylabel(f"PC {up + 1} ({components.share[up]:.0%})")
        if values is not None:
            figure.colorbar(values, ax=list(panels), label=colour or "", shrink=0.8, aspect=30)


def _colours(run: Responses, colour: str | None) -> ScalarMappable | None:
    """The value of each trial and its colour."""
    if colour is None:
        return None
    table = run.table()
    numeric = [name for name in table if table[name].dtype.kind in "biuf"]
    if colour not in numeric:
        raise ConfigError(f"a run of {run.trials.task.name} has no column {colour!r}; it has: {', '.join(numeric)}")
    values = table[colour].to_numpy(float)
    name = "twilight" if colour in _ON_RING else "viridis"
    shown = ScalarMappable(Normalize(values.min(), max(values.max(), values.min() + 1e-9)), matplotlib.colormaps[name])
    shown.set_array(values)
    return shown


def _draw_points(axes: Axes, points: FixedPoints | None, components: PrincipalComponents, up: int) -> None:
    """Fixed and slow points."""
    if points is None or not len(points):
        return
    for place, fixed, stable in zip(components.project(points.states), points.fixed, points.stable, strict=True):
        face = "#D55E00" if stable else "white"
        axes.plot(place[0], place[up], "s" if fixed else "D", markerfacecolor=face, markeredgecolor="#D55E00", zorder=3)
