"""Which networks of a study are looked into, and the tables that come of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmrnn.analysis import TABLES
from lmrnn.analysis.own import OwnAnalysis
from lmrnn.analysis.ring import Rotation
from lmrnn.analysis.rotation import rotations
from lmrnn.analysis.runs import ExplodesError
from lmrnn.analysis.units import unit_tables
from lmrnn.curves.comparison import best_network, prepare
from lmrnn.plugins import PluginError
from lmrnn.study.cells import CellResult
from lmrnn.tasks import task_count
from lmrnn.training.state import restore_network

# Controls of the curves alone: looked into only where a study has no other networks.
_ASIDE = ("small_world", "ring", "full_matched")
_LEAD, _IDS = ("panel", "tasks", "kind", "connectivity", "seed"), ("panel_id", "connectivity_id")
_NAMING = ("connectivity", "tasks", "trials_per_task", "seed")  # of a cell, in every table of an own analysis
# a picture shows this many trials of one task
_SHOWN_TRIALS = 48


def choose_networks(table: pd.DataFrame, results: Sequence[CellResult], controls: bool = False) -> pd.DataFrame:
    """Best network of each kind on the largest battery, all its seeds, of a table of cells and the same cells.

    Rows of `prepare` with cell (position among all results), of padded trials, the largest battery and data size and,
    of each kind, the longest training: what is not learned yet shows no solution. Each kind's connectivity and rate
    have the highest mean final validation accuracy. Diverged cells are left out: there is nothing to look into; so are,
    where a study has others, the controls of the curves alone, unless `controls`.
    """
    runs = prepare(table, results)
    counts = runs["tasks"].map(task_count)
    chosen = runs[counts == counts.max()]
    if (chosen["layout"] == "padded").any():
        chosen = chosen[chosen["layout"] == "padded"]
    chosen = chosen[chosen["trials_per_task"] == chosen["trials_per_task"].max()]
    chosen = chosen[chosen["network_neurons"] == chosen["network_neurons"].iloc[0]]
    kinds = [kind for kind in chosen["kind"].unique() if controls or kind not in _ASIDE] or chosen["kind"].unique()
    found = pd.concat([best_network(_longest(chosen[chosen["kind"] == kind]), kind) for kind in kinds])
    return found[found["status"] == "completed"].sort_values(["kind", "seed"], kind="stable")


def _longest(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of the first panel among those that were trained for the most steps."""
    most = runs[runs["steps"] == runs["steps"].max()]
    return most[most["panel_id"] == most["panel_id"].iloc[0]] if len(most) else most


def analyse_study(
    table: pd.DataFrame,
    results: Sequence[CellResult],
    read: Callable[[Path], CellResult],
    seed: int = 0,
    controls: bool = False,
) -> dict[str, pd.DataFrame]:
    """Look into the best network of each kind (`choose_networks`); `read` reads a cell's file with its weights.

    Tables, each with the columns panel, tasks, kind, connectivity, seed first: ``rotation`` and ``clusters`` (every
    seed), ``units``, ``tuning`` and ``planes`` (first seed of each kind; ``planes`` are states of some trials of one
    seq task in their principal plane). `lmrnn.analysis.units` and `lmrnn.analysis.rotation` name the others' columns.
    `seed` is that of the trials on which the networks are run. Networks that explode on them are left out, with a
    warning.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    pictured: set[str] = set()
    for _, run in choose_networks(table, results, controls).iterrows():
        result = read(Path(run["file"]))
        network = restore_network(result)
        try:
            turned = list(rotations(network, result.spec, seed=seed))
            units, tuning, clusters = unit_tables(network, result.spec, seed=seed)
        except ExplodesError as error:
            warnings.warn(f"left out: {run['connectivity']}, seed {run['seed']}: {error}", stacklevel=2)
            continue
        found = {"rotation": [pd.DataFrame([row for row, *_ in turned])], "clusters": [clusters]}
        if run["kind"] not in pictured:
            planes = [_plane(*one) for one in turned if one[0]["what"] == "seq"][:1]
            found |= {"units": [units], "tuning": [tuning], "planes": planes}
        pictured.add(run["kind"])
        lead, ids = ({name: run[name] for name in names} for names in (_LEAD, _IDS))
        for name, parts in found.items():
            tables[name] += [_led(lead, part).assign(**ids) for part in parts]
    return {name: _joined(parts) for name, parts in tables.items()}


def own_table(own: OwnAnalysis, table: pd.DataFrame, load: Callable[[Path], Any]) -> pd.DataFrame:
    """What an own analysis finds in every completed cell of a table of cells; `load` reads a trained cell by its file.

    Each row begins with connectivity, tasks, trials_per_task and seed, all other settings in which the table's cells
    differ, and the cell's hash, which cells.csv has, too. Raises `PluginError` with the file, the line and the cell.
    """
    settings = table.columns[: table.columns.get_loc("status")]
    varied = [name for name in settings if table[name].nunique(dropna=False) > 1]
    lead = list(dict.fromkeys([*_NAMING, *varied, "hash"]))
    parts = []
    for _, row in table[table["status"] == "completed"].iterrows():
        try:
            found = own.rows(load(Path(row["file"])), list(table.columns))
        except PluginError as error:
            raise PluginError(f"{error} ({own.name} of {row['file']})") from error
        parts.append(_led({name: row[name] for name in lead}, found))
    return _joined(parts, lead)


def _plane(row: dict, found: Rotation, place: np.ndarray) -> pd.DataFrame:
    """States of some trials in the plane in which they turn."""
    shown = place[:, 0] < _SHOWN_TRIALS
    columns = dict(zip(("trial", "step", "position"), place[shown].T, strict=True))
    return pd.DataFrame({"task": row["task"], **columns, "x": found.plane[shown, 0], "y": found.plane[shown, 1]})


def summary(found: Mapping[str, pd.DataFrame]) -> list[str]:
    """What `analyse_study` found, in words: a line for each network."""
    lines = []
    for _, row in found["clusters"].iterrows():
        units, rotation = (_of_network(found[name], row) for name in ("units", "rotation"))
        words = [f"{row['active']} active units in {row['clusters']} clusters"]
        if np.isfinite(row["sheet_share"]):
            words.append(f"neighbours alike {row['sheet_share']:.0%} (by chance {row['sheet_chance']:.0%})")
        constants = units.loc[units["time_constant_ms"] > 0, "time_constant_ms"]
        if len(constants):
            words.append(f"median time constant of a unit {constants.median():.0f} ms")
        lines.append(f"{row['connectivity']}, seed {row['seed']}: {'; '.join([*words, *_turning(rotation)])}")
    return lines


def _of_network(table: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    return table[(table["connectivity_id"] == row["connectivity_id"]) & (table["seed"] == row["seed"])]


def _turning(rotation: pd.DataFrame) -> list[str]:
    """How far the state turns in seq and in int tasks."""
    words = []
    for what in ("seq", "int"):
        part = rotation[rotation["what"] == what] if len(rotation) else rotation
        if len(part):
            right = part["right_trials"].sum() / part["trials"].sum()
            share = f"in {what} tasks the state turns by {part['share'].mean():.2f} of the target's angle"
            words.append(f"{share} ({right:.0%} of trials right)")
    return words


def _led(lead: dict, part: pd.DataFrame) -> pd.DataFrame:
    """Put the columns that name the network before the others."""
    return pd.DataFrame({**{name: [value] * len(part) for name, value in lead.items()}, **part.to_dict("list")})


def _joined(parts: list[pd.DataFrame], lead: Sequence[str] = (*_LEAD, *_IDS)) -> pd.DataFrame:
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(lead))
