"""The claims as one page that opens in any browser: verdicts first, then on what they depend, then every number."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pandas as pd

from lmrnn.claims.controls import number_text
from lmrnn.claims.glance import glance
from lmrnn.claims.verdicts import STATEMENTS
from lmrnn.files.storage import write_text

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
    """Write the table of `lmrnn.claims.compute` as an HTML page without scripts or references to anything outside."""
    pages = jinja2.Environment(loader=jinja2.PackageLoader("lmrnn.claims", ""), autoescape=True)
    parts = [_part(claim, claims[claims["claim"] == claim]) for claim in STATEMENTS]
    headlines = _records(claims[claims["headline"].astype(bool)])
    page = pages.get_template("claims.html")
    write_text(
        path, page.render(study=study, notes=_NOTES, headlines=headlines, parts=parts, number_text=number_text) + "\n"
    )


def _records(rows: pd.DataFrame) -> list[dict]:
    return rows.to_dict("records")


def _part(claim: int, rows: pd.DataFrame) -> dict:
    """What the page says of one claim."""
    numbers = [(words, _records(rows[rows["role"] == role])) for role, words in _ROLES.items()]
    part = {"claim": claim, "statement": STATEMENTS[claim], "sentence": _sentence(rows), "numbers": numbers}
    return {**part, "glance": glance(claim, rows) if len(rows) else None}


_ROLES = {"claim": "Measured", "control": "Controls"}


def _sentence(rows: pd.DataFrame) -> str:
    """How many of the conditions say what: on which settings the effect depends."""
    counts = rows[rows["role"] == "claim"]["verdict"].value_counts()
    if counts.empty:
        return "Not measured in this study."
    words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return f"Of {counts.sum()} cases (condition and threshold or tasks): {words}.{_equal_rates(rows)}"


def _equal_rates(rows: pd.DataFrame) -> str:
    """Whether the effect is there at equal learning rates."""
    numbers = rows.loc[rows["variant"] == "rate", "number"].dropna()
    if numbers.empty:
        return ""
    return (
        f" With both networks at the same learning rate, local is faster in {(numbers > 1).sum()} and full in "
        f"{(numbers < 1).sum()} of {len(numbers)} comparisons."
    )
