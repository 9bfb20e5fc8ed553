"""The claims as one page that opens in any browser: verdicts first, then on what they depend, then every number."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pandas as pd

from lmrnn.claims.controls import measure_text, number_text
from lmrnn.claims.glance import glances
from lmrnn.claims.verdicts import ENOUGH_SEEDS, STATEMENTS
from lmrnn.files.storage import write_text

_NOTES = (
    "Every network is at its best setting: learning rate and, for local networks, radius. A number is measured on"
    " each seed with the setting that is best on the other seeds. Its 95% bounds and p value hold for the best "
    "settings whichever they are: each pair of settings is compared seed by seed (Student's t; ranks where a seed"
    " never gets there), adjusted for how many could have been the best; steps to a threshold count as lying "
    "anywhere between two evaluations. A verdict takes p values that are adjusted for all rows of a claim (Holm):"
    " if nothing differed, 5% of studies at most would give any verdict on a claim. At least {seeds} seeds give "
    "one. A row stays undecided, whatever its p value, where the loser's best rate is the smallest or largest "
    "tried, or where a setting that was not trained with all seeds beats the chosen one. Share thresholds lie "
    "between what is reached by seeing every stimulus without deciding anything and what the ideal observer "
    "reaches; a threshold must be kept for a tenth of the training, or to its end; those that need no decision "
    "are controls. Controls have bounds of their own, and no verdict."
)


def write_page(claims: pd.DataFrame, path: Path | str, study: str) -> None:
    """Write the table of `lmrnn.claims.compute` as an HTML page without scripts or references to anything outside."""
    pages = jinja2.Environment(loader=jinja2.PackageLoader("lmrnn.claims", ""), autoescape=True)
    parts = [_part(claim, claims[claims["claim"] == claim]) for claim in STATEMENTS]
    headlines = claims[claims["headline"].astype(bool)].to_dict("records")
    page = pages.get_template("claims.html")
    notes = _NOTES.format(seeds=ENOUGH_SEEDS)
    texts = {"number_text": number_text, "measure_text": measure_text}
    write_text(path, page.render(study=study, notes=notes, headlines=headlines, parts=parts, **texts) + "\n")


def _part(claim: int, rows: pd.DataFrame) -> dict:
    """What the page says of one claim."""
    roles = {"claim": "Measured", "control": "Controls"}
    numbers = [(words, rows[rows["role"] == role].to_dict("records")) for role, words in roles.items()]
    part = {"claim": claim, "statement": STATEMENTS[claim], "sentence": _sentence(rows), "numbers": numbers}
    return {**part, "glances": glances(claim, rows) if len(rows) else []}


def _sentence(rows: pd.DataFrame) -> str:
    """How many of the conditions say what: on which settings the effect depends."""
    counts = rows[rows["role"] == "claim"]["verdict"].value_counts()
    if counts.empty:
        return "Not measured in this study."
    words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return f"Of {counts.sum()} cases (condition, measure and threshold or tasks): {words}.{_equal_rates(rows)}"


def _equal_rates(rows: pd.DataFrame) -> str:
    """Whether the effect is there at equal learning rates, by the area of the whole training."""
    own = rows[(rows["variant"] == "rate") & (rows["measure"] == "area")]
    numbers = own.loc[own["budget"] == own.groupby("condition_id")["budget"].transform("max"), "number"].dropna()
    if numbers.empty:
        return ""
    return (
        f" With both networks at the same learning rate, local learns faster in {(numbers > 0).sum()} and full in "
        f"{(numbers < 0).sum()} of {len(numbers)} comparisons (area, whole training)."
    )
