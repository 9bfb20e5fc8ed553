"""From intervals to verdicts, and the form of a claim's row."""

from __future__ import annotations

from typing import Any

import numpy as np

ENOUGH_SEEDS = 3
STATEMENTS = {
    1: "Local networks reach the threshold in fewer training steps than full ones",
    2: "Local networks need fewer training trials per task than full ones",
    3: "Autapses match local networks on the 20 tasks, but not on Mod-Cog",
    4: "Seq and int tasks are solved by rotation along a ring, one step of the ring per 100 ms",
}
# Columns of claims.csv: what is read, then, after `second`, what rows are told apart and joined by.
COLUMNS = [
    "claim", "statement", "condition", "threshold", "comparison", "role", "number", "low", "high", "unit", "seeds",
    "verdict", "headline", "detail", "t_low", "t_high", "strict_verdict", "first", "second", "baseline", "controls",
    "condition_id", "variant", "subject", "network_id", "bound",
]  # fmt: skip


def verdict_of_ratio(low: float, high: float, seeds: int, could_turn: tuple[bool, bool] = (False, False)) -> str:
    """What the interval of a ratio (NaN where there is none) says of the claim that it is greater than one.

    ``supported``, ``not supported`` or ``undecided``. `could_turn` says whether the true ratio could be smaller than a
    ratio above one, and larger than one below: the best rate of the network that lost lies at the edge of those tried,
    the one that won has seeds that never got there, or the one that lost has seeds that got there with the smallest
    cost tried.
    """
    if seeds < ENOUGH_SEEDS or not (np.isfinite(low) or np.isfinite(high)):
        return "undecided"
    if low > 1:
        return "undecided" if could_turn[0] else "supported"
    if high < 1:
        return "undecided" if could_turn[1] else "not supported"
    return "undecided"


def claim_row(claim: int, condition: tuple[str, str], comparison: str, variant: str, **values: Any) -> dict[str, Any]:
    """One row of claims.csv, blank where nothing is given.

    `condition` is the id and the label of battery, layout, network and data size; `comparison` says in words, and
    `variant` in one word, what is compared. `subject` is the group of tasks, `network_id` the network, where there is
    one, and `bound` says of what kind of bound the number is (``>=``, ``<=``, ``~``: not even that).
    """
    blank = dict.fromkeys(("number", "low", "high", "t_low", "t_high", "first", "second", "baseline"), np.nan)
    words = {"threshold": None, "role": "claim", "seeds": 0, "verdict": "undecided", "strict_verdict": "undecided"}
    ids = {"condition_id": condition[0], "variant": variant, "subject": "", "network_id": "", "bound": ""}
    return {**blank, **words, **ids, "claim": claim, "condition": condition[1], "comparison": comparison, **values}
