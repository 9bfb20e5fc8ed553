"""The numbers of docs/findings.md, from the tables in docs/results: a test holds the page to them."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd

from lmrnn.claims.best import Setting, Settings, compare

STUDY = "lottery_first"
BUDGETS = (500, 1000, 2000)
THRESHOLDS = (0.5, 0.7)
EVERY = 50  # steps between evaluations
_read = runpy.run_path(str(Path(__file__).with_name("results.py")))["read"]


def _costs(rows: pd.DataFrame, kind: str, column: str) -> tuple[tuple[Setting, ...], tuple[int, ...], np.ndarray]:
    """The settings of a kind of network, the seeds, and a column of their rows, (settings, seeds)."""
    keys = ["learning_rate", "recurrent_rate"]
    table = rows[rows["kind"] == kind].pivot_table(index=keys, columns="seed", values=column)
    named = tuple(Setting(f"{kind}, recurrent rate {factor:g}", kind, rate) for rate, factor in table.index)
    return named, tuple(table.columns), table.to_numpy()


def _areas(rows: pd.DataFrame, kind: str) -> Settings:
    """What each setting of a kind of network costs each seed: minus its area."""
    *names, area = _costs(rows, kind, "area")
    return Settings(*names, *[-area] * 4)


def _times(rows: pd.DataFrame, kind: str) -> Settings:
    """The same in logarithms of steps to a threshold, which lie between two evaluations or beyond the training."""
    *names, steps = _costs(rows.assign(steps=rows["steps"].fillna(np.inf)), kind, "steps")
    limit = float(rows["limit_steps"].max())
    after = np.where(np.isinf(steps), np.inf, np.ceil(steps / EVERY) * EVERY)
    before = np.where(np.isinf(steps), limit, after - EVERY)
    low, value, high = np.log([np.maximum(before, 1), np.minimum(steps, limit), after])
    return Settings(*names, low, value, high, value)


def _parts(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of the networks whose weights share one rate, and all."""
    return [("one rate for all weights", rows[rows["recurrent_rate"] == 1]), ("with a recurrent rate of its own", rows)]


def lines() -> list[str]:
    """Rows of the table: area of each at its best, held out, and local minus full with bounds that choose nothing."""
    found = []
    for words, part in _parts(_read(STUDY, "curves/areas")):
        for budget in BUDGETS:
            now = part[part["budget"] == budget]
            made = compare(_areas(now, "full"), _areas(now, "local"))
            difference = f"{made.number:.3f} ({made.low:.3f} to {made.high:.3f})"
            found.append(f"| {words} | {budget:,} | {made.first:.3f} | {made.second:.3f} | {difference} |")
    return found


def steps() -> list[str]:
    """Rows of the table of steps to a threshold: of each at its best, held out, and full over local."""
    factors = _read(STUDY, "curves/areas").drop_duplicates("panel_id").set_index("panel_id")["recurrent_rate"]
    times, found = _read(STUDY, "curves/threshold_times"), []
    for words, part in _parts(times.assign(recurrent_rate=times["panel_id"].map(factors))):
        for threshold in THRESHOLDS:
            now = part[part["threshold"] == threshold]
            made = compare(_times(now, "full"), _times(now, "local"), logarithmic=True)
            high = f"{made.high:.2f}" if np.isfinite(made.high) else "any"
            ratio = f"{'at least ' * (made.bound == '>=')}{made.number:.2f} ({made.low:.2f} to {high})"
            found.append(f"| {words} | {threshold:g} | {made.first:,.0f} | {made.second:,.0f} | {ratio} |")
    return found


def ends() -> list[str]:
    """Rows of the table of ends: test decision accuracy after 2,000 steps, mean and range over seeds."""
    found = []
    for keys, part in _read(STUDY, "cells").groupby(["kind", "learning_rate", "recurrent_rate"], sort=True):
        accuracy = part["test_decision_accuracy"]
        spread = f"{accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f})"
        found.append(f"| {keys[0]} | {keys[1]:g} | {keys[2]:g} | {len(part)} | {spread} |")
    return found


if __name__ == "__main__":
    print(*lines(), "", *steps(), "", *ends(), sep="\n")
