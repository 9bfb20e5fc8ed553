"""What a training is measured by: the area under its learning curve, and when it reaches a threshold for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmrnn.claims.best import Design, Settings
from lmrnn.curves.statistics import area, sustained_crossing
from lmrnn.tasks import battery_of
from lmrnn.tasks.observer import reach_of

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

# Shares of the training up to which the area is taken: its beginning, in which networks part, and all of it.
BUDGETS = {0.25: "first quarter of the training", 1.0: "whole training"}
# Shares of the way from what is reached without deciding anything to what the ideal observer reaches.
SHARES = (0.25, 0.5, 0.75)
HOLD = 0.1  # share of the training for which a threshold, once reached, must be kept (or to the end of the training)
# Trials of the ideal observer, whose Monte Carlo error then moves a threshold by .001, in a second or two.
_TRIALS = 500
_NARROW = 0.05  # where less than this lies between chance and ideal observer, shares of it say nothing


@dataclass(frozen=True)
class Measure:
    """One way to say how fast the cells of a panel learn.

    `costs` are what each setting of the panel costs each seed, as logarithms where `logarithmic`; `threshold` and
    `budget` are NaN where there is none; `decides` says whether the threshold lies above what is reached without
    deciding anything.
    """

    name: str
    subject: str
    costs: Settings
    threshold: float = float("nan")
    budget: float = float("nan")
    decides: bool = True

    @property
    def logarithmic(self) -> bool:
        """Whether costs are logarithms, so that their differences are ratios."""
        return self.name == "steps"


def learning_curve(result: CellResult) -> tuple[np.ndarray, np.ndarray]:
    """Steps and validation decision accuracy of a cell's evaluations, (K,); 0 from where it diverged on."""
    steps = np.asarray(result.history["step"], dtype=float)
    accuracy = np.nan_to_num(np.asarray(result.history["decision_accuracy"], dtype=float))
    if result.status != "diverged" and len(steps):
        return steps, accuracy
    last = steps[-1] if len(steps) else 0.0
    return np.append(steps, last), np.append(accuracy, 0.0)


def thresholds_of(result: CellResult, thresholds: Sequence[float]) -> list[tuple[float, str, bool]]:
    """Thresholds of a cell's battery, those asked for and `SHARES`: value, name, and whether it needs a decision.

    A share is rounded to a thousandth, about the ideal observer's Monte Carlo error.
    """
    reach = reach_of(battery_of(result.spec), result.spec["dt"], result.spec["definition"], _TRIALS)
    found = [(threshold, "", not threshold <= reach.chance) for threshold in thresholds]
    if reach.ideal - reach.chance > _NARROW:
        found += [(round(reach.at(share), 3), f"{share:.0%} of what can be reached", True) for share in SHARES]
    return found


def measures(part: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]) -> Iterator[Measure]:
    """Everything by which the cells of one panel of `lmrnn.curves.comparison.prepare` are compared, areas first.

    An area is a cost by its negative. Steps to a threshold lie between two evaluations (`sustained_crossing`), the
    number is taken where the straight line between both meets it; at least one step, for their logarithm's sake.
    """
    curves = [learning_curve(results[i]) for i in part.index]
    limit, design = float(part["steps"].max()), Design.of(part)
    for share, subject in BUDGETS.items():
        value = np.array([-area(*curve, share * limit) for curve in curves])
        yield Measure("area", subject, design.costs(value), budget=share * limit)
    for threshold, name, decides in thresholds_of(results[part.index[0]], thresholds):
        found = np.array([sustained_crossing(*curve, threshold, HOLD * limit, limit) for curve in curves])
        with np.errstate(divide="ignore"):  # there before its first step: less than any number of steps
            low, value, high = np.log(found.T)
        costs = design.costs(np.maximum(value, 0.0), low, np.maximum(high, 0.0))
        yield Measure("steps", name, costs, threshold=threshold, decides=decides)
