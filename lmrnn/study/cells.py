"""One cell's result file, written once, whole, when its training has ended; and the table of many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from lmrnn.errors import DamagedFileError, LmrnnError
from lmrnn.files.storage import open_h5, read_array, read_text, write_h5
from lmrnn.study.cell_checks import AT_BEST, CLOCKS, COLUMNS, MEASURES, STATUSES, check_result
from lmrnn.study.sizes import largest_bytes
from lmrnn.tasks import Variation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AT_BEST", "CELL_SCHEMA", "COLUMNS", "MEASURES", "STATUSES", "CellResult", "canonical_json", "cell_row"]
__all__ += ["cells_table", "read_cell", "write_cell"]

CELL_SCHEMA = 1
_NONE = np.empty(0)


@dataclass(frozen=True)
class CellResult:
    """What one training left behind.

    `spec` is the cell's whole spec (`lmrnn.study.grid.Cell`); `status` is ``completed`` or ``diverged`` (a loss that
    was not finite). `history` has one entry per evaluation: ``step``, ``trials`` (seen so far), ``training_seconds``,
    ``evaluation_seconds``, ``loss`` and the four measures on the validation set, each (K,), and
    ``task_decision_accuracy``, (K, tasks). `test` holds the four measures on the test set, each (tasks,), and under
    names that begin with ``at_best_`` those with the weights of the best validation, if they were known. `weights` are
    the trained parameters by name, the synapses ``pre`` and ``post``, (E,), and the neurons' ``signs``, (N,), where a
    mask gives them. `provenance`: versions, code, host, path of the recurrence, restarts, seconds, memory. `end`, not
    part of the file, is the state that a training of more steps goes on from, where one has just ended
    (`lmrnn.training.again`).
    """

    spec: dict[str, Any]
    status: str
    history: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(repr=False)
    provenance: dict[str, Any]
    end: Any = field(default=None, repr=False, compare=False)


def canonical_json(value: object) -> str:
    """JSON text that is the same for equal values: keys sorted, no blanks; raises ValueError on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_cell(path: Path | str, result: CellResult) -> None:
    """Write a cell's file, whole or not at all; raises ResourceError when the disk is full."""

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
    """A cell's result as it was written, after checking its file.

    With `spec` the file must hold that cell; without `weights` they are left out (a table of many cells does without).
    Raises DamagedFileError when the file is missing, foreign, truncated, changed, or of another cell.
    """
    do = "Delete it and run the same command again: only this cell is trained anew"
    at_most = None if spec is None else largest_bytes(spec)[0]
    with open_h5(path, "cell", CELL_SCHEMA, do, at_most) as file:
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


# What a spec says of its tasks only where it is not so: own tasks, and what varies in tasks.
_LATER: dict[str, Any] = {"own_tasks": {}, **vars(Variation()), "timing": {}}


def _read_group(file: h5py.File, name: str) -> dict[str, np.ndarray]:
    return {key: read_array(file, f"{name}/{key}") for key in file[name]}


def _mean(values: np.ndarray) -> float:
    """Mean over tasks; NaN where the cell has none."""
    return float(np.mean(values)) if len(values) else float("nan")


def _at(values: np.ndarray, place: int) -> float:
    """A measure at one evaluation; NaN where there was none."""
    return float(values[place]) if len(values) else float("nan")


def cell_row(
    result: CellResult,
    label: str,
    neurons: int,
    synapses: int,
    file: str,
    cell_hash: str,
    test_in_training: float = float("nan"),
) -> dict[str, Any]:
    """One row of cells.csv: the axes of the grid, then the measures (averaged over tasks), then costs.

    `label` names the connectivity, e.g. ``local-r3``; `neurons` and `synapses` are the network's own numbers;
    `test_in_training` is the share of the test trials that stand in the training set, too, mean over tasks.
    """
    spec, history, provenance = result.spec, result.history, result.provenance
    connectivity = spec["connectivity"]
    network = {key: value for key, value in spec["network"].items() if key != "neurons"}
    tasks, evaluated = spec["tasks"], len(history["step"])  # 0 of a training that was lost before it was evaluated
    best = int(np.argmax(history["decision_accuracy"])) if evaluated else 0
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
        **{key: _cell_of_table(spec[key]) for key in _LATER if key in spec},
        **{key: _cell_of_table(value) for key, value in {**network, **spec["training"]}.items()},
        "status": result.status,
        "last_step": int(history["step"][-1]) if evaluated else 0,
        **{f"test_{name}": _mean(result.test[name]) for name in MEASURES},
        **{f"validation_{name}": _at(history[name], -1) for name in MEASURES},
        "best_validation_decision_accuracy": _at(history["decision_accuracy"], best),
        "best_step": int(history["step"][best]) if evaluated else 0,
        **{f"test_at_best_{name}": _mean(result.test.get(AT_BEST + name, _NONE)) for name in MEASURES},
        "test_in_training": test_in_training,
        **{key: provenance.get(key) for key in (*CLOCKS, "restarts", "peak_memory_mb", "path", "host")},
        "hash": cell_hash,
        "file": file,
    }


def _cell_of_table(value: Any) -> Any:
    """A setting as a table shows it: mappings as JSON, empty ones as an empty text."""
    return (canonical_json(value) if value else "") if isinstance(value, dict) else value


def cells_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Tidy table of cells, one row of `cell_row` each, in their order.

    A setting that specs leave out at its default has a column where a cell has it otherwise, and the default elsewhere.
    """
    rows = list(rows)
    import pandas as pd  # neither this nor what reads configurations is needed to train

    from lmrnn.study.config import complete

    defaults = {**_LATER, **complete("network", {}), **complete("training", {})}
    defaults = {key: _cell_of_table(value) for key, value in defaults.items()}
    shown = {key: value for key, value in defaults.items() if any(key in row for row in rows)}
    return pd.DataFrame([_with(row, shown) for row in rows])


def _with(row: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the settings that some row has, those that it leaves out at their default before its status."""
    names = list(row)
    before = names.index("status")
    missing = [key for key in shown if key not in row]
    both = {**shown, **row}
    return {key: both[key] for key in (*names[:before], *missing, *names[before:])}
