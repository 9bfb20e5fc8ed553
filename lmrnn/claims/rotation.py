"""Claim 4: the state turns along a ring as fast as the right answer does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import ENOUGH_SEEDS, claim_row
from lmrnn.curves.statistics import mean_interval, student_interval
from lmrnn.tasks import task_count

ON_TARGET = (0.8, 1.25)  # share of the target's rotation that counts as following it
SOLVED = 0.5  # share of trials answered right from which networks count as solving a group of tasks
FEW_TRIALS = 8  # a task with fewer trials answered right says nothing of them
_WORDS = {
    "seq": "seq tasks, decision",
    "int": "int tasks of the reach family, delay",
    "none": "the same tasks without rotation",
}
# columns of the table of rotation that measure the same in another way: controls beside the best local network's share
_OTHERWISE = {
    "right_share": "trials answered right",
    "answer_share": "angle of the answers themselves",
    "pattern_share": "angle of the whole pattern",
}


def rotation_rows(rotation: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 4 as rows of claims.csv, for each network, by what turns it: seq in the decision, int in the delay.

    From the table rotation of `lmrnn.analysis.tables`: what (``seq``, ``int``, ``none``), share (angle advanced over
    the target's), advance (rad per time step), coherence, and the same share otherwise measured (of these, all may be
    missing). For tasks without rotation the number is the angle advanced per time step over one step of the ring, a
    control that should be near 0. The local network's own controls: in trials answered right (of tasks with
    `FEW_TRIALS` of them or more; in seq tasks right answers all but imply it, in the delay of int tasks there are none
    yet), the angle by which its answers advance (a network that answers too slowly turns too slowly), and the angle of
    the whole pattern of activity, which needs no plane.
    """
    for (_, kind, what), part in rotation.groupby(["panel_id", "kind", "what"], sort=False):
        claimed = kind == "local" and what != "none"
        name = f"{part['connectivity'].iloc[0]}, {_WORDS[what]}"
        yield _row(name, part, "share", claimed)
        for column, words in _OTHERWISE.items() if claimed else ():
            if column in part and part[column].notna().any():
                usable = part["right_trials"] >= FEW_TRIALS if column == "right_share" else part[column].notna()
                if usable.any():
                    yield _row(f"{name}, {words}", part[usable], column, claimed=False)


def _row(comparison: str, part: pd.DataFrame, column: str, claimed: bool) -> dict[str, Any]:
    """One measure of one network's rotation: mean over tasks, then over seeds."""
    first = part.iloc[0]
    by_seed = part.groupby("seed")[column].mean().to_numpy()
    number, low, high = (float(value) for value in mean_interval(by_seed))
    t_low, t_high = student_interval(by_seed)
    detail = f"{part['task'].nunique()} tasks; coherence of angle and position {part['coherence'].mean():.2f}"
    right = part["right_trials"].sum() / part["trials"].sum() if "right_trials" in part else float("nan")
    if np.isfinite(right):
        detail += f"; {right:.0%} of trials answered right" + ("" if right >= SOLVED else ": not solved")
    if column == "pattern_share":
        detail = f"{part['task'].nunique()} tasks; coherence of the pattern {part['pattern_coherence'].mean():.2f}"
    return claim_row(
        4, (first["panel_id"], first["panel"]), comparison, column,
        role="claim" if claimed else "control", number=number, low=low, high=high, t_low=t_low,
        t_high=t_high, seeds=len(by_seed), unit="angle advanced / target's", tasks=task_count(first["tasks"]),
        subject=first["what"], network_id=first["connectivity_id"],
        detail=detail, verdict=verdict_of_rotation(low, high, len(by_seed), right) if claimed else "",
        strict_verdict=verdict_of_rotation(t_low, t_high, len(by_seed), right) if claimed else "",
    )  # fmt: skip


def verdict_of_rotation(low: float, high: float, seeds: int, right: float = float("nan")) -> str:
    """What the interval of the share of the target's rotation says of claim 4.

    ``supported`` if all of it lies in `ON_TARGET`, ``not supported`` if none and the networks answer half of the trials
    or more right throughout (`right`; NaN where that is not known), else ``undecided``, also without an interval (NaN):
    how a task is solved shows only in networks that solve it.
    """
    if seeds < ENOUGH_SEEDS or not np.isfinite(low):
        return "undecided"
    if low >= ON_TARGET[0] and high <= ON_TARGET[1]:
        return "supported"
    off = high < ON_TARGET[0] or low > ON_TARGET[1]
    return "not supported" if off and not right < SOLVED else "undecided"
