"""When a training is evaluated on its validation set."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

LOG = "log"
# the first evaluation of a trained network, as a share of all steps, where they are spaced by the logarithm: before a
# hundredth of its training no network of the default study has left chance
FIRST = 0.01


def moments(training: Mapping[str, Any]) -> Sequence[int]:
    """Steps at which a training is evaluated before its last, rising from 0, of a section ``training`` `with_defaults`;
    the last step, wherever it ends, is evaluated besides.

    They are multiples of `evaluate_every`; where that is ``log``, `evaluations` steps, the last included, whose
    logarithms are evenly spaced from a hundredth of the training (or step 1) to its end. Those that fall together after
    rounding count once.
    """
    steps, every = training["steps"], training["evaluate_every"]
    return _spaced(steps, training["evaluations"]) if every == LOG else range(0, steps, every)


@cache
def _spaced(steps: int, count: int) -> tuple[int, ...]:
    places = np.geomspace(max(1.0, FIRST * steps), steps, count) if count > 1 else np.array([steps])
    return tuple(sorted({0, *(round(float(place)) for place in places)} - {steps}))


def evaluated_by(training: Mapping[str, Any], step: int) -> list[int]:
    """Those of `moments` that are not after a step."""
    planned = moments(training)
    return list(planned[: bisect_right(planned, step)])


def next_evaluation(training: Mapping[str, Any], step: int) -> int:
    """The first step after this one, of a training that has not ended, at which it is evaluated."""
    planned = moments(training)
    after = bisect_right(planned, step)
    return planned[after] if after < len(planned) else training["steps"]


def out_of_patience(training: Mapping[str, Any], history: Mapping[str, Any]) -> bool:
    """Whether a training's validation decision accuracy had not risen in `patience` steps by its last evaluation, of a
    section ``training`` `with_defaults` and a history of at least one row.
    """
    best = history["step"][int(np.argmax(history["decision_accuracy"]))]  # of equals the first
    return bool(0 < training["patience"] <= history["step"][-1] - best)


def evaluation_count(training: Mapping[str, Any]) -> int:
    """How many evaluations on the validation set a whole training takes."""
    return len(moments(training)) + 1


@dataclass(frozen=True)
class Left:
    """What of a cell is still to be computed: training `steps`, and evaluations on its validation set; its tests are,
    in any case. `begun` says that a finished cell has the rest.
    """

    steps: int
    validations: int
    begun: bool = False


def left_of_whole(training: Mapping[str, Any]) -> Left:
    """What is left of a training that has not begun."""
    return Left(training["steps"], evaluation_count(training))
