"""The paper's four claims, each as numbers with their intervals and verdicts (Khona, Chandra, Ma and Fiete 2023).

1. Sparse local networks learn faster than full ones: area under the learning curve, and steps to a threshold.
2. They need less data: accuracy at each data size, and trials per task to a threshold.
3. A pool of autapses solves the 20 tasks, but not Mod-Cog: its decision accuracy minus the best local network's.
4. Mod-Cog's int and seq tasks are solved by rotation along a ring: angle advanced per time step over the target's.

Each network is at its best setting, and none is chosen on the seeds on which it is measured: numbers are of the setting
that is best on the other seeds, intervals hold for the best whichever it is (`lmrnn.claims.bounds`). A verdict is what
the p value allows to say after adjustment for all rows of a claim (`lmrnn.claims.verdicts`): supported, not supported,
or undecided, with the reason. Without a difference, studies get any verdict on a claim in 5% at most; how large a
difference they find, `python -m lmrnn.claims.simulation` prints.
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
from lmrnn.claims.verdicts import COLUMNS, STATEMENTS, judge
from lmrnn.curves.comparison import prepare
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
    """All claims and their controls, one row each, for every battery, layout, measure and threshold of a study.

    From the table of cells and the same cells in the same order without weights, and the rotation of
    `lmrnn.analysis.tables`, without which claim 4 is left out. Columns are `COLUMNS`: role is ``claim`` or ``control``,
    which has no verdict; number, low and high (its 95% bounds) are NaN where the study lacks what is to be compared. p
    is a row's own two-sided p value, p_holm that adjusted for all of the claim's rows. first and second are the two
    sides of a ratio or difference, baseline what always fixating reaches, controls what speaks for or against a claim,
    in one line. Headlines are rows on the largest battery: areas up to all of the training, accuracies, and the
    threshold above what is reached without deciding anything that is nearest to `headline`, where there is something to
    compare.
    """
    runs = prepare(table, results)
    thresholds = list(dict.fromkeys(thresholds))
    rows = [
        *speed_rows(runs, results, thresholds),
        *data_rows(runs, results, thresholds),
        *autapse_rows(runs, results),
        *(rotation_rows(rotation) if rotation is not None else ()),
    ]
    judge(rows)
    most = max(task_count(tasks) for tasks in runs["tasks"])
    for row in rows:
        row["statement"] = STATEMENTS[row["claim"]]
        row["headline"] = row["role"] == "claim" and (row.pop("tasks") == most or row["claim"] == 3)
    table = pd.DataFrame(rows, columns=COLUMNS)
    claims = table["role"] == "claim"
    table["headline"] &= _headlines(table, headline)
    table["controls"] = ""
    for place in table.index[claims]:
        table.loc[place, "controls"] = controls_of(table.loc[place], table)
    return table


def _headlines(table: pd.DataFrame, wanted: float) -> pd.Series:
    """Whether a row has its condition's largest budget, or the nearest threshold of those with a number, or neither."""
    chosen = table["threshold"].isna() & table["budget"].isna()
    rows = table[table["headline"].astype(bool)]
    for _, part in rows[rows["budget"].notna()].groupby(["claim", "condition_id"], sort=False):
        chosen[part["budget"].astype(float).idxmax()] = True
    measured = rows[rows["threshold"].notna() & rows["number"].notna()]
    for _, part in measured.groupby(["claim", "condition_id"], sort=False):
        chosen[(part["threshold"].astype(float) - wanted).abs().idxmin()] = True
    return chosen
