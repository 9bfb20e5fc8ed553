"""Claim 1: how fast networks learn, full against best local, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from lmrnn.claims.best import Comparison, compare
from lmrnn.claims.measures import Measure, measures
from lmrnn.claims.networks import READ, Networks
from lmrnn.claims.verdicts import claim_row
from lmrnn.curves.comparison import largest_size
from lmrnn.curves.identity import number_texts
from lmrnn.tasks import task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

SAME_SEEDS = "chosen on the same seeds"  # a control: elsewhere each seed's networks are chosen on the other seeds


def speed_rows(
    runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Claim 1 and its controls as rows of claims.csv, for every panel of the largest data size and every measure.

    From `lmrnn.curves.comparison.prepare` and the same cells. Areas are differences in mean accuracy, local minus full;
    steps to a threshold are ratios, full over local. Thresholds that are reached without deciding anything are
    controls. So are networks chosen on the seeds they are measured on, every radius by itself, both networks at each
    learning rate, autapses in place of the full network, and random and matched ones against local ones of as many
    synapses.
    """
    for panel, part in largest_size(runs)[READ].groupby("panel_id", sort=False):
        if not {"full", "local"} <= set(part["kind"]):
            continue
        condition, networks = (str(panel), str(part["panel"].iloc[0])), Networks(part)
        for measure in measures(part, results, thresholds):
            common = {
                "threshold": measure.threshold if measure.name == "steps" else None,
                "budget": measure.budget,
                "measure": measure.name,
                "subject": measure.subject,
                "tasks": task_count(part["tasks"].iloc[0]),
                "unit": "ratio of steps" if measure.logarithmic else "difference in mean decision accuracy",
            }
            for variant, names, found in _comparisons(measure, networks):
                role = "claim" if variant == "best" and measure.decides else "control"
                words = comparison_text(*names, measure.logarithmic, f", {SAME_SEEDS}" * (variant == "same seeds"))
                yield claim_row(1, condition, words, variant, role=role, **common, **found.columns())


def comparison_text(first: str, second: str, ratio: bool, more: str = "") -> str:
    """What is compared: ``full / best local`` of costs, ``best local - full`` of accuracies."""
    return (f"{first} / {second}" if ratio else f"{second} - {first}") + more


def _comparisons(measure: Measure, networks: Networks) -> Iterator[tuple[str, tuple[str, str], Comparison]]:
    """Variant, names and comparison of everything that is compared by one measure of one panel."""
    costs, log = measure.costs, measure.logarithmic
    full, local = costs.of(networks.ids("full")), costs.of(networks.ids("local"))
    yield "best", ("full", "best local"), compare(full, local, log)
    yield "same seeds", ("full", "best local"), compare(full, local, log, held_out=False)
    if others := networks.ids("autapse"):
        yield "autapse", ("autapse", "best local"), compare(costs.of(others), local, log)
    for kind, names, control, alike in networks.at_equal_synapses():
        yield kind, names, compare(costs.of(control), costs.of(alike), log)
    for network, label in networks.radii():
        yield "network", ("full", label), compare(full, local.of({network}), log)
    rates = sorted({one.rate for one in full.settings} & {one.rate for one in local.settings})
    for rate, text in zip(rates, number_texts(rates), strict=True):
        found = compare(full.at_rate(rate), local.at_rate(rate), log)
        yield "rate", ("full", f"best local, both at {text}"), found.at_given_rate()
