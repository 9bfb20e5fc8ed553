"""One cell's result file, and the table of many.

A cell's file is all that is known of one training: its spec, its course, its test accuracies per task, its weights and
where they come from. It is written once, whole, when the training has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lmrnn.errors import DamagedFileError, LmrnnError
from lmrnn.files.storage import open_h5, read_array, read_text, write_h5
from lmrnn.study.cell_checks import MEASURES, STATUSES, check_result
from lmrnn.study.config import complete

__all__ = ["CELL_SCHEMA", "MEASURES", "STATUSES", "CellResult", "canonical_json", "cell_row", "cells_table"]
__all__ += ["read_cell", "write_cell"]

CELL_SCHEMA = 1


@dataclass(frozen=True)
class CellResult:
    """What one training left behind.

    Parameters
    ----------
    spec : dict
        The cell's whole spec (see `lmrnn.study.grid.Cell`).
    status : str
        ``completed`` or ``diverged`` (a loss that was not finite).
    history : dict of str to numpy.ndarray
        One entry per evaluation: ``step``, ``trials`` (seen so far), ``training_seconds``, ``evaluation_seconds``,
        ``loss`` and the four measures on the validation set, each (K,); ``task_decision_accuracy`` is (K, tasks).
    test : dict of str to numpy.ndarray
        The four measures on the test set, one value per task, each (tasks,).
    weights : dict of str to numpy.ndarray
        Trained parameters by name, and the synapses ``pre`` and ``post``, each (E,).
    provenance : dict
        Versions, host, path of the recurrence, restarts, seconds, memory.
    """

    spec: dict[str, Any]
    status: str
    history: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(repr=False)
    provenance: dict[str, Any]


def canonical_json(value: object) -> str:
    """JSON text that is the same for equal values.

    Parameters
    ----------
    value : object
        Anything JSON can hold.

    Returns
    -------
    str
        Keys sorted, no blanks; NaN and infinity are refused.

    Raises
    ------
    ValueError
        On a number that JSON cannot hold.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_cell(path: Path | str, result: CellResult) -> None:
    """Write a cell's file, whole or not at all.

    Parameters
    ----------
    path : Path or str
        The file.
    result : CellResult
        What to write.

    Raises
    ------
    ResourceError
        When the disk is full.
    """

    def fill(file: h5py.File) -> None:
        file.attrs["spec"] = canonical_json(result.spec)
        file.attrs["status"] = result.status
        file.attrs["provenance"] = canonical_json(result.provenance)
        for name in ("history", "test", "weights"):
            group = file.create_group(name)
            for key, values in sorted(getattr(result, name).items()):
                group.create_dataset(key, data=np.asarray(values))

    write_h5(path, "cell", CELL_SCHEMA, fill)


def read_cell(path: Path | str, spec: Mapping[str, Any] | None = None, weights: bool = True) -> CellResult:
    """Read a cell's file after checking it.

    Parameters
    ----------
    path : Path or str
        The file.
    spec : mapping, optional
        The spec that the file must hold.
    weights : bool
        Read the weights too (a table of many cells does without them).

    Returns
    -------
    CellResult
        As it was written.

    Raises
    ------
    DamagedFileError
        When the file is missing, foreign, truncated, changed, of another schema version, or of another cell.
    """
    do = "Delete it and run the same command again: only this cell is trained anew"
    with open_h5(path, "cell", CELL_SCHEMA, do) as file:
        result = CellResult(
            spec=json.loads(read_text(file, "spec")),
            status=read_text(file, "status"),
            history=_read_group(file, "history"),
            test=_read_group(file, "test"),
            weights=_read_group(file, "weights") if weights else {},
            provenance=json.loads(read_text(file, "provenance")),
        )
        found = canonical_json(result.spec)
    if spec is not None and canonical_json(dict(spec)) != found:
        raise DamagedFileError(Path(path), "this file holds another cell than its name says", do)
    try:
        check_result(result)
    except (AttributeError, KeyError, TypeError, ValueError, LmrnnError) as error:
        what = f"this cell file lacks a part or holds a wrong one: {error}"
        raise DamagedFileError(Path(path), what, do) from error
    return result


def _read_group(file: h5py.File, name: str) -> dict[str, np.ndarray]:
    return {key: read_array(file, f"{name}/{key}") for key in file[name]}


def _last(values: np.ndarray) -> float:
    return float(values[-1]) if len(values) else float("nan")


def _mean(values: np.ndarray) -> float:
    """Mean over tasks; NaN where a diverged cell has none."""
    return float(np.mean(values)) if len(values) else float("nan")


def _best(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else float("nan")


def cell_row(result: CellResult, label: str, neurons: int, synapses: int, file: str, cell_hash: str) -> dict[str, Any]:
    """One row of cells.csv.

    Parameters
    ----------
    result : CellResult
        The cell's result.
    label : str
        Name of its connectivity, e.g. ``local-r3``.
    neurons, synapses : int
        Size of the network and number of its recurrent synapses.
    file : str
        The cell's file.
    cell_hash : str
        Its identity.

    Returns
    -------
    dict
        Column name to value: the axes of the grid, then the measures (averaged over tasks), then costs.
    """
    spec, history, provenance = result.spec, result.history, result.provenance
    connectivity = spec["connectivity"]
    network = {key: value for key, value in spec["network"].items() if key != "neurons"}
    tasks = spec["tasks"]
    return {
        "connectivity": label,
        "kind": connectivity["kind"],
        "radius": connectivity.get("radius", float("nan")),
        "boundary": connectivity.get("boundary", ""),
        "density": synapses / neurons**2,
        "synapses": synapses,
        "neurons": neurons,
        "tasks": tasks if isinstance(tasks, (int, str)) else "+".join(tasks),
        "trials_per_task": spec["trials_per_task"],
        "seed": spec["seed"],
        "definition": spec["definition"],
        "dt": spec["dt"],
        **network,
        **spec["training"],
        "status": result.status,
        "last_step": int(history["step"][-1]) if len(history["step"]) else 0,
        **{f"test_{name}": _mean(result.test[name]) for name in MEASURES},
        **{f"validation_{name}": _last(history[name]) for name in MEASURES},
        "best_validation_decision_accuracy": _best(history["decision_accuracy"]),
        **{
            key: provenance.get(key)
            for key in ("training_seconds", "evaluation_seconds", "restarts", "peak_memory_mb", "path", "host")
        },
        "hash": cell_hash,
        "file": file,
    }


def cells_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Tidy table of cells, one row of `cell_row` each, in their order.

    A setting that specs leave out at its default has a column where a cell has it otherwise, and the default elsewhere.
    """
    rows = list(rows)
    defaults = {**complete("network", {}), **complete("training", {})}
    shown = {key: value for key, value in defaults.items() if any(key in row for row in rows)}
    return pd.DataFrame([{**row, **{key: row.get(key, value) for key, value in shown.items()}} for row in rows])
