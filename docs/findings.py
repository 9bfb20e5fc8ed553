"""The numbers of docs/findings.md, from the tables in docs/results: a test holds the page to them."""

import runpy
from pathlib import Path

import pandas as pd

from lmrnn.claims.best import Setting, Settings, compare

STUDY = "lottery_first"
BUDGETS = (500, 1000, 2000)
_read = runpy.run_path(str(Path(__file__).with_name("results.py")))["read"]


def _settings(areas: pd.DataFrame, kind: str) -> Settings:
    """What each setting of a kind of network costs each seed: minus its area."""
    part = areas[areas["kind"] == kind]
    table = -part.pivot_table(index=["learning_rate", "recurrent_rate"], columns="seed", values="area")
    named = tuple(Setting(f"{kind}, recurrent rate {factor:g}", kind, rate) for rate, factor in table.index)
    return Settings(named, tuple(table.columns), *[table.to_numpy()] * 4)


def lines() -> list[str]:
    """Rows of the table: area of each at its best, held out, and local minus full with bounds that choose nothing."""
    areas, found = _read(STUDY, "curves/areas"), []
    shared = areas[areas["recurrent_rate"] == 1]
    for words, part in (("one rate for all weights", shared), ("with a recurrent rate of its own", areas)):
        for budget in BUDGETS:
            now = part[part["budget"] == budget]
            made = compare(_settings(now, "full"), _settings(now, "local"))
            difference = f"{made.number:.3f} ({made.low:.3f} to {made.high:.3f})"
            found.append(f"| {words} | {budget:,} | {made.first:.3f} | {made.second:.3f} | {difference} |")
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
    print(*lines(), "", *ends(), sep="\n")
