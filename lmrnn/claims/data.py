"""Claim 2: what networks learn from little data, full against best local."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.claims.best import compare
from lmrnn.claims.measures import thresholds_of
from lmrnn.claims.networks import READ, Networks
from lmrnn.claims.speed import comparison_text
from lmrnn.claims.trials import Sized, trials_ratio
from lmrnn.claims.verdicts import claim_row
from lmrnn.tasks import task_count

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

EARLY = ", maximum of validation"
_UNIT = "difference in decision accuracy"


def data_rows(
    runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Claim 2 and its controls as rows of claims.csv, for every family with two data sizes or more.

    From `lmrnn.curves.comparison.prepare` and the same cells. At each size, the test decision accuracy of the best
    local network minus the full one's, each at the setting of the highest validation accuracy over the other seeds; and
    at each threshold, the trials per task that full needs over those that local needs (`lmrnn.claims.trials`).
    Controls: thresholds that are reached without deciding anything, random and matched networks against local ones of
    as many synapses, every radius by itself, and the maximum of validation accuracy over each training (of which both
    networks have the benefit of a test on the trials that it was chosen on) instead of the test at its end.
    """
    runs = runs[READ]
    peaks = pd.Series([_peak(result) for result in results])
    tried = [(runs, ""), (runs.assign(final_validation=peaks, final_test=peaks), EARLY)]
    for _, own in runs.groupby("family_id", sort=False):
        if own["trials_per_task"].nunique() < 2:
            continue
        for stopped, more in tried:
            yield from _family_rows(stopped.loc[own.index], more, thresholds_of(results[own.index[0]], thresholds))


def _peak(result: CellResult) -> float:
    """Highest validation accuracy of a training, 0 where it diverged."""
    return float(np.nanmax(result.history["decision_accuracy"], initial=0.0)) if result.status == "completed" else 0.0


def _pairs(own: pd.DataFrame, main: bool) -> Iterator[tuple[str, tuple[str, str], set[str], set[str]]]:
    """Variant, names and ids of everything that is compared in a family; the first only if not `main`."""
    networks = Networks(own)
    full, local = networks.ids("full"), networks.ids("local")
    if full and local:
        yield ("best" if main else "early"), ("full", "best local"), full, local
    if main:
        yield from networks.at_equal_synapses()
        for network, label in networks.radii() if full else ():
            yield "network", ("full", label), full, {network}


def _family_rows(own: pd.DataFrame, more: str, thresholds: list[tuple[float, str, bool]]) -> Iterator[dict[str, Any]]:
    """Rows of one family, at each size and each threshold."""
    condition = str(own["family_id"].iloc[0]), str(own["family"].iloc[0])
    sized = Sized.of(own)
    for variant, names, first, second in _pairs(own, not more):
        role = "claim" if variant == "best" else "control"
        common = {"tasks": task_count(own["tasks"].iloc[0])}
        groups = sized.of_networks(first), sized.of_networks(second)
        for size in [size for size in groups[0].sizes if size in groups[1].sizes]:
            found = compare(groups[0].costs(size), groups[1].costs(size))
            yield claim_row(
                2, condition, comparison_text(*names, ratio=False, more=more), variant, role=role, unit=_UNIT,
                measure="accuracy", subject=f"{size:,} trials per task", **common, **found.columns(),
            )  # fmt: skip
        for threshold, name, decides in thresholds:
            measured = trials_ratio(*groups, threshold)
            if measured is not None:
                yield claim_row(
                    2, condition, comparison_text(*names, ratio=True, more=more), variant,
                    role=role if decides else "control", unit="ratio of trials per task", measure="trials",
                    subject=name, threshold=threshold, **common, **measured,
                )  # fmt: skip
