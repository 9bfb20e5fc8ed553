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
    digits = 3 if row["claim"] == 3 else 2
    interval = f"{row['low']:.{digits}f} to {row['high']:.{digits}f}" if np.isfinite(row["low"]) else "no interval"
    return f"{row['number']:.{digits}f} ({interval})"


def controls_of(claim: pd.Series, rows: pd.DataFrame) -> str:
    """A claim's controls among all rows of claims.csv, in one line: comparison, number and interval of each.

    Those of the same condition and threshold or group of tasks; of those at equal learning rates and of single radii
    only in how many the ratio lies above 1.
    """
    own = rows[(rows["role"] == "control") & (rows["claim"] == claim["claim"])]
    own = own[own["condition_id"] == claim["condition_id"]]
    words = []
    if claim["claim"] in (1, 2):
        own = own[own["threshold"] == claim["threshold"]]
    elif claim["claim"] == 3:
        own = own[own["subject"] == claim["subject"]]
        words = [f"always fixate {claim['baseline']:.3f}"] if np.isfinite(claim["baseline"]) else []
    else:
        same = own["subject"] == claim["subject"]
        otherwise = (own["network_id"] == claim["network_id"]) & (same | (own["subject"] == "none"))
        own = own[otherwise | (same & (own["variant"] == claim["variant"]))]
    words += [_control_text(row) for _, row in own[~own["variant"].isin(list(_COUNTED))].iterrows()]
    for variant, text in _COUNTED.items():
        measured = own.loc[own["variant"] == variant, "number"].dropna()
        if len(measured):
            words.append(f"{text} above 1 in {(measured > 1).sum()} of {len(measured)}")
    return "; ".join(words)


def _control_text(row: pd.Series) -> str:
    verdict = f", {row['verdict']}" if row["verdict"] else ""
    return f"{row['comparison']} {number_text(row)}{verdict}"
