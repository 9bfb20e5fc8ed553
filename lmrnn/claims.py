"""The paper's four claims, each as a number with its interval and a verdict (Khona, Chandra, Ma and Fiete 2023).

1. Sparse local networks train faster than full ones: steps to threshold, full over best local.
2. They need less data: trials per task to threshold, full over best local.
3. A pool of autapses solves the 20 tasks, but not Mod-Cog: its decision accuracy minus the best local network's.
4. Mod-Cog's int and seq tasks are solved by rotation along a ring: angle advanced per time step over the target's.

A verdict is what the interval over seeds allows to say: supported, not supported or undecided. A ratio that rests on a
best learning rate at the edge of those tried is undecided where the network that lost could have been faster yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lmrnn.comparison import best_rates, prepare
from lmrnn.curves import seed_trials_to_threshold, threshold_times
from lmrnn.summary import paired_interval
from lmrnn.tasks.battery import battery

if TYPE_CHECKING:
    from lmrnn.cells import CellResult

ENOUGH_SEEDS = 3
STATEMENTS = {
    1: "Local networks reach the threshold in fewer training steps than full ones",
    2: "Local networks need fewer training trials per task than full ones",
    3: "Autapses match local networks on the 20 tasks, but not on Mod-Cog",
    4: "Seq and int tasks are solved by rotation along a ring, one step of the ring per 100 ms",
}
COLUMNS = [
    "claim", "statement", "condition", "threshold", "comparison", "role", "number", "low", "high", "unit", "seeds",
    "verdict", "headline", "detail",
]  # fmt: skip
AT_PAR, FAR_BEHIND = -0.03, -0.20  # differences in accuracy of claim 3
ON_TARGET = (0.8, 1.25)  # share of the target's rotation that counts as following it
# how a network is called in comparisons, and which cells it may be taken from
_CONTROLS = {"random of equal density": "random", "full with as many synapses": "full_matched"}


def compute(
    table: pd.DataFrame,
    results: Sequence[CellResult],
    thresholds: Sequence[float],
    headline: float = 0.7,
    rotation: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """All claims and their controls, one row each, for every battery, layout and threshold of a study.

    Parameters
    ----------
    table : pandas.DataFrame
        Table of the cells, one row per cell.
    results : sequence of CellResult
        The same cells in the same order; weights are not needed.
    thresholds : sequence of float
        Decision accuracies.
    headline : float
        The threshold (the nearest of `thresholds`) whose rows, on the largest battery, are the headlines.
    rotation : pandas.DataFrame, optional
        From `lmrnn.analysis`: one row per network and task; without it claim 4 is left out.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. role is ``claim`` or ``control``; number, low and high are NaN where the study lacks what is
        to be compared, with verdict undecided.
    """
    runs = prepare(table, results)
    times = threshold_times(runs, results, thresholds)
    nearest = min(thresholds, key=lambda one: abs(one - headline))
    most = max(_task_count(tasks) for tasks in runs["tasks"])
    rows = [*_speed_rows(times), *_data_rows(runs, thresholds), *_autapse_rows(runs, results)]
    if rotation is not None:
        rows += list(_rotation_rows(rotation))
    for row in rows:
        row["statement"] = STATEMENTS[row["claim"]]
        at_headline = row["threshold"] in (nearest, None)
        row["headline"] = row["role"] == "claim" and at_headline and (row.pop("tasks") == most or row["claim"] == 3)
    return pd.DataFrame(rows, columns=COLUMNS)


def _task_count(tasks: Any) -> int:
    return int(tasks) if str(tasks).isdigit() else 60 if tasks == "seq60" else str(tasks).count("+") + 1


def verdict_of_ratio(low: float, high: float, seeds: int, loser_at_edge: tuple[bool, bool] = (False, False)) -> str:
    """What the interval of a ratio says of the claim that it is greater than one.

    Parameters
    ----------
    low, high : float
        Interval; NaN where there is none.
    seeds : int
        Number of seeds.
    loser_at_edge : tuple of bool
        Whether the upper and the lower network's best rate lies at the edge of those tried: more rates could make it
        better, which matters when it lost.

    Returns
    -------
    str
        ``supported``, ``not supported`` or ``undecided``.
    """
    if seeds < ENOUGH_SEEDS or not (np.isfinite(low) or np.isfinite(high)):
        return "undecided"
    if low > 1:
        return "undecided" if loser_at_edge[0] else "supported"
    if high < 1:
        return "undecided" if loser_at_edge[1] else "not supported"
    return "undecided"


def _row(claim: int, condition: str, comparison: str, **values: Any) -> dict[str, Any]:
    blank = {"threshold": None, "role": "claim", "number": np.nan, "low": np.nan, "high": np.nan, "seeds": 0}
    return {**blank, "claim": claim, "condition": condition, "comparison": comparison, "verdict": "undecided", **values}


# --- claim 1: steps to threshold -------------------------------------------------------------------------------------


def candidates(times: pd.DataFrame, kind: str, value: str = "restricted") -> pd.DataFrame:
    """Every connectivity of a kind at every learning rate, seed by seed.

    Parameters
    ----------
    times : pandas.DataFrame
        Rows of one panel and threshold from `lmrnn.curves.threshold_times`, with a column `value`.
    kind : str
        Kind of connectivity.
    value : str
        Column.

    Returns
    -------
    pandas.DataFrame
        Index connectivity and learning_rate, a column per seed; NaN where that cell was not trained.
    """
    rows = times[times["kind"] == kind]
    return rows.pivot_table(index=["connectivity", "learning_rate"], columns="seed", values=value)


def ratio_of_best(upper: pd.DataFrame, lower: pd.DataFrame) -> dict[str, Any]:
    """Restricted mean steps of the best of one group over that of the best of another.

    The best (connectivity and learning rate) is the one of the smallest mean over seeds, chosen anew in every resample of
    the bootstrap, so that the interval includes the luck of the choice.

    Parameters
    ----------
    upper, lower : pandas.DataFrame
        From `candidates`; seeds that both have are used, and candidates that have them all.

    Returns
    -------
    dict
        number, low, high, seeds, the names of both choices (``upper``, ``lower``) and whether each lies at the edge of
        the rates tried (``edges``). number is NaN if nothing can be compared.
    """
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    upper_full, lower_full = upper.reindex(columns=seeds).dropna(), lower.reindex(columns=seeds).dropna()
    if not seeds or upper_full.empty or lower_full.empty:
        return {"number": np.nan, "low": np.nan, "high": np.nan, "seeds": 0, "upper": "", "lower": "", "edges": (False,) * 2}

    def statistic(index: np.ndarray) -> np.ndarray:  # (resamples, seeds) of positions of seeds
        index = index.astype(int)
        means = [group.to_numpy()[:, index].mean(axis=-1).min(axis=0) for group in (upper_full, lower_full)]
        return means[0] / means[1]

    number, low, high = paired_interval([np.arange(len(seeds))], statistic)
    chosen = [group.mean(axis=1).idxmin() for group in (upper_full, lower_full)]
    edges = tuple(_at_edge(group, best) for group, best in zip((upper, lower), chosen, strict=True))
    names = [f"{name} at {rate:g}" for name, rate in chosen]
    return {"number": number, "low": low, "high": high, "seeds": len(seeds), "upper": names[0], "lower": names[1], "edges": edges}


def _at_edge(group: pd.DataFrame, best: tuple[str, float]) -> bool:
    """Whether the best rate is the smallest or largest tried with that connectivity (by any seed)."""
    rates = group.loc[[best[0]]].index.get_level_values("learning_rate")
    return best[1] in (rates.min(), rates.max())


def _speed_rows(times: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Claim 1 and its controls for every panel of the largest data size, and every threshold."""
    largest = times["trials_per_task"] == times.groupby("family")["trials_per_task"].transform("max")
    limited = times[largest].assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))
    for (panel, threshold), part in limited.groupby(["panel", "threshold"], sort=False):
        groups = {kind: candidates(part, kind) for kind in ("local", "full", "random", "full_matched")}
        common = {"threshold": threshold, "tasks": _task_count(part["tasks"].iloc[0])}
        if groups["local"].empty or groups["full"].empty:
            continue
        yield _speed_row(panel, part, groups["full"], groups["local"], "full / best local", **common)
        for name, kind in _CONTROLS.items():
            if len(groups[kind]):
                yield _speed_row(panel, part, groups[kind], groups["local"], f"{name} / best local", role="control", **common)
        shared = set(groups["full"].index.get_level_values(1)) & set(groups["local"].index.get_level_values(1))
        for rate in sorted(shared):
            pair = (group[group.index.get_level_values(1) == rate] for group in (groups["full"], groups["local"]))
            yield _speed_row(panel, part, *pair, f"full / best local, both at {rate:g}", role="control", **common)


