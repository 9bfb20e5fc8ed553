"""The claims as one page that opens in any browser: verdicts first, then every number, then the controls."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from lmrnn.claims.verdicts import STATEMENTS
from lmrnn.storage import write_text

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #111; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.supported { color: #00603f; font-weight: 600; } .not { color: #a03f00; font-weight: 600; } .undecided { color: #555; }
p.note { color: #444; font-size: 13px; }
"""
_NOTES = (
    "Numbers are taken over seeds; intervals are bootstrap 95% intervals (with up to five seeds all resamples; with "
    "three the interval is the range). Each network is at its own best learning rate, chosen on validation trials. "
    "For steps to threshold that is the rate, and for local networks also the radius, of the smallest restricted "
    "mean, chosen anew in every resample. A ratio is supported when its interval lies above 1, not supported when "
    "it lies below, else undecided, also where the loser's best rate is the smallest or largest tried. Fewer than "
    "three seeds decide nothing."
)


def write_page(claims: pd.DataFrame, path: Path | str, study: str) -> None:
    """Write the claims as an HTML page without scripts or references to anything outside.

    Parameters
    ----------
    claims : pandas.DataFrame
        From `lmrnn.claims.compute`.
    path : Path or str
        The file.
    study : str
        Name of the study.
    """
    parts = [f"<h1>The four claims, measured in study {escape(study)}</h1>", _headlines(claims)]
    parts.append(f'<p class="note">{escape(_NOTES)}</p>')
    for claim, statement in STATEMENTS.items():
        rows = claims[claims["claim"] == claim]
        parts.append(f"<h2>Claim {claim}. {escape(statement)}</h2>")
        parts.append(_verdict_sentence(rows))
        for role, words in (("claim", "Measured"), ("control", "Controls")):
            if (rows["role"] == role).any():
                parts.append(f"<h3>{words}</h3>" + _html_table(rows[rows["role"] == role]))
    body = "\n".join(parts)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Claims: {escape(study)}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n",
    )


def number_text(row: pd.Series) -> str:
    """A number with its interval, e.g. ``1.52 (1.31 to 1.80)``.

    Parameters
    ----------
    row : pandas.Series
        With number, low, high.

    Returns
    -------
    str
        ``not measured`` without a number, ``no interval`` for one seed.
    """
    if not np.isfinite(row["number"]):
        return "not measured"
    interval = f"{row['low']:.2f} to {row['high']:.2f}" if np.isfinite(row["low"]) else "no interval"
    return f"{row['number']:.2f} ({interval})"


def _headlines(claims: pd.DataFrame) -> str:
    rows = claims[claims["headline"]]
    return _html_table(rows, lead="statement") if len(rows) else "<p>This study measures none of the claims.</p>"


def _verdict_sentence(rows: pd.DataFrame) -> str:
    """How many of the conditions say what: on which settings the effect depends."""
    counts = rows[rows["role"] == "claim"]["verdict"].value_counts()
    if counts.empty:
        return "<p>Not measured in this study.</p>"
    words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return f"<p>Of {counts.sum()} conditions: {escape(words)}.</p>"


def _html_table(rows: pd.DataFrame, lead: str | None = None) -> str:
    heads = ([lead] if lead else []) + [
        "condition",
        "threshold",
        "comparison",
        "number (95%)",
        "seeds",
        "verdict",
        "detail",
    ]
    lines = ["<table><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for _, row in rows.iterrows():
        threshold = f"{row['threshold']:g}" if pd.notna(row["threshold"]) else ""
        colour = {"supported": "supported", "not supported": "not"}.get(row["verdict"], "undecided")
        cells = [f"<td>{escape(str(row[lead]))}</td>"] if lead else []
        cells += [f"<td>{escape(text)}</td>" for text in (row["condition"], threshold, row["comparison"])]
        cells.append(f'<td class="number">{escape(number_text(row))}</td><td>{row["seeds"]}</td>')
        cells.append(f'<td class="{colour}">{escape(str(row["verdict"]))}</td><td>{escape(str(row["detail"]))}</td>')
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table>"])
