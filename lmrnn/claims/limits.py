"""What the verdicts would be if the limits were others: of claims 3 and 4, whose limits are a convention."""

from __future__ import annotations

import pandas as pd

from lmrnn.claims.autapses import AT_PAR, FAR_BEHIND
from lmrnn.claims.rotation import ON_TARGET
from lmrnn.claims.verdicts import ENOUGH_SEEDS

_AT_PAR = (-0.01, -0.02, AT_PAR, -0.05, -0.1)
_FAR_BEHIND = (-0.05, -0.1, -0.15, FAR_BEHIND, -0.25, -0.3)
_ON_TARGET = ((0.9, 1 / 0.9), ON_TARGET, (0.7, 1 / 0.7), (0.5, 2.0))


def limits_table(claims: pd.DataFrame) -> pd.DataFrame:
    """What each row of claims 3 and 4 says at other limits than those of its verdict.

    From the table of `lmrnn.claims.compute`. Columns claim, condition, comparison, limit (in words), used (whether the
    verdict is at this one) and says: ``supported``, ``not supported`` or ``undecided``, by the row's own interval, not
    adjusted for the other rows.
    """
    rows = []
    for _, row in claims[(claims["role"] == "claim") & claims["claim"].isin([3, 4])].iterrows():
        for limit, words, used in _limits(row):
            named = {name: row[name] for name in ("claim", "condition", "comparison")}
            rows.append({**named, "limit": words, "used": used, "says": _says(row, limit)})
    return pd.DataFrame(rows, columns=["claim", "condition", "comparison", "limit", "used", "says"])


def _limits(row: pd.Series) -> list[tuple[tuple[float, float], str, bool]]:
    """Of each limit the range in which the claim holds, its words and whether it is the one that is used."""
    if row["claim"] == 4:
        return [(limits, f"{limits[0]:.2g} to {limits[1]:.3g}", limits == ON_TARGET) for limits in _ON_TARGET]
    if row["subject"] == "base":
        return [((limit, float("inf")), f"{100 * -limit:.0f} points behind", limit == AT_PAR) for limit in _AT_PAR]
    return [((-float("inf"), limit), f"{100 * -limit:.0f} points behind", limit == FAR_BEHIND) for limit in _FAR_BEHIND]


def _says(row: pd.Series, limits: tuple[float, float]) -> str:
    if row["seeds"] < ENOUGH_SEEDS or not row["low"] <= row["high"]:
        return "undecided"
    if limits[0] <= row["low"] and row["high"] <= limits[1]:
        return "supported"
    return "not supported" if row["high"] < limits[0] or row["low"] > limits[1] else "undecided"
