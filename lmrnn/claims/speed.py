"""Claim 1: steps to threshold, full over best local, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from lmrnn.claims.ratios import Ratio, candidates, ratio_of_best
from lmrnn.claims.verdicts import claim_row
from lmrnn.curves.comparison import largest_size, restricted
from lmrnn.curves.identity import number_texts
from lmrnn.tasks import task_count

SAME_SEEDS = "chosen on the same seeds"  # a control: elsewhere each seed's networks are chosen on the other seeds
# control: the kind of connectivity that takes the place of the full network
CONTROLS = {"random of equal density": "random", "full with as many synapses": "full_matched"}


def speed_rows(times: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 1 and its controls as rows of claims.csv, for every panel of the largest data size and every threshold.

    From `lmrnn.curves.tables.threshold_times`. Controls: networks chosen on the seeds they are measured on, every
    radius by itself, random and matched networks in place of the full one, both at each learning rate.
    """
    limited = restricted(largest_size(times))
    for (panel, threshold), part in limited.groupby(["panel_id", "threshold"], sort=False):
        groups = {kind: candidates(part, kind) for kind in ("local", "full", *CONTROLS.values())}
        if groups["local"].empty or groups["full"].empty:
            continue
        condition = str(panel), str(part["panel"].iloc[0])
        common = {"threshold": threshold, "tasks": task_count(part["tasks"].iloc[0]), "unit": "ratio of steps"}
        for variant, comparison, found in _comparisons(groups, float(part["limit_steps"].max())):
            role = "claim" if variant == "best" else "control"
            yield claim_row(1, condition, comparison, variant, role=role, **common, **found.columns())


def _comparisons(groups: dict[str, pd.DataFrame], limit: float) -> Iterator[tuple[str, str, Ratio]]:
    """Variant, name and ratio of everything that is compared at one threshold of one panel."""
    full, local = groups["full"], groups["local"]
    yield "best", "full / best local", ratio_of_best(full, local, limit)
    yield "same seeds", f"full / best local, {SAME_SEEDS}", ratio_of_best(full, local, limit, held_out=False)
    for name, kind in CONTROLS.items():
        if len(groups[kind]):
            yield kind, f"{name} / best local", ratio_of_best(groups[kind], local, limit)
    networks = dict(zip(local.index.get_level_values("connectivity_id"), local.index, strict=True))
    for network, (label, *_) in networks.items() if len(networks) > 1 else ():
        chosen = local.index.get_level_values("connectivity_id") == network
        yield "network", f"full / {label}", ratio_of_best(full, local[chosen], limit)
    rates = [group.index.get_level_values("learning_rate") for group in (full, local)]
    shared = sorted(set(rates[0]) & set(rates[1]))
    for rate, text in zip(shared, number_texts(shared) if shared else (), strict=True):
        found = ratio_of_best(full[rates[0] == rate], local[rates[1] == rate], limit)
        # the rate is given, not chosen: it lies at no edge
        yield "rate", f"full / best local, both at {text}", replace(found, edges=(False, False))