def _speed_row(panel: str, part: pd.DataFrame, upper: pd.DataFrame, lower: pd.DataFrame, comparison: str, **common: Any) -> dict:
    found = ratio_of_best(upper, lower)
    edges = found.pop("edges") if "both at" not in comparison else (found.pop("edges"), (False, False))[1]
    detail = f"{found.pop('upper')} over {found.pop('lower')}{_edge_text(edges)}{_censored_text(part, upper, lower)}"
    return _row(
        1, panel, comparison, **common, **found, unit="ratio of steps", detail=detail,
        verdict=verdict_of_ratio(found["low"], found["high"], found["seeds"], edges),
    )  # fmt: skip


def _edge_text(edges: tuple[bool, bool]) -> str:
    words = [word for word, edge in zip(("first", "second"), edges, strict=True) if edge]
    return f"; the {' and the '.join(words)} at the edge of the rates tried" if words else ""


def _censored_text(part: pd.DataFrame, upper: pd.DataFrame, lower: pd.DataFrame) -> str:
    """Say that a ratio is a bound only, where a chosen network has seeds that never got there."""
    limit = part["limit_steps"].max()
    if upper.empty or lower.empty:
        return ""
    late = [bool((group.loc[group.mean(axis=1).idxmin()] >= limit).any()) for group in (upper, lower)]
    return {(True, False): "; at least this", (False, True): "; at most this", (True, True): "; neither always gets there"}.get(
        (late[0], late[1]), ""
    )


