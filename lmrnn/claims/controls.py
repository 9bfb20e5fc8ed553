"""What speaks for and against each claim: its controls in one line, and where its effect turns."""

from __future__ import annotations

import numpy as np
import pandas as pd


def number_text(row: pd.Series) -> str:
    """A number with its interval, e.g. ``1.52 (1.31 to 1.80)``.

    Parameters
    ----------
    row : pandas.Series
        With number, low, high, unit.

    Returns
    -------
    str
        ``not measured`` without a number, ``no interval`` for one seed.
    """
    if not np.isfinite(row["number"]):
        return "not measured"
    digits = 3 if "difference" in str(row.get("unit", "")) else 2
    interval = f"{row['low']:.{digits}f} to {row['high']:.{digits}f}" if np.isfinite(row["low"]) else "no interval"
    return f"{row['number']:.{digits}f} ({interval})"


def controls_of(claim: pd.Series, rows: pd.DataFrame) -> str:
    """A claim's controls, in one line.

    Parameters
    ----------
    claim : pandas.Series
        A row of claims.csv of role ``claim``.
    rows : pandas.DataFrame
        All rows.

    Returns
    -------
    str
        Comparison, number and interval of each control at the same condition and threshold; of those at equal learning
        rates and of single radii only how many lie above 1.
    """
    own = rows[(rows["role"] == "control") & (rows["claim"] == claim["claim"])]
    own = own[own["condition"] == claim["condition"]]
    if claim["claim"] in (1, 2):
        own = own[own["threshold"] == claim["threshold"]]
        counted = own["comparison"].str.contains("both at") | own["comparison"].str.startswith("full / local")
        words = [_control_text(row) for _, row in own[~counted].iterrows()]
        for name, part in {
            "at equal learning rates": own[own["comparison"].str.contains("both at")],
            "each radius by itself": own[own["comparison"].str.startswith("full / local")],
        }.items():
            measured = part["number"].dropna()
            if len(measured):
                words.append(f"{name} above 1 in {(measured > 1).sum()} of {len(measured)}")
        return "; ".join(words)
    if claim["claim"] == 3:
        group = claim["comparison"].split(", ", 1)[1]
        own = own[own["comparison"].str.endswith(f"best local, {group}")]
        baseline = f"always fixate {claim['baseline']:.3f}" if np.isfinite(claim["baseline"]) else ""
        return "; ".join([*([baseline] if baseline else []), *(_control_text(row) for _, row in own.iterrows())])
    network, what = claim["comparison"].split(", ", 1)
    named = own["comparison"]
    same = named.str.startswith(f"{network}, ") & (
        named.str.contains(what, regex=False) | named.str.endswith("without rotation")
    )
    return "; ".join(_control_text(row) for _, row in own[same | named.str.endswith(f", {what}")].iterrows())


def _control_text(row: pd.Series) -> str:
    verdict = f", {row['verdict']}" if row["verdict"] else ""
    return f"{row['comparison']} {number_text(row)}{verdict}"
