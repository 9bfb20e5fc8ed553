"""Speed at equal drive: areas under the learning curves with and without a rate of the recurrent weights' own.

Under Adam a neuron's drive moves by about rate times in-degree. A network is shown at its best learning rate with the
recurrent weights at the same rate as all others, and at the best pair of rate and recurrent rate; and at every pair,
beside how far the pair moves its drive in a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import CONNECTIVITY, FIRST_AXES
from lmrnn.curves.statistics import mean_interval
from lmrnn.study.since import with_defaults
from lmrnn.training.rates import IN_DEGREE

if TYPE_CHECKING:
    from lmrnn.curves.tables import Sweep

_KEYS = ["drive_id", "connectivity_id", "budget"]
PAIR = ["learning_rate", "recurrent_rate"]


def tuned_areas(sweep: Sweep, areas: pd.DataFrame) -> pd.DataFrame:
    """Area of each seed at the rates that are best for the other seeds, from the table ``areas``.

    One row per panel whatever its recurrent rate (``drive_id``), connectivity, ``tuned`` (whether the recurrent rate
    was chosen with the learning rate, or is 1), budget and seed: area, and the learning_rate and recurrent_rate of the
    highest mean area of the other seeds (of the seed itself where it is alone; of equals, the pair tried first), among
    pairs that no other outdoes in seeds. ``rate_at_edge`` and ``recurrent_at_edge`` say whether, in the pair that is
    best over all seeds, either is the smallest (``low``), the largest (``high``) or the ``only`` one of those tried
    beside the other, ``no`` otherwise; a rule by in-degree has no edge.
    """
    table = _with_drive(sweep, areas)
    rows: list[dict[str, Any]] = []
    for tuned in (False, True):
        part = table if tuned else table[[one == 1 for one in table["recurrent_rate"]]]
        for _, group in part.groupby(_KEYS, sort=False):
            rows += [{**row, "tuned": tuned} for row in _held_out(group)]
    edges = ["rate_at_edge", "recurrent_at_edge"]
    columns = [*_lead(table), "tuned", "budget", "seed", "area", *PAIR, *edges, "drive_id", "connectivity_id"]
    return pd.DataFrame(rows, columns=columns)


def drive(sweep: Sweep, areas: pd.DataFrame) -> pd.DataFrame:
    """Area at every pair of rates, from the table ``areas``.

    One row per panel whatever its recurrent rate (``drive_id``), connectivity, budget, learning_rate and
    recurrent_rate: ``drive``, by how much a step moves the summed recurrent input of a neuron whose inputs are all 1 if
    every weight moves by its rate (learning_rate x recurrent_rate x mean in-degree), the mean area over seeds with its
    bootstrap 95% interval low, high, and the number of seeds.
    """
    table, rows = _with_drive(sweep, areas), []
    for _, group in table.groupby([*_KEYS, *PAIR], sort=False):
        mean, low, high = mean_interval(group["area"].to_numpy()[:, None], sweep.bootstrap)
        interval = {"area": mean[0], "low": low[0], "high": high[0], "seeds": len(group)}
        rows.append({**group.iloc[0].to_dict(), **interval})
    measured = [*PAIR, "drive", "area", "low", "high", "seeds"]
    columns = ["drive_panel", *_lead(table), "budget", *measured, "drive_id", "family_id", "connectivity_id"]
    return pd.DataFrame(rows, columns=columns)


def _lead(table: pd.DataFrame) -> list[str]:
    """The columns that say of what network a row is."""
    return [name for name in [*FIRST_AXES, *CONNECTIVITY] if name in table]


def _with_drive(sweep: Sweep, areas: pd.DataFrame) -> pd.DataFrame:
    """The table of areas with the recurrent rate, what panels of different ones share, and the ``drive``."""
    first = sweep.runs.drop_duplicates("panel_id")
    shared = first.set_index("panel_id")
    training = {panel: with_defaults(sweep.results[cell].spec["training"]) for cell, panel in first["panel_id"].items()}
    degree = np.sqrt(areas["synapses"] * areas["density"])  # synapses / neurons, also of a matched network
    factors = [training[panel]["recurrent_rate"] for panel in areas["panel_id"]]
    moved = [
        training[panel]["reference_degree"] if factor == IN_DEGREE else factor * mean
        for panel, factor, mean in zip(areas["panel_id"], factors, degree, strict=True)
    ]
    return areas.assign(
        drive_panel=areas["panel_id"].map(shared["drive_panel"]),
        drive_id=areas["panel_id"].map(shared["drive_id"]),
        recurrent_rate=pd.Series(factors, areas.index, dtype=object),
        drive=areas["learning_rate"] * np.array(moved, dtype=float),
    )


def _held_out(group: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each seed, at the pair that is best for the others."""
    by_pair = group.pivot_table(index=PAIR, columns="seed", values="area", sort=False)
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
        found = {**dict(zip(PAIR, pair, strict=True)), "seed": seed, "area": able.loc[pair, seed]}
        rows.append({**group.iloc[0].to_dict(), **found, **edges})
    return rows


def _edge(best: object, tried: list[Any]) -> str:
    numbers = sorted(one for one in tried if isinstance(one, (int, float)))
    if not isinstance(best, (int, float)):
        return "no"
    if len(numbers) == 1:
        return "only"
    return {numbers[0]: "low", numbers[-1]: "high"}.get(best, "no")
