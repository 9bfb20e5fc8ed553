"""Small tables that show in a minute on which settings each claim's effect depends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

_SIGNS = {"supported": "+", "not supported": "−", "undecided": "?"}
_BOUNDS = {">=": "≥", "<=": "≤", "~": "~", "": ""}
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


@dataclass(frozen=True)
class Cell:
    """A table's cell: text, and the verdict that it shows."""

    text: str = ""
    verdict: str = ""

    def __str__(self) -> str:
        return f"{self.text} {_SIGNS.get(self.verdict, '')}".rstrip() if self.text else ""


@dataclass(frozen=True)
class Glance:
    """A table: columns, blocks of rows (name, cells, role) under a condition each, and what stands above and below."""

    columns: list[str]
    above: str
    below: str
    blocks: list[tuple[str, list[tuple[str, list[Cell], str]]]] = field(default_factory=list)


def glance(claim: int, rows: pd.DataFrame) -> Glance:
    """One claim's numbers over the settings, from its rows of claims.csv (one or more)."""
    columns, body = {3: _accuracies, 4: _shares}.get(claim, _ratios)(rows)
    table = Glance(columns, _CAPTIONS[claim], f"{_SIGNS_NOTE}{_BOUNDS_NOTE if claim in (1, 2) else ''}.")
    for _, part in rows.groupby("condition_id", sort=False):
        table.blocks.append((str(part["condition"].iloc[0]), list(body(part))))
    return table


def _ratios(rows: pd.DataFrame) -> tuple:
    """A row for each comparison, a column for each threshold at which some network of the study got there."""
    measured = rows.groupby("threshold")["number"].apply(lambda numbers: numbers.notna().any())
    thresholds = sorted(measured.index[measured]) or sorted(measured.index)

    def body(part: pd.DataFrame) -> Iterator[tuple[str, list[Cell], str]]:
        for (_, comparison), own in part.groupby(["variant", "comparison"], sort=False):
            known = own.set_index("threshold")
            cells = [_ratio(known.loc[one]) if one in known.index else Cell() for one in thresholds]
            yield str(comparison), cells, str(own["role"].iloc[0])

    return ["", *(f"{threshold:g}" for threshold in thresholds)], body


def _ratio(row: pd.Series) -> Cell:
    if not np.isfinite(row["number"]):
        return Cell("-")
    number = f"{row['number']:.2f}" if row["number"] < _LARGE else f"{row['number']:.0f}"
    return Cell(_BOUNDS[row["bound"]] + number, str(row["verdict"]))


def _accuracies(rows: pd.DataFrame) -> tuple:
    """A row for each group of tasks: baseline, every network's accuracy, the gap, and how much of the gain is kept."""
    kinds = [kind for kind in ("autapse", "full", "random") if (rows["variant"] == kind).any()]

    def body(part: pd.DataFrame) -> Iterator[tuple[str, list[Cell], str]]:
        for group, own in part.groupby("subject", sort=False):
            by_kind, first = own.set_index("variant"), own.iloc[0]
            numbers = [first["baseline"], first["second"], *(by_kind["first"].get(kind, np.nan) for kind in kinds)]
            cells = [Cell(f"{number:.3f}" if np.isfinite(number) else "") for number in numbers]
            if "autapse" in by_kind.index:
                pool = by_kind.loc["autapse"]
                cells += [Cell(f"{pool['number']:+.3f}", str(pool["verdict"])), Cell(_kept(pool))]
            yield f"{group} tasks", cells, "claim"

    return ["", "always fixate", "best local", *kinds, "gap", "kept"], body


def _kept(pool: pd.Series) -> str:
    gain = pool["second"] - pool["baseline"]
    return f"{100 * (pool['first'] - pool['baseline']) / gain:.0f}%" if np.isfinite(gain) and gain > 0.02 else ""


def _shares(rows: pd.DataFrame) -> tuple:
    """A row for each network and way to measure."""

    def body(part: pd.DataFrame) -> Iterator[tuple[str, list[Cell], str]]:
        for _, row in part.iterrows():
            interval = f"{row['low']:.2f} to {row['high']:.2f}" if np.isfinite(row["low"]) else ""
            share = f"{row['number']:.2f}" if np.isfinite(row["number"]) else "-"
            yield (
                row["comparison"],
                [Cell(share, str(row["verdict"])), Cell(interval), Cell(str(row["seeds"]))],
                row["role"],
            )

    return ["", "share", "95%", "seeds"], body
