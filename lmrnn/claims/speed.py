"""Claim 1: steps to threshold, full over best local, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from lmrnn.claims.ratios import Ratio, candidates, ratio_of_best
from lmrnn.claims.verdicts import SAME_SEEDS, claim_row
from lmrnn.tasks import task_count

# control: the kind of connectivity that takes the place of the full network
CONTROLS = {"random of equal density": "random", "full with as many synapses": "full_matched"}


def speed_rows(times: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 1 and its controls for every panel of the largest data size, and every threshold.

    Parameters
    ----------
    times : pandas.DataFrame
        From `lmrnn.curves.tables.threshold_times`.

    Yields
    ------
    dict
        A row of claims.csv. Controls: networks chosen on the seeds they are measured on, every radius by itself, random
        and matched networks in place of the full one, both at each learning rate.
    """
    largest = times["trials_per_task"] == times.groupby("family")["trials_per_task"].transform("max")
    limited = times[largest].assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))
    for (panel, threshold), part in limited.groupby(["panel", "threshold"], sort=False):
        groups = {kind: candidates(part, kind) for kind in ("local", "full", *CONTROLS.values())}
        if groups["local"].empty or groups["full"].empty:
            continue
        common = {"threshold": threshold, "tasks": task_count(part["tasks"].iloc[0]), "unit": "ratio of steps"}
        for role, comparison, found in _comparisons(groups, float(part["limit_steps"].max())):
            yield claim_row(1, str(panel), comparison, role=role, **common, **found.columns())


def _comparisons(groups: dict[str, pd.DataFrame], limit: float) -> Iterator[tuple[str, str, Ratio]]:
    """Role, name and ratio of everything that is compared at one threshold of one panel."""
    full, local = groups["full"], groups["local"]
    yield "claim", "full / best local", ratio_of_best(full, local, limit)
    yield "control", f"full / best local, {SAME_SEEDS}", ratio_of_best(full, local, limit, held_out=False)
    for name, kind in CONTROLS.items():
        if len(groups[kind]):
            yield "control", f"{name} / best local", ratio_of_best(groups[kind], local, limit)
    radii = local.index.get_level_values("connectivity")
    for name in radii.unique() if radii.nunique() > 1 else ():
        yield "control", f"full / {name}", ratio_of_best(full, local[radii == name], limit)
    rates = [group.index.get_level_values("learning_rate") for group in (full, local)]
    for rate in sorted(set(rates[0]) & set(rates[1])):
        found = ratio_of_best(full[rates[0] == rate], local[rates[1] == rate], limit)
        # the rate is given, not chosen: it lies at no edge
        yield "control", f"full / best local, both at {rate:g}", replace(found, edges=(False, False))
