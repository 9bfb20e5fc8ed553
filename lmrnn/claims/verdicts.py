"""From intervals to verdicts, and the form of a claim's row."""

from __future__ import annotations

from typing import Any

import numpy as np

ENOUGH_SEEDS = 3
SAME_SEEDS = "chosen on the same seeds"  # a control: elsewhere each seed's networks are chosen on the other seeds
STATEMENTS = {
    1: "Local networks reach the threshold in fewer training steps than full ones",
    2: "Local networks need fewer training trials per task than full ones",
    3: "Autapses match local networks on the 20 tasks, but not on Mod-Cog",
    4: "Seq and int tasks are solved by rotation along a ring, one step of the ring per 100 ms",
}


def verdict_of_ratio(low: float, high: float, seeds: int, could_turn: tuple[bool, bool] = (False, False)) -> str:
    """What the interval of a ratio says of the claim that it is greater than one.

    Parameters
    ----------
    low, high : float
        Interval; NaN where there is none.
    seeds : int
        Number of seeds.
    could_turn : tuple of bool
        Whether the true ratio could be smaller than a ratio above one, and larger than one below: the best rate of the
        network that lost lies at the edge of those tried, the one that won has seeds that never got there, or the one
        that lost has seeds that got there with the smallest cost tried.

    Returns
    -------
    str
        ``supported``, ``not supported`` or ``undecided``.
    """
    if seeds < ENOUGH_SEEDS or not (np.isfinite(low) or np.isfinite(high)):
        return "undecided"
    if low > 1:
        return "undecided" if could_turn[0] else "supported"
    if high < 1:
        return "undecided" if could_turn[1] else "not supported"
    return "undecided"


def claim_row(claim: int, condition: str, comparison: str, **values: Any) -> dict[str, Any]:
    """One row of claims.csv.

    Parameters
    ----------
    claim : int
        1 .. 4.
    condition : str
        Battery, layout, network size, data size.
    comparison : str
        What is compared.
    **values
        Further columns.

    Returns
    -------
    dict
        With blanks for what is not given.
    """
    blank = dict.fromkeys(("number", "low", "high", "t_low", "t_high", "first", "second", "baseline"), np.nan)
    words = {"threshold": None, "role": "claim", "seeds": 0, "verdict": "undecided", "strict_verdict": "undecided"}
    return {**blank, **words, "claim": claim, "condition": condition, "comparison": comparison, **values}
