"""The claims as one page that opens in any browser: verdicts first, then on what they depend, then every number."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from lmrnn.claims.controls import number_text
from lmrnn.claims.glance import class_of, glance
from lmrnn.claims.verdicts import STATEMENTS
from lmrnn.files.storage import write_text

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #111; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #ddd; vertical-align: top; }
table.glance { width: auto; } table.glance td { white-space: nowrap; font-variant-numeric: tabular-nums; }
table.glance th.condition { padding-top: .7rem; } table.glance tr.claim td:first-child { font-weight: 600; }
table.glance td.supported { background: #d7f0e5; } table.glance td.not { background: #fbe3d0; }
table.glance td.undecided { background: #efefef; }
td:first-child { min-width: 11rem; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.supported { color: #00603f; font-weight: 600; } .not { color: #a03f00; font-weight: 600; } .undecided { color: #555; }
td.small { font-size: 11.5px; min-width: 18rem; } tr.claim th { padding-top: .8rem; font-size: 14px; }
p.note { color: #444; font-size: 13px; } summary { cursor: pointer; margin: .6rem 0; }
"""
_NOTES = (
    "Numbers are taken over seeds, intervals are bootstrap 95% intervals. Up to five seeds all resamples are taken; "
    "with three the interval is the range of the three, and if nothing differed all three would still lie on one side "
    "in a quarter of studies. Strict is therefore the verdict by Student's t interval. Each network is at its own best "
    "learning rate, chosen on validation trials: for steps to threshold that of the smallest mean (a seed that never "
    "gets there counts with the whole training), and for local networks also the radius. Each seed's networks are "
    "chosen on the other seeds, so that a choice among more radii is not favoured by luck; chosen on the same seeds "
    "they are a control. Accuracies and data sizes are of networks chosen on validation and measured on test trials. "
    "A ratio is supported when its interval lies above 1, not supported when it lies "
    "below, else undecided; also where the loser's best rate is the smallest or largest tried, where the winner has "
    "seeds that never get there, or where the loser's smallest data set is enough. Fewer than three seeds decide "
    "nothing."
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
        if len(rows):
            parts.append(f"<h3>On what it depends</h3>{glance(claim, rows)}")
        for role, words in (("claim", "Measured"), ("control", "Controls")):
            own = rows[rows["role"] == role]
            if len(own):
                parts.append(f"<details><summary>{words}: all {len(own)} numbers</summary>{_html_table(own)}</details>")
    body = "\n".join(parts)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Claims: {escape(study)}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n",
    )


def _headlines(claims: pd.DataFrame) -> str:
    rows = claims[claims["headline"]]
    return _html_table(rows, full=False) if len(rows) else "<p>This study measures none of the claims.</p>"


def _verdict_sentence(rows: pd.DataFrame) -> str:
    """How many of the conditions say what: on which settings the effect depends."""
    counts = rows[rows["role"] == "claim"]["verdict"].value_counts()
    if counts.empty:
        return "<p>Not measured in this study.</p>"
    words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return f"<p>Of {counts.sum()} cases (condition and threshold or tasks): {escape(words)}.{_equal_rates(rows)}</p>"


def _equal_rates(rows: pd.DataFrame) -> str:
    """Whether the effect is there at equal learning rates."""
    numbers = rows.loc[rows["comparison"].str.contains("both at"), "number"].dropna()
    if numbers.empty:
        return ""
    return (
        f" With both networks at the same learning rate, local is faster in {(numbers > 1).sum()} and full in "
        f"{(numbers < 1).sum()} of {len(numbers)} comparisons."
    )


def _html_table(rows: pd.DataFrame, full: bool = True) -> str:
    """Rows with all their numbers; those of the headlines by claim, with their controls instead of details."""
    heads = ["condition", "threshold", "comparison", "number (95%)", "seeds", "verdict", "strict"]
    heads += ["Student's t", "detail"] if full else ["controls, for and against"]
    lines = ["<table><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    claim = None
    for _, row in rows.iterrows():
        if not full and row["claim"] != claim:
            claim = row["claim"]
            words = escape(f"{claim}. {row['statement']}")
            lines.append(f'<tr class="claim"><th colspan="{len(heads)}">{words}</th></tr>')
        threshold = f"{row['threshold']:g}" if pd.notna(row["threshold"]) else ""
        cells = [f"<td>{escape(text)}</td>" for text in (row["condition"], threshold, row["comparison"])]
        cells.append(f'<td class="number">{escape(number_text(row))}</td><td>{row["seeds"]}</td>')
        verdicts = (row["verdict"], row["strict_verdict"])
        cells += [f'<td class="{class_of(verdict)}">{escape(verdict)}</td>' for verdict in verdicts]
        if full:
            strict = f"{row['t_low']:.2f} to {row['t_high']:.2f}" if np.isfinite(row["t_low"]) else ""
            cells.append(f"<td>{strict}</td>")
        cells.append(f'<td class="small">{escape(str(row["detail"] if full else row["controls"]))}</td>')
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table>"])
