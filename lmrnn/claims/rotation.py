"""Claim 4: the state turns along a ring as fast as the right answer does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import ENOUGH_SEEDS, claim_row, task_count
from lmrnn.summary import mean_interval

ON_TARGET = (0.8, 1.25)  # share of the target's rotation that counts as following it


def rotation_rows(rotation: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 4 for every network analysed, by what turns it: seq during the decision, int during the delay.

    Parameters
    ----------
    rotation : pandas.DataFrame
        From `lmrnn.analysis`: columns panel, tasks, kind, connectivity, seed, task, what (``seq``, ``int``, ``none``),
        share (angle advanced over the target's), advance (rad per time step), coherence.

    Yields
    ------
    dict
        A row of claims.csv. For tasks without rotation the number is the angle advanced per time step over one step of
        the ring, a control that should be near 0.
    """
    for (panel, kind, what), part in rotation.groupby(["panel", "kind", "what"], sort=False):
        by_seed = part.groupby("seed")["share"].mean().to_numpy()
        number, low, high = (float(value) for value in mean_interval(by_seed))
        claimed = kind == "local" and what != "none"
        yield claim_row(
            4,
            str(panel),
            f"{part['connectivity'].iloc[0]}, {_WORDS[what]}",
            role="claim" if claimed else "control",
            number=number,
            low=low,
            high=high,
            seeds=len(by_seed),
            unit="angle advanced / target's",
            tasks=task_count(part["tasks"].iloc[0]),
            detail=f"{part['task'].nunique()} tasks; coherence of angle and position {part['coherence'].mean():.2f}",
            verdict=verdict_of_rotation(low, high, len(by_seed)) if claimed else "",
        )


_WORDS = {"seq": "seq tasks, decision", "int": "int tasks of the reach family, delay", "none": "the same tasks without"}


def verdict_of_rotation(low: float, high: float, seeds: int) -> str:
    """What the interval of the share of the target's rotation says of claim 4.

    Parameters
    ----------
    low, high : float
        Interval; NaN for one seed.
    seeds : int
        Number of seeds.

    Returns
    -------
    str
        ``supported`` if all of it lies in `ON_TARGET`, ``not supported`` if none, else ``undecided``.
    """
    if seeds < ENOUGH_SEEDS or not np.isfinite(low):
        return "undecided"
    if low >= ON_TARGET[0] and high <= ON_TARGET[1]:
        return "supported"
    return "not supported" if high < ON_TARGET[0] or low > ON_TARGET[1] else "undecided"
