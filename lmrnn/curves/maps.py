"""When does locality help? Steps to threshold, full over local, by rate and threshold, and at equal synapses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import choose_rate, largest_size, restricted
from lmrnn.curves.statistics import median_interval

EQUAL = 0.3  # relative difference up to which numbers of synapses count as equal


def rate_threshold_map(times: pd.DataFrame) -> pd.DataFrame:
    """Steps to threshold of full over local networks, both at the same learning rate, for every rate and threshold.

    From `lmrnn.curves.tables.threshold_times`, the largest data size of each family. One row per panel, learning rate
    and threshold: restricted mean steps of the full network (``full_steps``) and of the best local one at that rate
    (``local_steps``, ``local``), over the seeds that both have, their ratio (above 1: local is faster; NaN where
    neither ever gets there or both are there before the first step), how many of how many cells got there, and
    ``bound``: ``>`` or ``<`` where the ratio is a bound because some cell never did, ``~`` where some cells of both
    never did, so that it is not even that.
    """
    shown = restricted(largest_size(times))
    shown = shown[shown["kind"].isin(["local", "full"])]
    keys = ["panel_id", "learning_rate", "threshold"]
    rows = []
    for (panel, rate, threshold), part in shown.groupby(keys, sort=False):
        kinds = [part[part["kind"] == kind] for kind in ("local", "full")]
        # means over other seeds differ for other reasons than the network
        seeds = set(kinds[0]["seed"]) & set(kinds[1]["seed"])
        local, full = (_best(own, seeds) for own in kinds)
        if local is not None and full is not None:
            where = {name: part[name].iloc[0] for name in ("panel", "tasks", "layout")}
            where |= {"learning_rate": rate, "threshold": threshold}
            rows.append({**where, **_compare(local, full), "panel_id": panel})
    columns = ["panel", "tasks", "layout", "learning_rate", "threshold", "local", "local_steps", "full_steps", "ratio"]
    return pd.DataFrame(rows, columns=[*columns, "bound", "local_reached", "full_reached", "cells", "panel_id"])


def _best(part: pd.DataFrame, seeds: set[int]) -> dict[str, Any] | None:
    """The connectivity of the smallest restricted mean steps, of those that have all the seeds."""
    part = part[part["seed"].isin(seeds)]
    part = part[part.groupby("connectivity_id")["seed"].transform("nunique") == len(seeds)]
    if part.empty:
        return None
    label, network = part.groupby(["connectivity", "connectivity_id"])["restricted"].mean().idxmin()
    own = part[part["connectivity_id"] == network]
    return {"name": label, "steps": own["restricted"].mean(), "reached": int(own["reached"].sum()), "cells": len(own)}


def _compare(local: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    never = local["reached"] == 0 and full["reached"] == 0
    none = never or (local["steps"] == 0 and full["steps"] == 0)
    late = (full["reached"] < full["cells"], local["reached"] < local["cells"])
    with np.errstate(divide="ignore", invalid="ignore"):  # local may be there before its first step
        ratio = np.nan if none else float(np.divide(full["steps"], local["steps"]))
    return {
        "local": local["name"],
        "local_steps": local["steps"],
        "full_steps": full["steps"],
        "ratio": ratio,
        "bound": "" if none else {(True, False): ">", (False, True): "<", (True, True): "~"}.get(late, ""),
        "local_reached": local["reached"],
        "full_reached": full["reached"],
        "cells": min(local["cells"], full["cells"]),
    }


def near_in_synapses(synapses: Any, others: Any) -> Any:
    """Whether numbers of synapses count as equal to others."""
    return abs(synapses - others) <= EQUAL * others


def equal_synapses(times: pd.DataFrame) -> pd.DataFrame:
    """Steps and seconds to threshold of networks with about as many synapses as the full one.

    From `lmrnn.curves.tables.threshold_times`, the largest data size. For each set of cells that differ in connectivity
    and neurons only, and in which a local network on more neurons has within 30% of the full network's synapses: one
    row per network, threshold and unit (steps, seconds), at the rate of the fewest steps (restricted mean): neurons,
    synapses, learning_rate, at_edge, median over seeds with its 95% interval, reached, seeds. Empty if there is none.
    """
    rows: list[dict[str, Any]] = []
    for group, part in restricted(times).groupby("any_size_id", sort=False):
        part = part[part["trials_per_task"] == part["trials_per_task"].max()]
        full = part[part["kind"] == "full"]
        if full.empty:
            continue
        size, synapses = full["network_neurons"].min(), full["synapses"].min()
        near = near_in_synapses(part["synapses"], synapses)
        matched = part[near & (part["kind"] == "local") & (part["network_neurons"] > size)]
        if len(matched):
            rows += _at_equal_synapses(pd.concat([full[full["network_neurons"] == size], matched]), str(group))
    columns = ["tasks", "layout", "network", "threshold", "median", "group_id"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def _at_equal_synapses(part: pd.DataFrame, group: str) -> list[dict[str, Any]]:
    keys = ["network_neurons", "connectivity_id", "threshold"]
    rows = []
    for (neurons, network, threshold), own in part.groupby(keys, sort=False):
        best = choose_rate(own.assign(score=-own["restricted"]), ["connectivity_id"], "score").iloc[0]
        cells = own[own["learning_rate"] == best["learning_rate"]].sort_values("seed")
        first = own.iloc[0]
        common = {
            **first[["tasks", "layout"]],
            "network": f"{first['connectivity']}, N = {neurons}",
            **first[["kind", "radius"]],
            "neurons": neurons,
            "synapses": int(first["synapses"]),
            "threshold": threshold,
            **best[["learning_rate", "at_edge"]],
            "seeds": len(cells),
            "reached": int(cells["reached"].sum()),
            "limit_steps": int(cells["limit_steps"].max()),
        }
        ids = {"panel": first["panel"], "group_id": group, "network_id": f"{network}-{neurons}"}
        for unit in ("steps", "seconds"):
            median, low, high = median_interval(cells[unit].to_numpy())
            rows.append({**common, "unit": unit, "median": median, "low": low, "high": high, **ids})
    return rows


# Every map by its name; the workflow makes each a file, from the times to threshold.
MAPS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "rate_threshold_map": rate_threshold_map,
    "equal_synapses": equal_synapses,
}
