"""The paper's four claims, each as a number with its interval and a verdict (Khona, Chandra, Ma and Fiete 2023).

1. Sparse local networks train faster than full ones: steps to threshold, full over best local.
2. They need less data: trials per task to threshold, full over best local.
3. A pool of autapses solves the 20 tasks, but not Mod-Cog: its decision accuracy minus the best local network's.
4. Mod-Cog's int and seq tasks are solved by rotation along a ring: angle advanced per time step over the target's.

A verdict is what the interval over seeds allows to say: supported, not supported or undecided. A ratio that rests on a
best learning rate at the edge of those tried is undecided where the network that lost could have been faster yet. With
three seeds the bootstrap's interval is their range, and where nothing differs all three still lie on the same side of 1
in a quarter of studies; strict_verdict is therefore what Student's t interval allows to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from lmrnn.claims.autapses import autapse_rows
from lmrnn.claims.controls import controls_of
from lmrnn.claims.data import data_rows
from lmrnn.claims.rotation import rotation_rows
from lmrnn.claims.speed import speed_rows
from lmrnn.claims.verdicts import COLUMNS, STATEMENTS
from lmrnn.curves.comparison import prepare
from lmrnn.curves.tables import threshold_times
from lmrnn.tasks import task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult


def compute(
    table: pd.DataFrame,
    results: Sequence[CellResult],
    thresholds: Sequence[float],
    headline: float = 0.5,
    rotation: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """All claims and their controls, one row each, for every battery, layout and threshold of a study.

    From the table of cells and the same cells in the same order without weights, and the rotation of
    `lmrnn.analysis.tables`, without which claim 4 is left out. Columns are `COLUMNS`: role is ``claim`` or ``control``;
    number, low and high are NaN where the study lacks what is to be compared, with verdict undecided. low and high are
    the bootstrap's interval and give the verdict; t_low and t_high are Student's and give strict_verdict. first and
    second are the two sides of a ratio or difference, baseline what always fixating reaches, controls what speaks for
    or against a claim, in one line. Headlines are the rows on the largest battery at the threshold nearest to
    `headline` of those at which there is something to compare.
    """
    runs = prepare(table, results)
    thresholds = list(dict.fromkeys(thresholds))
    times = threshold_times(runs, results, thresholds)
    rows = [*speed_rows(times), *data_rows(runs, results, thresholds), *autapse_rows(runs, results)]
    if rotation is not None:
        rows += rotation_rows(rotation)
    most = max(task_count(tasks) for tasks in runs["tasks"])
    for row in rows:
        row["statement"] = STATEMENTS[row["claim"]]
        row["headline"] = row["role"] == "claim" and (row.pop("tasks") == most or row["claim"] == 3)
    table = pd.DataFrame(rows, columns=COLUMNS)
    claims = table["role"] == "claim"
    table["headline"] &= _nearest_threshold(table, headline)
    table["controls"] = ""
    for place in table.index[claims]:
        table.loc[place, "controls"] = controls_of(table.loc[place], table)
    return table


def _nearest_threshold(table: pd.DataFrame, wanted: float) -> pd.Series:
    """Whether a row has its condition's nearest threshold of those with a number, or none is needed."""
    chosen = table["threshold"].isna()
    for _, part in table[table["headline"] & ~chosen].groupby(["claim", "condition_id"], sort=False):
        measured = part[part["number"].notna()] if part["number"].notna().any() else part
        chosen[(measured["threshold"].astype(float) - wanted).abs().idxmin()] = True
    return chosen
