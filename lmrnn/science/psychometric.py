"""Psychometric curves: choices against the coherence of the evidence, with a fitted sigmoid.

    P(first) = lapse + (1 - 2 lapse) S((coherence - bias) / spread)

with S the cumulative Gaussian, which is exact for an observer that adds up evidence with Gaussian noise, or the
logistic function; fitted by maximum likelihood (F. A. Wichmann, N. J. Hill, Perception & Psychophysics 63, 1293-1313,
2001).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from lmrnn.errors import ConfigError
from lmrnn.science.trained import TrainedNetwork
from lmrnn.tasks import Draws, Task, Trials, parse, render
from lmrnn.tasks.drawing import DLYDM_STRENGTHS, DM_COHERENCES

Floats = NDArray[np.float64]
SHAPES: dict[str, Callable[[Any], Any]] = {"gaussian": ndtr, "logistic": expit}
_SPREADS = (1e-3, 1e2)  # over the range of coherences: beyond, the data say nothing of it
_LEAST = 1e-15  # probability: an observation against a sigmoid without lapses stays finite
_CHI_SQUARE = 3.841  # 95% point with one degree of freedom: a likelihood ratio that rules a spread out
_SURE = 1.959964  # standard deviations of a 95% interval


@dataclass(frozen=True)
class Sigmoid:
    """A fitted sigmoid: its `bias` (coherence of equal choices), `spread`, share of `lapse` on either side, and
    `shape`, one of `SHAPES`; `determined` is False where a step, or a flat line, fits nearly as well (a likelihood
    ratio within 95%): the data then say little of the spread.
    """

    bias: float
    spread: float
    lapse: float
    shape: str = "gaussian"
    determined: bool = True

    def __call__(self, coherence: ArrayLike) -> Floats:
        """Probability at a coherence, of its shape."""
        rise = SHAPES[self.shape]((np.asarray(coherence, float) - self.bias) / self.spread)
        return np.asarray(self.lapse + (1 - 2 * self.lapse) * rise)


def fit_sigmoid(
    coherence: ArrayLike,
    count: ArrayLike,
    trials: ArrayLike,
    shape: str = "gaussian",
    bias: float | None = None,
    lapse: float | None = None,
) -> Sigmoid:
    """The sigmoid of largest likelihood for `count` of `trials` at each coherence, (K,) each; shares will do as counts.

    `bias` and `lapse` (0 .. 0.5) are fitted unless given. NaN where there are not trials at two coherences. Raises
    ConfigError on an unknown shape.
    """
    x, k, n = (np.asarray(values, float) for values in np.broadcast_arrays(coherence, count, trials))
    if shape not in SHAPES:
        raise ConfigError(f"shape is {shape!r}; allowed: {', '.join(SHAPES)}")
    if len(np.unique(x[n > 0])) < 2:
        return Sigmoid(*(float("nan"),) * 3, shape, determined=False)
    width = float(np.ptp(x[n > 0]))
    narrow, wide = np.log(_SPREADS)
    bounds = [
        (x.min() - width, x.max() + width) if bias is None else (bias, bias),
        (narrow, wide),
        (0, 0.5) if lapse is None else (lapse, lapse),
    ]
    at = float(x.mean()) if bias is None else bias
    starts = [(at, np.log(spread), 0.02 if lapse is None else lapse) for spread in (0.02, 0.1, 0.5)]
    arguments = (x, k / n.sum(), (n - k) / n.sum(), width, shape)
    limits = {"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9}
    how = {"args": arguments, "jac": True, "method": "L-BFGS-B", "bounds": bounds, "options": limits}
    at, spread, lapses = min((minimize(_cost, start, **how) for start in starts), key=lambda fit: fit.fun).x
    here = _cost(np.array([at, spread, lapses]), *arguments)[0]
    worse = [n.sum() * (_cost(np.array([at, edge, lapses]), *arguments)[0] - here) for edge in (narrow, wide)]
    determined = bool(min(worse) > _CHI_SQUARE / 2)
    return Sigmoid(float(at), width * float(np.exp(spread)), float(lapses), shape, determined)


def _cost(free: Floats, x: Floats, yes: Floats, no: Floats, width: float, shape: str) -> tuple[float, Floats]:
    """Negative logarithm of the likelihood and its gradient (3,) by bias, logarithm of the spread over `width`, and
    lapse; `yes` and `no` are how often either was chosen.
    """
    bias, spread, lapse = free[0], width * np.exp(free[1]), free[2]
    u = (x - bias) / spread
    rise, fall = SHAPES[shape](u), SHAPES[shape](-u)
    slope = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) if shape == "gaussian" else rise * fall
    p, q = (np.maximum(lapse + (1 - 2 * lapse) * part, _LEAST) for part in (rise, fall))
    by_p = no / q - yes / p
    gradient = [-(1 - 2 * lapse) * slope / spread, -(1 - 2 * lapse) * slope * u, fall - rise]
    cost = -float(np.sum(yes * np.log(p) + no * np.log(q)))
    return cost, np.array([float(np.sum(by_p * part)) for part in gradient])


@dataclass(frozen=True)
class Psychometric:
    """A network's choices in a decision task. `table` has one row per coherence: trials, share of them that chose the
    ``first`` stimulus, the ``second`` and ``other`` classes, ``correct``, and the ``low`` and ``high`` end of Wilson's
    95% interval of `first` among those that chose either stimulus. `choice` is fitted to that share, `accuracy` to the
    share correct against the absolute coherence, without bias, other choices counting as lapses.
    """

    task: str
    table: pd.DataFrame = field(repr=False)
    choice: Sigmoid
    accuracy: Sigmoid


def default_coherences(task: Task) -> tuple[float, ...]:
    """The coherences of a decision task's training trials on a single ring, in rising order."""
    if task.family == "dlydm":
        return tuple(sorted({round(a - b, 12) for a, b in itertools.permutations(DLYDM_STRENGTHS, 2)}))
    return (*(-c for c in reversed(DM_COHERENCES)), *DM_COHERENCES)


