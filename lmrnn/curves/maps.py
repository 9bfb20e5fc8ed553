"""When does locality help? Steps to threshold, full over local, by rate and threshold, and at equal synapses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import choose_rate
from lmrnn.curves.statistics import median_interval

EQUAL = 0.3  # relative difference up to which numbers of synapses count as equal


def rate_threshold_map(times: pd.DataFrame) -> pd.DataFrame:
    """Steps to threshold of full over local networks, both at the same learning rate, for every rate and threshold.

    Parameters
    ----------
    times : pandas.DataFrame
        `lmrnn.curves.tables.threshold_times`; the largest data size of each family is used.

    Returns
    -------
    pandas.DataFrame
        One row per panel, learning rate and threshold: restricted mean steps of the full network (``full_steps``) and
        of the best local one at that rate (``local_steps``, ``local``), over the seeds that both have, their ratio
        (above 1: local is faster; NaN where neither ever gets there), how many of how many cells got there, and
        ``bound``: ``>`` or ``<`` where the ratio is a bound because some cell never did, ``~`` where some cells of both
        never did, so that it is not even that.
    """
    largest = times["trials_per_task"] == times.groupby("family")["trials_per_task"].transform("max")
    shown = times[largest & times["kind"].isin(["local", "full"])]
    shown = shown.assign(restricted=shown["steps"].where(shown["reached"], shown["limit_steps"]))
    keys = ["panel", "tasks", "layout", "learning_rate", "threshold"]
    rows = []
    for key, part in shown.groupby(keys, sort=False):
        local, full = (_best(part[part["kind"] == kind], _shared_seeds(part)) for kind in ("local", "full"))
        if local is not None and full is not None:
            rows.append({**dict(zip(keys, key, strict=True)), **_compare(local, full)})
    columns = [*keys, "local", "local_steps", "full_steps", "ratio", "bound", "local_reached", "full_reached", "cells"]
    return pd.DataFrame(rows, columns=columns)


def _shared_seeds(part: pd.DataFrame) -> set[int]:
    """Seeds that both kinds have: means over other seeds differ for other reasons than the network."""
    seeds = [set(part.loc[part["kind"] == kind, "seed"]) for kind in ("local", "full")]
    return seeds[0] & seeds[1]


def _best(part: pd.DataFrame, seeds: set[int]) -> dict[str, Any] | None:
    """The connectivity of the smallest restricted mean steps, of those that have all the seeds."""
    part = part[part["seed"].isin(seeds)]
    part = part[part.groupby("connectivity")["seed"].transform("nunique") == len(seeds)]
    if part.empty:
        return None
    name = part.groupby("connectivity")["restricted"].mean().idxmin()
    own = part[part["connectivity"] == name]
    return {"name": name, "steps": own["restricted"].mean(), "reached": int(own["reached"].sum()), "cells": len(own)}


def _compare(local: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    never = local["reached"] == 0 and full["reached"] == 0
    late = (full["reached"] < full["cells"], local["reached"] < local["cells"])
    return {
        "local": local["name"],
        "local_steps": local["steps"],
        "full_steps": full["steps"],
        "ratio": np.nan if never else full["steps"] / local["steps"],
        "bound": "" if never else {(True, False): ">", (False, True): "<", (True, True): "~"}.get(late, ""),
        "local_reached": local["reached"],
        "full_reached": full["reached"],
        "cells": min(local["cells"], full["cells"]),
    }


def near_in_synapses(synapses: Any, others: Any) -> Any:
    """Whether numbers of synapses count as equal to others."""
    return abs(synapses - others) <= EQUAL * others


def equal_synapses(times: pd.DataFrame) -> pd.DataFrame:
    """Steps and seconds to threshold of networks with about as many synapses as the full one.

    Parameters
    ----------
    times : pandas.DataFrame
        `lmrnn.curves.tables.threshold_times`; the largest data size is used.

    Returns
    -------
    pandas.DataFrame
        For each battery and layout in which a local network on more neurons has within 30% of the full network's
        synapses: one row per network, threshold and unit (steps, seconds), at the rate of the fewest steps (restricted
        mean): neurons, synapses, learning_rate, at_edge, median over seeds with its 95% interval, reached, seeds. Empty
        where there is none.
    """
    shown = times.assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))
    rows: list[dict[str, Any]] = []
    for (tasks, layout), part in shown.groupby(["tasks", "layout"], sort=False):
        part = part[part["trials_per_task"] == part["trials_per_task"].max()]
        full = part[part["kind"] == "full"]
        if full.empty:
            continue
        size, synapses = full["network_neurons"].min(), full["synapses"].min()
        matched = part[
            near_in_synapses(part["synapses"], synapses) & (part["kind"] == "local") & (part["network_neurons"] > size)
        ]
        if len(matched):
            both = pd.concat([full[full["network_neurons"] == size], matched])
            rows += _at_equal_synapses(both, {"tasks": tasks, "layout": layout})
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["tasks", "layout", "network", "threshold", "median"])


def _at_equal_synapses(part: pd.DataFrame, where: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for (neurons, name, threshold), own in part.groupby(["network_neurons", "connectivity", "threshold"], sort=False):
        best = choose_rate(own.assign(score=-own["restricted"]), ["connectivity"], "score").iloc[0]
        cells = own[own["learning_rate"] == best["learning_rate"]].sort_values("seed")
        common = {
            **where,
            "network": f"{name}, N = {neurons}",
            "kind": own["kind"].iloc[0],
            "radius": own["radius"].iloc[0],
            "neurons": neurons,
            "synapses": int(own["synapses"].iloc[0]),
            "threshold": threshold,
            "learning_rate": best["learning_rate"],
            "at_edge": best["at_edge"],
            "seeds": len(cells),
            "reached": int(cells["reached"].sum()),
            "limit_steps": int(cells["limit_steps"].max()),
        }
        for unit in ("steps", "seconds"):
            median, low, high = median_interval(cells[unit].to_numpy())
            rows.append({**common, "unit": unit, "median": median, "low": low, "high": high})
    return rows


MAPS = {"rate_threshold_map": rate_threshold_map, "equal_synapses": equal_synapses}
