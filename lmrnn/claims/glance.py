"""Small tables that show in a minute on which settings each claim's effect depends."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np
import pandas as pd

_SIGNS = {"supported": "+", "not supported": "−", "undecided": "?", "": ""}
_LARGE = 20.0
_SIGNS_NOTE = "+ supported, − not supported, ? undecided"
_BOUNDS_NOTE = (
    "; ≥, ≤ bounds, ~ both networks fail at times or always manage; - neither ever gets there, or both do with the "
    "smallest size"
)
_CAPTIONS = {
    1: "Steps to threshold of the first network over those of the second, by threshold. Above 1: local is faster.",
    2: "Training trials per task to threshold of the first network over those of the second, by threshold. "
    "Above 1: local needs fewer.",
    3: "Decision accuracy by group of tasks. Gap: autapse minus best local. Kept: what autapses gain over always "
    "fixate, in percent of what the best local network gains. Supported: on base tasks a gap of at most .03, elsewhere "
    "of .20 or more; undecided also where local itself gains fewer than .20 over always fixate.",
    4: "Angle by which the state advances over the target's; 1 is the target's pace, 0 a state that stands still. "
    "Supported: .8 to 1.25; not supported only of networks that answer half of the trials right.",
}


def glance(claim: int, rows: pd.DataFrame) -> str:
    """One claim's numbers over the settings, as an HTML table.

    Parameters
    ----------
    claim : int
        1 .. 4.
    rows : pandas.DataFrame
        The claim's rows of claims.csv.

    Returns
    -------
    str
        HTML; empty without rows.
    """
    if rows.empty:
        return ""
    make = {3: _accuracies, 4: _shares}.get(claim, _ratios)
    head, *body = make(rows)
    lines = ["<tr>" + "".join(f"<th>{escape(text)}</th>" for text in head) + "</tr>", *("".join(row) for row in body)]
    above, below = _CAPTIONS[claim], _SIGNS_NOTE + (_BOUNDS_NOTE if claim in (1, 2) else "")
    table = '<table class="glance">' + "\n".join(lines) + "</table>"
    return f'<p class="note">{escape(above)}</p>\n{table}\n<p class="note">{escape(below)}.</p>'


def class_of(verdict: str) -> str:
    """Style class of a verdict.

    Parameters
    ----------
    verdict : str
        ``supported``, ``not supported``, ``undecided`` or nothing.

    Returns
    -------
    str
        ``supported``, ``not`` or ``undecided``.
    """
    return {"supported": "supported", "not supported": "not"}.get(verdict, "undecided")


def _condition_row(condition: str, columns: int) -> list[str]:
    return [f'<tr><th class="condition" colspan="{columns}">{escape(condition)}</th></tr>']


def _row(name: str, cells: list[str], role: str = "control") -> list[str]:
    return [f'<tr class="{role}"><td>{escape(name)}</td>', *cells, "</tr>"]


def _cell(text: str, verdict: str = "") -> str:
    sign = f" {_SIGNS[verdict]}" if verdict and text else ""
    return f'<td class="{class_of(verdict) if verdict else ""}">{escape(text)}{sign}</td>'


def _ratios(rows: pd.DataFrame) -> Iterator[list[str]]:
    """A row for each comparison, a column for each threshold at which some network of the study got there."""
    measured = rows.groupby("threshold")["number"].apply(lambda numbers: numbers.notna().any())
    thresholds = sorted(measured.index[measured]) or sorted(measured.index)
    yield ["", *(f"{threshold:g}" for threshold in thresholds)]
    for condition, part in rows.groupby("condition", sort=False):
        yield _condition_row(str(condition), len(thresholds) + 1)
        for comparison, own in part.groupby("comparison", sort=False):
            known = own.set_index("threshold")
            cells = [_ratio_cell(known.loc[one]) if one in known.index else _cell("") for one in thresholds]
            yield _row(str(comparison), cells, own["role"].iloc[0])


def _ratio_cell(row: pd.Series) -> str:
    if not np.isfinite(row["number"]):
        return _cell("-")
    bounds = [sign for sign, words in (("≥", "at least this"), ("≤", "at most this")) if words in str(row["detail"])]
    # several bounds, or none that never or always gets there: the number says little
    unsure = len(bounds) > 1 or "neither always" in str(row["detail"]) or "for both" in str(row["detail"])
    sign = "~" if unsure else "".join(bounds)
    text = f"{row['number']:.2f}" if row["number"] < _LARGE else f"{row['number']:.0f}"
    return _cell(sign + text, str(row["verdict"]))


def _accuracies(rows: pd.DataFrame) -> Iterator[list[str]]:
    """A row for each group of tasks: baseline, every network's accuracy, the gap, and how much of the gain is kept."""
    kinds = [kind for kind in ("autapse", "full", "random") if rows["comparison"].str.startswith(f"{kind} -").any()]
    yield ["", "always fixate", "best local", *kinds, "gap", "kept"]
    for condition, part in rows.groupby("condition", sort=False):
        yield _condition_row(str(condition), len(kinds) + 5)
        for group, own in part.groupby(part["comparison"].str.split("local, ").str[1], sort=False):
            by_kind = own.set_index(own["comparison"].str.split(" - ").str[0])
            first = own.iloc[0]
            numbers = [first["baseline"], first["second"]]
            numbers += [by_kind["first"].get(kind, np.nan) for kind in kinds]
            cells = [_cell(f"{number:.3f}" if np.isfinite(number) else "") for number in numbers]
            if "autapse" in by_kind.index:
                pool = by_kind.loc["autapse"]
                cells += [_cell(f"{pool['number']:+.3f}", str(pool["verdict"])), _cell(_kept(pool))]
            yield _row(str(group), cells, "claim")


def _kept(pool: pd.Series) -> str:
    gain = pool["second"] - pool["baseline"]
    return f"{100 * (pool['first'] - pool['baseline']) / gain:.0f}%" if np.isfinite(gain) and gain > 0.02 else ""


def _shares(rows: pd.DataFrame) -> Iterator[list[str]]:
    """A row for each network and way to measure."""
    yield ["", "share", "95%", "seeds"]
    for condition, part in rows.groupby("condition", sort=False):
        yield _condition_row(str(condition), 4)
        for _, row in part.iterrows():
            interval = f"{row['low']:.2f} to {row['high']:.2f}" if np.isfinite(row["low"]) else ""
            share = f"{row['number']:.2f}" if np.isfinite(row["number"]) else "-"
            cells = [_cell(share, str(row["verdict"])), _cell(interval), _cell(str(row["seeds"]))]
            yield _row(row["comparison"], cells, row["role"])
