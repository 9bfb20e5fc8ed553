"""Whether what was read from a cell's file can be a training: the last line against files that only look whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrnn.networks import PARAMETERS
from lmrnn.study.moments import out_of_patience
from lmrnn.study.since import with_defaults
from lmrnn.tasks import names_of

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

STATUSES = ("completed", "diverged")
MEASURES = ("decision_accuracy", "trial_accuracy", "final_step_accuracy", "fixation_break_rate")
AT_BEST = "at_best_"  # before the name of a measure: on the test set with the weights of the best validation
CLOCKS = ("training_seconds", "evaluation_seconds")
COLUMNS = ("step", "trials", *CLOCKS, "loss", *MEASURES, "task_decision_accuracy")


def check_result(result: CellResult) -> None:
    """Refuse a result whose parts cannot be those of one training; weights are checked where there are any.

    Raises ValueError saying which part is wrong, and AttributeError, KeyError, TypeError or LmrnnError when its spec is
    none.
    """
    if result.status not in STATUSES:
        raise ValueError(f"status {result.status!r} is none of {', '.join(STATUSES)}")
    lacking = [name for name in COLUMNS if name not in result.history]
    lacking += [f"test/{name}" for name in (*MEASURES, "always_fixate") if name not in result.test]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    tasks, steps = len(names_of(result.spec)), result.spec["training"]["steps"]
    check_history(result.history, tasks)
    last = result.history["step"][-1]
    whole = last == steps or out_of_patience(with_defaults(result.spec["training"]), result.history)
    if last > steps or (result.status == "completed" and not whole):
        raise ValueError(f"its history ends at step {last} of {steps}, and its status is {result.status}")
    if result.status == "completed" and not np.all(np.isfinite(result.history["loss"][1:])):
        raise ValueError("its loss is not finite, and its status is completed")
    for name, values in result.test.items():
        _demand(values.shape == (tasks,) and _shares(values), f"test/{name} is not one share in [0, 1] for each task")
    if result.weights:
        _check_weights(result.weights, finite=result.status == "completed")
    _check_provenance(result.provenance)


def _demand(holds: Any, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _shares(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool(np.all((values >= 0) & (values <= 1)))


def check_history(history: Mapping[str, np.ndarray], tasks: int) -> None:
    """Refuse a history, (K,) each, that has not one row per evaluation from before the first step on.

    ``task_decision_accuracy`` is (K, tasks). Raises ValueError saying which column is wrong.
    """
    rows = len(np.atleast_1d(history["step"]))
    _demand(rows > 0, "its history is empty")
    _demand(history["loss"].dtype.kind == "f", "history/loss is of another type")
    for name, values in history.items():
        wanted = (rows, tasks) if name == "task_decision_accuracy" else (rows,)
        _demand(values.shape == wanted, f"the columns of its history differ in length: {name} is {values.shape}")
    for name in ("step", "trials"):
        values = history[name]
        rising = values.dtype.kind in "iu" and values[0] == 0 and np.all(values[1:] > values[:-1])
        _demand(rising, f"history/{name} does not count up from 0")
    for name in CLOCKS:
        values = history[name]
        forward = values.dtype.kind == "f" and np.all(np.isfinite(values)) and np.all(np.diff(values, prepend=0) >= 0)
        _demand(forward, f"history/{name} runs back")
    for name in (*MEASURES, "task_decision_accuracy"):
        _demand(_shares(history[name]), f"history/{name} has values outside of [0, 1]")
    mean = history["task_decision_accuracy"].mean(axis=1)
    _demand(np.allclose(mean, history["decision_accuracy"]), "history/decision_accuracy is not the mean over the tasks")


def _check_weights(weights: Mapping[str, np.ndarray], finite: bool) -> None:
    """Weights that fit each other, and synapses between neurons that exist."""
    lacking = [name for name in (*PARAMETERS, "pre", "post") if name not in weights]
    _demand(not lacking, f"it lacks the weights {', '.join(lacking)}")
    neurons, synapses = len(weights["bias"]), len(weights["recurrent"])
    classes = len(weights["readout_bias"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("recurrent", "pre", "post"), (synapses,))
    shapes |= {"bias": (neurons,), "readout": (classes, neurons), "readout_bias": (classes,)}
    for name, shape in shapes.items():
        _demand(weights[name].shape == shape, f"weights/{name} is of shape {weights[name].shape}, not {shape}")
    for name in ("input", "rule"):
        _demand(weights[name].ndim == 2 and len(weights[name]) == neurons, f"weights/{name} has not {neurons} rows")
    for name in ("pre", "post"):
        ends = weights[name]
        _demand(ends.dtype.kind in "iu" and np.all((ends >= 0) & (ends < neurons)), f"weights/{name} names no neurons")
    for name in PARAMETERS:
        good = weights[name].dtype.kind == "f" and (not finite or np.all(np.isfinite(weights[name])))
        _demand(good, f"weights/{name} has values that are not finite")
    signs = weights.get("signs", np.ones(neurons))
    _demand(signs.shape == (neurons,) and np.all(np.abs(signs) == 1), "weights/signs has not 1 or -1 for each neuron")


def _check_provenance(provenance: Mapping[str, Any]) -> None:
    """Types of what goes into the table of cells."""
    for name in (*CLOCKS, "restarts", "peak_memory_mb"):
        value = provenance[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        _demand(number and 0 <= value < 1e15, f"provenance: {name} is {value!r}")
    for name in ("path", "host"):
        _demand(isinstance(provenance.get(name, ""), str), f"provenance: {name} is no text")
