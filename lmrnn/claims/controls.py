"""What speaks for and against each claim: its controls in one line, and where its effect turns."""

from __future__ import annotations

import numpy as np
import pandas as pd

# controls of which only is said in how many the effect is there
_COUNTED = {"rate": "at equal learning rates", "network": "each radius by itself"}


def number_text(row: pd.Series) -> str:
    """A row's number with its interval, e.g. ``1.52 (1.31 to 1.80)``; ``no interval`` for one seed."""
    if not np.isfinite(row["number"]):
        return "not measured"
    digits = 3 if is_difference(row) else 2
    known = np.isfinite([row["low"], row["high"]]).any() and not np.isnan([row["low"], row["high"]]).any()
    interval = f"{row['low']:.{digits}f} to {row['high']:.{digits}f}" if known else "no interval"
    return f"{row['number']:.{digits}f} ({interval})"


def measure_text(row: pd.Series) -> str:
    """What a row measures, e.g. ``area, whole training (2,000 steps)`` or ``steps to 0.735 (25% of what ...)``."""
    subject = str(row["subject"])
    if row["measure"] == "area":
        return f"area, {subject} ({row['budget']:,.0f} steps)"
    if row["measure"] in ("steps", "trials"):
        return f"{row['measure']} to {row['threshold']:g}" + (f" ({subject})" if subject else "")
    return f"accuracy, {subject}" if row["claim"] == 2 else ""


def is_difference(row: pd.Series) -> bool:
    """Whether a row's number is a difference in accuracy, with no difference at 0; a ratio has it at 1."""
    return str(row["measure"]) in ("area", "accuracy")


def controls_of(claim: pd.Series, rows: pd.DataFrame) -> str:
    """A claim's controls among all rows of claims.csv, in one line: comparison, number and interval of each.

    Those of the same condition and threshold or group of tasks; of those at equal learning rates and of single radii
    only in how many the ratio lies above 1.
    """
    own = rows[(rows["role"] == "control") & (rows["claim"] == claim["claim"]) & (rows["measure"] == claim["measure"])]
    own = own[own["condition_id"] == claim["condition_id"]]
    words = []
    if claim["claim"] in (1, 2):
        same = (own["threshold"] == claim["threshold"]) | pd.isna(claim["threshold"])
        own = own[same & (own["subject"] == claim["subject"])]
    elif claim["claim"] == 3:
        own = own[own["subject"] == claim["subject"]]
        words = [f"always fixate {claim['baseline']:.3f}"] if np.isfinite(claim["baseline"]) else []
    else:
        same = own["subject"] == claim["subject"]
        otherwise = (own["network_id"] == claim["network_id"]) & (same | (own["subject"] == "none"))
        own = own[otherwise | (same & (own["variant"] == claim["variant"]))]
    words += [
        f"{row['comparison']} {number_text(row)}" for _, row in own[~own["variant"].isin(list(_COUNTED))].iterrows()
    ]
    none = 0 if is_difference(claim) else 1
    for variant, text in _COUNTED.items():
        measured = own.loc[own["variant"] == variant, "number"].dropna()
        if len(measured):
            words.append(f"{text} above {none} in {(measured > none).sum()} of {len(measured)}")
    return "; ".join(words)