def psychometric(
    cell: TrainedNetwork,
    task: str,
    coherence: Sequence[float] | None = None,
    trials: int = 200,
    *,
    shape: str = "gaussian",
    noise: bool = True,
    seed: int = 0,
    **conditions: Any,
) -> Psychometric:
    """Psychometric curve of a network in a task of a decision family, `trials` at each coherence (-1 .. 1, positive:
    for the first stimulus; by default those of training). Choices are those at the last time step.

    Further arguments hold other conditions (`lmrnn.science.conditions`). Raises ConfigError on a task without evidence.
    """
    one = parse(task)
    levels = np.array(default_coherences(one) if coherence is None else coherence, float)
    each = np.repeat(levels, trials)
    run = cell.run(task, len(each), noise=noise, seed=seed, coherence=each, **conditions)
    first, second = (run.answers == _answers_if(run.trials, winner) for winner in (1, 2))
    table = choice_table(each, first, second, run.right)
    either = (table["first"] + table["second"]) * table["trials"]
    choice = fit_sigmoid(table["coherence"], table["first"] * table["trials"], either, shape)
    return Psychometric(one.name, table, choice, _accuracy(table, shape))


def choice_table(coherence: np.ndarray, first: np.ndarray, second: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """The table of `Psychometric`, of trials (n,): coherence, and whether they chose the first, second, right class."""
    columns = {"first": first, "second": second, "other": ~(first | second), "correct": correct}
    rows = pd.DataFrame({"coherence": coherence, **columns}, dtype=float)
    grouped = rows.groupby("coherence")
    table = grouped.mean()
    table.insert(0, "trials", grouped.size())
    either = (table["first"] + table["second"]) * table["trials"]
    table["low"], table["high"] = _wilson(table["first"] * table["trials"], either)
    return table.reset_index()


def _answers_if(trials: Trials, winner: int) -> np.ndarray:
    """Class to be reported at the last time step of each trial if that stimulus were the answer, (n,)."""
    columns = {**trials.draws.columns, "winner": np.full(len(trials), winner)}
    made = render(trials.task, Draws(trials.draws.durations, columns), trials.dt, trials.definition)
    return made.labels[made.start + made.length - 1]


def _accuracy(table: pd.DataFrame, shape: str) -> Sigmoid:
    """Fit of the share correct against the absolute coherence; at 0 nothing is correct, so those are left out."""
    some = table[table["coherence"] != 0]
    columns = {"counts": some["correct"] * some["trials"], "trials": some["trials"]}
    sums = pd.DataFrame(columns).groupby(some["coherence"].abs()).sum()
    return fit_sigmoid(sums.index, sums["counts"], sums["trials"], shape, bias=0.0)


def _wilson(count: pd.Series, trials: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Wilson's 95% interval of a share (E. B. Wilson, JASA 22, 209-212, 1927); NaN without trials."""
    n = trials.where(trials > 0)
    share, z = count / n, _SURE
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half
