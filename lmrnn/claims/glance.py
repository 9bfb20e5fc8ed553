"""Small tables that show in a minute on which settings each claim's effect depends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lmrnn.claims.controls import is_difference
from lmrnn.claims.limits import limits_table

_SIGNS = {"supported": "+", "not supported": "−", "undecided": "?"}
_BOUNDS = {">=": "≥", "<=": "≤", "~": "~", "": ""}
_LARGE = 20.0
_SIGNS_NOTE = "+ supported, − not supported, ? undecided"
_DIFFERENCES = "; controls have no verdict, * their own 95% bounds exclude no difference"
_RATIOS = (
    f"{_DIFFERENCES}; ≥, ≤ bounds, ~ both networks fail at times or always manage; - neither ever gets there, or both "
    "do with the smallest size"
)
_NOTES = {"area": _DIFFERENCES, "accuracy": _DIFFERENCES, "steps": _RATIOS, "trials": _RATIOS}
_CAPTIONS = {
    "area": "Mean decision accuracy during training (area under the learning curve), local minus full. Above "
    "0: local learns faster. This measure hardly depends on how often is evaluated.",
    "steps": "Steps to threshold of the first network over those of the second, by threshold. Above 1: local is "
    "faster.",
    "accuracy": "Test decision accuracy at each data size, local minus full. Above 0: local makes more of the data.",
    "trials": "Training trials per task to threshold of the first network over those of the second, by "
    "threshold. Above 1: local needs fewer.",
    "groups": "Decision accuracy by group of tasks. Gap: autapse minus best local. Kept: what autapses gain over "
    "always fixate, in percent of what the best local network gains. Supported: on base tasks a gap of at most .03, "
    "elsewhere of .20 or more; undecided also where local itself gains fewer than .20 over always fixate.",
    "rotation": "Angle by which the state advances over the target's; 1 is the target's pace, 0 a state that stands "
    "still. Supported: .8 to 1.25; not supported only of networks that answer half of the trials right.",
    "limits": "What other limits would give, by each row's own interval, not adjusted for the other rows; used are the "
    'limits of the verdicts. Where "as well" and "fail" begin is a convention.',
}


@dataclass(frozen=True)
class Cell:
    """A table's cell: text, and the verdict that it shows."""

    text: str = ""
    verdict: str = ""

    def __str__(self) -> str:
        sign = _SIGNS.get(self.verdict, "")
        return f"{self.text} {sign}".rstrip() if self.text != sign else sign


@dataclass(frozen=True)
class Glance:
    """A table: columns, blocks of rows (name, cells, role) under a condition each, and what stands above and below."""

    columns: list[str]
    above: str
    below: str
    blocks: list[tuple[str, list[tuple[str, list[Cell], str]]]] = field(default_factory=list)


def glances(claim: int, rows: pd.DataFrame) -> list[Glance]:
    """One claim's numbers over the settings, from its rows of claims.csv (one or more), by measure."""
    if claim in (1, 2):
        return [_glance(part, measure, *_by_column(part)) for measure, part in rows.groupby("measure", sort=False)]
    measure, (columns, body) = ("groups", _accuracies(rows)) if claim == 3 else ("rotation", _shares(rows))
    return [_glance(rows, measure, columns, body), *_limits(rows)]


def _glance(rows: pd.DataFrame, measure: str, columns: list[str], body: Callable) -> Glance:
    table = Glance(columns, _CAPTIONS[measure], f"{_SIGNS_NOTE}{_NOTES.get(measure, '')}.")
    for _, part in rows.groupby("condition_id", sort=False):
        table.blocks.append((str(part["condition"].iloc[0]), list(body(part))))
    return table


def _column(row: pd.Series) -> str:
    """What a row's column is called: its budget, data size or share of what can be reached, or else its threshold."""
    return str(row["subject"]) or f"{row['threshold']:g}"


def _by_column(rows: pd.DataFrame) -> tuple:
    """A row for each comparison, a column for each budget, size or threshold at which something was measured."""
    rows = rows.assign(column=rows.apply(_column, axis=1))
    measured = rows[rows["number"].notna()] if rows["number"].notna().any() else rows
    columns = [one for one in rows["column"].unique() if one in set(measured["column"])]

    def body(part: pd.DataFrame) -> Iterator[tuple[str, list[Cell], str]]:
        part = part.assign(column=part.apply(_column, axis=1))
        for (_, comparison), own in part.groupby(["variant", "comparison"], sort=False):
            known = own.drop_duplicates("column").set_index("column")
            cells = [_number(known.loc[one]) if one in known.index else Cell() for one in columns]
            yield str(comparison), cells, "claim" if own["variant"].iloc[0] == "best" else "control"

    return ["", *columns], body


def _number(row: pd.Series) -> Cell:
    if not np.isfinite(row["number"]):
        return Cell("-")
    if is_difference(row):
        number, none = f"{row['number']:+.3f}", 0.0
    else:
        number, none = (f"{row['number']:.2f}" if row["number"] < _LARGE else f"{row['number']:.0f}"), 1.0
    apart = "*" if not row["verdict"] and (row["low"] > none or row["high"] < none) else ""
    return Cell(_BOUNDS[row["bound"]] + number + apart, str(row["verdict"]))


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
            cells = [Cell(share, str(row["verdict"])), Cell(interval), Cell(str(row["seeds"]))]
            yield row["comparison"], cells, row["role"]

    return ["", "share", "95%", "seeds"], body


def _limits(rows: pd.DataFrame) -> Iterator[Glance]:
    """What other limits would give: a table for each set of limits."""
    table = limits_table(rows)
    for _, part in table.groupby(table.groupby(["condition", "comparison"])["limit"].transform("; ".join), sort=False):
        limits = part[["limit", "used"]].drop_duplicates().values
        columns = [f"{limit} (used)" if used else limit for limit, used in limits]
        found = Glance(["", *columns], _CAPTIONS["limits"], f"{_SIGNS_NOTE}.")
        for condition, own in part.groupby("condition", sort=False):
            lines = [
                (str(name), [Cell(_SIGNS[says], says) for says in line["says"]], "claim")
                for name, line in own.groupby("comparison", sort=False)
            ]
            found.blocks.append((str(condition), lines))
        yield found
