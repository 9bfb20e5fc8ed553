"""The numbers of docs/findings.md, from the tables in docs/results: a test holds the page to them."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd

from lmrnn.claims.bounds import LEVEL, lower_bound

STUDY = "lottery_first"
_read = runpy.run_path(str(Path(__file__).with_name("results.py")))["read"]


def _by_setting(areas: pd.DataFrame, kind: str, tuned: bool) -> np.ndarray:
    """Areas of a kind of network, (settings, seeds); without a recurrent rate of its own where not `tuned`."""
    part = areas[(areas["kind"] == kind) & (tuned | (areas["recurrent_rate"] == 1))]
    return part.pivot_table(index=["learning_rate", "recurrent_rate"], columns="seed", values="area").to_numpy()


def lines() -> list[str]:
    """Rows of the table: area of each at its best, held out, and local minus full with bounds that choose nothing."""
    areas, held_out = _read(STUDY, "curves/areas"), _read(STUDY, "curves/tuned_areas")
    found = []
    for tuned in (False, True):
        for budget in (500, 1000, 2000):
            part = held_out[(held_out["budget"] == budget) & (held_out["tuned"] == tuned)]
            by_seed = part.pivot_table(index="kind", columns="seed", values="area")
            now = areas[areas["budget"] == budget]
            full, local = _by_setting(now, "full", tuned), _by_setting(now, "local", tuned)
            # costs are minus areas: best of first - best of second is full's loss against local
            low, high = lower_bound(-full, -local, LEVEL), -lower_bound(-local, -full, LEVEL)
            difference = (by_seed.loc["local"] - by_seed.loc["full"]).mean()
            mean = by_seed.mean(axis=1)
            rate = "with a recurrent rate of its own" if tuned else "one rate for all weights"
            numbers = f"{mean['full']:.3f} | {mean['local']:.3f} | {difference:.3f} ({low:.3f} to {high:.3f})"
            found.append(f"| {rate} | {budget:,} | {numbers} |")
    return found


def ends() -> list[str]:
    """Rows of the table of ends: test decision accuracy after 2,000 steps, mean and range over seeds."""
    cells = _read(STUDY, "cells")
    found = []
    for keys, part in cells.groupby(["kind", "learning_rate", "recurrent_rate"], sort=True):
        accuracy = part["test_decision_accuracy"]
        spread = f"{accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f})"
        found.append(f"| {keys[0]} | {keys[1]:g} | {keys[2]:g} | {len(part)} | {spread} |")
    return found


if __name__ == "__main__":
    print(*lines(), "", *ends(), sep="\n")