# --- claim 2: trials per task to threshold ---------------------------------------------------------------------------


def _data_rows(runs: pd.DataFrame, thresholds: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Claim 2 and its controls for every family with two data sizes or more."""
    needed = seed_trials_to_threshold(runs, best_rates(runs), thresholds)
    if needed.empty:
        return
    for (family, threshold), part in needed.groupby(["family", "threshold"], sort=False):
        bounded = part.assign(log=np.log(part["trials"].clip(upper=part["largest"])))
        groups = {
            kind: bounded[bounded["kind"] == kind].pivot_table(index="connectivity", columns="seed", values="log")
            for kind in ("local", "full", "random", "full_matched")
        }
        tasks = _task_count(part["tasks"].iloc[0])
        for kind, comparison in {"full": "full", **{kind: name for name, kind in _CONTROLS.items()}}.items():
            if len(groups[kind]) and len(groups["local"]):
                role = "claim" if kind == "full" else "control"
                values = _geometric_ratio(groups[kind], groups["local"])
                text = f"reached by {part[part['kind'] == kind]['reached'].sum()} of {(part['kind'] == kind).sum()} and "
                text += f"{part[part['kind'] == 'local']['reached'].sum()} of {(part['kind'] == 'local').sum()} cells"
                yield _row(
                    2, family, f"{comparison} / best local", **values, threshold=threshold, role=role, tasks=tasks,
                    unit="ratio of trials per task", detail=text,
                    verdict=verdict_of_ratio(values["low"], values["high"], values["seeds"]),
                )  # fmt: skip


def _geometric_ratio(upper: pd.DataFrame, lower: pd.DataFrame) -> dict[str, Any]:
    """Geometric mean over seeds of the best of one group over that of the other; input in logarithms."""
    seeds = [seed for seed in upper.columns if seed in lower.columns]
    tops, bottoms = (group.reindex(columns=seeds).dropna().to_numpy() for group in (upper, lower))
    if not seeds or not len(tops) or not len(bottoms):
        return {"number": np.nan, "low": np.nan, "high": np.nan, "seeds": 0}

    def statistic(index: np.ndarray) -> np.ndarray:
        index = index.astype(int)
        return np.exp(tops[:, index].mean(axis=-1).min(axis=0) - bottoms[:, index].mean(axis=-1).min(axis=0))

    number, low, high = paired_interval([np.arange(len(seeds))], statistic)
    return {"number": number, "low": low, "high": high, "seeds": len(seeds)}
