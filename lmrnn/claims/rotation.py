"""Claim 4: the state turns along a ring as fast as the right answer does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.bounds import p_above
from lmrnn.claims.verdicts import claim_row
from lmrnn.curves.statistics import student_interval
from lmrnn.tasks import task_count

# Share of the target's rotation that counts as following it: the convention for two things to count as the same, a
# ratio of means between .8 and 1 / .8 (D. J. Schuirmann 1987; regulators' limit of bioequivalence).
ON_TARGET = (0.8, 1.25)
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
    low, high = student_interval(by_seed)
    detail = f"{part['task'].nunique()} tasks; coherence of angle and position {part['coherence'].mean():.2f}"
    right = part["right_trials"].sum() / part["trials"].sum() if "right_trials" in part else float("nan")
    if np.isfinite(right):
        detail += f"; {right:.0%} of trials answered right" + ("" if right >= SOLVED else ": not solved")
    if column == "pattern_share":
        detail = f"{part['task'].nunique()} tasks; coherence of the pattern {part['pattern_coherence'].mean():.2f}"
    unsolved = "" if not right < SOLVED else "fewer than half of the trials are answered right"
    return claim_row(
        4, (first["panel_id"], first["panel"]), comparison, column,
        role="claim" if claimed else "control", number=float(by_seed.mean()), low=low, high=high, seeds=len(by_seed),
        unit="angle advanced / target's", tasks=task_count(first["tasks"]), measure="rotation",
        subject=first["what"], network_id=first["connectivity_id"], detail=detail,
        sides=sides(by_seed) if claimed else (np.nan, np.nan), forbidden=("", unsolved),
    )  # fmt: skip


def sides(shares: np.ndarray, limits: tuple[float, float] = ON_TARGET) -> tuple[float, float]:
    """One-sided p values for and against claim 4, of seeds' shares (seeds,) of the target's rotation.

    For it: that the mean lies inside the limits, by two one-sided tests; against it: that it lies below or above them.
    Student's (D. J. Schuirmann: A comparison of the two one-sided tests procedure and the power approach. J.
    Pharmacokin. Biopharm. 15(6), 1987). NaN with a single seed.
    """
    if len(shares) < 2:
        return float("nan"), float("nan")
    values, ends = np.asarray(shares, dtype=float)[None], np.array(limits)[:, None, None] * np.ones((1, len(shares)))
    above = [float(p_above(values, end)) for end in ends]
    below = [float(p_above(end, values)) for end in ends]
    return max(above[0], below[1]), min(below[0], above[1])
