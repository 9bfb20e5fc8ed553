"""Speed at equal drive: areas under the learning curves with and without a rate of the recurrent weights' own.

Under Adam a neuron's drive moves by about rate times in-degree. A network is shown at its best learning rate with the
recurrent weights at the same rate as all others, and at the best pair of rate and recurrent rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import CONNECTIVITY, FIRST_AXES
from lmrnn.curves.identity import identity, panel_settings, without

if TYPE_CHECKING:
    from lmrnn.curves.tables import Sweep

_KEYS = ["drive_id", "connectivity_id", "budget"]
_PAIR = ["learning_rate", "recurrent_rate"]


def tuned_areas(sweep: Sweep, areas: pd.DataFrame) -> pd.DataFrame:
    """Area of each seed at the rates that are best for the other seeds, from the table ``areas``.

    One row per panel whatever its recurrent rate (``drive_id``), connectivity, ``tuned`` (whether the recurrent rate
    was chosen with the learning rate, or is 1), budget and seed: area, and the learning_rate and recurrent_rate of the
    highest mean area of the other seeds (of the seed itself where it is alone; of equals, the pair tried first), among
    pairs that no other outdoes in seeds. ``rate_at_edge`` and ``recurrent_at_edge`` say whether, in the pair that is
    best over all seeds, either is the smallest (``low``), the largest (``high``) or the ``only`` one of those tried
    beside the other, ``no`` otherwise; a rule by in-degree has no edge.
    """
    settings = {panel: panel_settings(sweep.results[i].spec) for i, panel in sweep.runs["panel_id"].items()}
    drives = {panel: identity(without(own, "recurrent_rate", "reference_degree")) for panel, own in settings.items()}
    factors = {panel: own["training"].get("recurrent_rate", 1.0) for panel, own in settings.items()}
    table = areas.assign(
        drive_id=areas["panel_id"].map(drives), recurrent_rate=areas["panel_id"].map(factors).astype(object)
    )
    rows: list[dict[str, Any]] = []
    for tuned in (False, True):
        part = table if tuned else table[[one == 1 for one in table["recurrent_rate"]]]
        for _, group in part.groupby(_KEYS, sort=False):
            rows += [{**row, "tuned": tuned} for row in _held_out(group)]
    lead = [name for name in [*FIRST_AXES, *CONNECTIVITY] if name in table]
    edges = ["rate_at_edge", "recurrent_at_edge"]
    columns = [*lead, "tuned", "budget", "seed", "area", *_PAIR, *edges, "drive_id", "connectivity_id"]
    return pd.DataFrame(rows, columns=columns)


def _held_out(group: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each seed, at the pair that is best for the others."""
    by_pair = group.pivot_table(index=_PAIR, columns="seed", values="area", sort=False)
    counts = by_pair.notna().sum(axis=1)
    able = by_pair[counts == counts.max()].dropna(axis=1)
    best = able.index[int(np.argmax(able.mean(axis=1)))]
    edges = {
        "rate_at_edge": _edge(best[0], [rate for rate, factor in by_pair.index if factor == best[1]]),
        "recurrent_at_edge": _edge(best[1], [factor for rate, factor in by_pair.index if rate == best[0]]),
    }
    rows = []
    for seed in able.columns:
        others = able.drop(columns=seed) if len(able.columns) > 1 else able
        pair = able.index[int(np.argmax(others.mean(axis=1)))]
        found = {**dict(zip(_PAIR, pair, strict=True)), "seed": seed, "area": able.loc[pair, seed]}
        rows.append({**group.iloc[0].to_dict(), **found, **edges})
    return rows


def _edge(best: object, tried: list[Any]) -> str:
    numbers = sorted(one for one in tried if isinstance(one, (int, float)))
    if not isinstance(best, (int, float)):
        return "no"
    if len(numbers) == 1:
        return "only"
    return {numbers[0]: "low", numbers[-1]: "high"}.get(best, "no")
