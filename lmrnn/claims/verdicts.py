"""From p values to verdicts, and the form of a claim's row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmrnn.curves.statistics import holm

# The fewest seeds from which a comparison of ten settings or so can say anything at all; with fewer, rows have numbers.
ENOUGH_SEEDS = 6
ERRORS = 0.05  # how often, at most, any row of a claim has a verdict where there is no difference
STATEMENTS = {
    1: "Local networks learn faster, in training steps, than full ones",
    2: "Local networks need less training data than full ones",
    3: "Autapses match local networks on the 20 tasks, but not on Mod-Cog",
    4: "Seq and int tasks are solved by rotation along a ring, one step of the ring per 100 ms",
}
# Columns of claims.csv: what is read, then, after `second`, what rows are told apart and joined by.
COLUMNS = [
    "claim", "statement", "condition", "threshold", "comparison", "role", "number", "low", "high", "unit", "seeds",
    "verdict", "reason", "headline", "detail", "p", "p_holm", "first", "second", "baseline", "controls",
    "condition_id", "variant", "subject", "network_id", "bound", "measure", "budget",
]  # fmt: skip


def claim_row(claim: int, condition: tuple[str, str], comparison: str, variant: str, **values: Any) -> dict[str, Any]:
    """One row of claims.csv, blank where nothing is given.

    `condition` is the id and the label of battery, layout, network and data size; `comparison` says in words, and
    `variant` in one word, what is compared. `subject` is the group of tasks, the data size or the budget, `network_id`
    the network, where there is one, and `bound` says of what kind of bound the number is (``>=``, ``<=``, ``~``: not
    even that). `sides` are the one-sided p values for and against what the claim says, `forbidden` why neither may be
    called even if they are small; both are what `judge` makes verdicts of.
    """
    blank = dict.fromkeys(("number", "low", "high", "p", "p_holm", "first", "second", "baseline", "budget"), np.nan)
    words = {"threshold": None, "role": "claim", "seeds": 0, "verdict": "", "reason": "", "measure": ""}
    ids = {"condition_id": condition[0], "variant": variant, "subject": "", "network_id": "", "bound": ""}
    judged = {"sides": (np.nan, np.nan), "forbidden": ("", "")}
    given = {"claim": claim, "condition": condition[1], "comparison": comparison, **values}
    return {**blank, **words, **ids, **judged, **given}


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Give rows of `claim_row` their p values, two-sided, and those that make a claim their verdict and its reason.

    A verdict is ``supported``, ``not supported`` or ``undecided``. A claim's rows are one family, adjusted by Holm:
    whatever their number, studies without a difference get any verdict in 5% at most. Rows with fewer than
    `ENOUGH_SEEDS` seeds can get none, and do not count among them; those without a number have no p value, and do
    count, as 1: which they are depends on what was measured. A row that nothing was tested for has no p value either.
    """
    for row in rows:
        row["p"] = float(np.minimum(1.0, 2 * np.min(row["sides"])))  # NaN stays NaN
    claims = [row for row in rows if row["role"] == "claim"]
    for number in {row["claim"] for row in claims}:
        able = [row for row in claims if row["claim"] == number and row["seeds"] >= ENOUGH_SEEDS]
        adjusted = holm(np.nan_to_num([row["p"] for row in able], nan=1.0))
        for row, p in zip(able, adjusted, strict=True):
            row["p_holm"] = float(p) if np.isfinite(row["p"]) else np.nan
    for row in claims:
        row["verdict"], row["reason"] = _verdict(row)


def _verdict(row: dict[str, Any]) -> tuple[str, str]:
    """A row's verdict and, where it is undecided, the reason."""
    if not np.isfinite(row["number"]):
        return "undecided", "nothing to compare"
    if row["seeds"] < ENOUGH_SEEDS:
        return "undecided", f"{row['seeds']} seed{'s' * (row['seeds'] != 1)}"
    side = int(np.argmin(row["sides"]))
    if not row["p_holm"] <= ERRORS:
        return "undecided", "the difference is within chance" if row["p"] > ERRORS else "within chance over all rows"
    if row["forbidden"][side]:
        return "undecided", row["forbidden"][side]
    return ("supported", "not supported")[side], ""
