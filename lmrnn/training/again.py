"""Looking again without training again: cells that differ only in how often and on how much they are looked at.

What determines the weights at every step is a cell's `course`. A finished cell of the same course and as many steps
has the weights that another asks for: tests are taken anew from them. One of fewer steps is where a longer training
goes on, from the state that is kept in results/ends; bit for bit as if it had been longer from the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lmrnn.datasets import Dataset
from lmrnn.errors import FileError
from lmrnn.files import removal
from lmrnn.study.cells import AT_BEST, CellResult, canonical_json, read_cell
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout
from lmrnn.study.moments import Left, evaluated_by, left_of_whole, out_of_patience
from lmrnn.study.since import with_defaults
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.evaluation import always_fixate, evaluate
from lmrnn.training.rates import CONSTANT, WARMUP
from lmrnn.training.state import Snapshot, restore_network

Say = Callable[[str], object]
DataOf = Callable[[str], Dataset]  # of a split
Rows = Mapping[str, np.ndarray]
Relative = tuple[Path, CellResult]
_without_weights = partial(read_cell, weights=False)
_LOOKED = ("test_trials", "validation_trials")
_WHEN = ("evaluate_every", "evaluations")
# schedules whose rate at a step does not depend on how many steps there are
_OPEN_ENDED = (CONSTANT, WARMUP)


def course(spec: Mapping[str, Any]) -> str:
    """All of a cell's spec that determines its weights at every step, as canonical JSON: not on how many trials and
    when it is looked at, unless it ends by what is seen there (`patience`), and not how many steps it takes where the
    learning rate does not depend on their number.
    """
    settings = with_defaults(spec["training"])
    length = ("steps",) if settings["schedule"] in _OPEN_ENDED else ()
    looked, when = (_LOOKED, _WHEN) if not settings["patience"] else (("test_trials",), ())
    training = {key: value for key, value in spec["training"].items() if key not in (*when, *length)}
    return canonical_json({**{key: spec[key] for key in spec if key not in looked}, "training": training})


def keep_end(cell: Cell, results: Path | str, result: CellResult) -> None:
    """Keep the state at a training's end where it has one, for trainings of more steps and tests of other trials."""
    path = Layout(results).end(cell.stem)
    removal.remove_temporaries(path)
    if result.end is not None:
        checkpoints.save(path, result.spec, result.end)
        removal.remove(checkpoints.previous(path))


def look_again(cell: Cell, results: Path | str, data: DataOf, say: Say) -> CellResult | None:
    """The cell's result from the weights of a finished cell of the same course; None where there is none.

    `data` gives the cell's test and validation data. `say` is told what was taken from where, and what cannot be filled
    in where a training is needed only because it is to be evaluated at other steps.
    """
    shared = _shared(cell, _relatives(cell, results, say), say)
    if shared is None:
        return None
    path, found, history = shared
    say(f"the weights are those of {path}: nothing to train, tests are taken anew")
    found, end = read_cell(path), _end(results, path, found, say)
    network, before = restore_network(found), found.spec["validation_trials"]
    if before != cell.spec["validation_trials"]:
        last = evaluate(network, data("validation"))
        for name, value in last.means().items():
            history[name][-1] = value
        history["task_decision_accuracy"][-1] = last.decision_accuracy
        say(f"validation before the last evaluation stays that on {before} trials a task: weights of then are not kept")
    test_data = data("test")
    measures, fixate = evaluate(network, test_data), always_fixate(test_data)
    test = {**measures.per_task(), "always_fixate": fixate.decision_accuracy}
    at_best = measures if _best_step(history) == history["step"][-1] else None
    best = _named(end.arrays, "best/") if end is not None else {}
    if at_best is None and best and _best_step(history) == _best_step(found.history):
        at_best = evaluate(restore_network(replace(found, weights={**found.weights, **best})), test_data)
    if at_best is not None:
        test |= {f"{AT_BEST}{name}": values for name, values in at_best.per_task().items()}
    else:
        say("tests with the weights of the best validation are left out: those weights are not kept")
    origin = {
        **found.provenance,
        "always_fixate_step_accuracy": fixate.step_accuracy,
        "always_fixate_decision_accuracy": float(fixate.decision_accuracy.mean()),
        "weights_from": path.name,
        "validation_trials_before_last": found.provenance.get("validation_trials_before_last", before),
    }
    return CellResult(cell.spec, found.status, history, test, found.weights, origin)


def _shared(cell: Cell, relatives: Iterable[Relative], say: Say) -> tuple[Path, CellResult, dict[str, Any]] | None:
    """The first of a cell's relatives that has its weights, with the rows of its history; None where none has."""
    for path, found in relatives:
        last, ended = int(found.history["step"][-1]), cell.spec["training"]["steps"]
        if found.spec["training"]["steps"] != ended and not (found.status == "diverged" and last < ended):
            continue
        planned = evaluated_by(with_defaults(cell.spec["training"]), last)
        history = rows_at(found.history, sorted({*planned, last}))
        if history is not None:
            return path, found, history
        _say_missing(path, found.history["step"], planned, say)
    return None


def go_on(cell: Cell, results: Path | str, say: Say) -> None:
    """Where a finished cell of the same course has fewer steps, make its end this cell's checkpoint, which must not be
    there yet: training then goes on from it.
    """
    begun = _begun(cell, results, _relatives(cell, results, say), say)
    if begun is not None:
        path, state = begun
        say(f"goes on from the end of {path} at step {state.values['step']}: nothing before is trained again")
        checkpoints.save(cell.checkpoint(results), cell.spec, state)


def _begun(cell: Cell, results: Path | str, relatives: Iterable[Relative], say: Say) -> tuple[Path, Snapshot] | None:
    """The longest of a cell's relatives of fewer steps whose end is kept, and the cell's state there; or None."""
    settings = with_defaults(cell.spec["training"])
    shorter = [
        (path, found)
        for path, found in relatives
        if found.status == "completed" and found.history["step"][-1] < settings["steps"]
    ]
    for path, found in sorted(shorter, key=lambda pair: -pair[1].history["step"][-1]):
        if found.spec["validation_trials"] != cell.spec["validation_trials"]:
            say(f"not continued from {path}: its course was measured on other validation trials")
            continue
        end = _end(results, path, found, say)
        if end is None:
            why = "the state at its end is not kept (an earlier version, or compute.keep_end)"
            say(f"not continued from {path}: {why}")
            continue
        state = _as_of(settings, end)
        if state is not None:
            return path, state
        _say_missing(path, end.arrays["history/step"], evaluated_by(settings, end.values["step"]), say)
    return None


def left_of(cell: Cell, results: Path | str, read: Callable[[Path], CellResult]) -> Left:
    """What `look_again` and `go_on` would leave of a cell that is not finished; `read` reads a finished one without its
    weights.
    """
    settings = with_defaults(cell.spec["training"])
    relatives = list(_relatives(cell, results, _silent, read))
    if shared := _shared(cell, relatives, _silent):
        other = shared[1].spec["validation_trials"] != cell.spec["validation_trials"]
        return Left(0, int(other), begun=True)
    whole = left_of_whole(settings)
    if not cell.checkpoint(results).exists() and (begun := _begun(cell, results, relatives, _silent)):
        step, arrays = int(begun[1].values["step"]), begun[1].arrays
        if out_of_patience(settings, {name: arrays[f"history/{name}"] for name in ("step", "decision_accuracy")}):
            return Left(0, 0, begun=True)
        return Left(whole.steps - step, whole.validations - len(evaluated_by(settings, step)), begun=True)
    return whole


def _silent(line: str) -> None:
    """Where nothing is done, nothing is said."""


def _relatives(
    cell: Cell, results: Path | str, say: Say, read: Callable[[Path], CellResult] = _without_weights
) -> Iterator[Relative]:
    """Finished cells of the same course, without weights; those measured on the same validation trials come first."""
    wanted, found = course(cell.spec), []
    for path in cell.beside(results):
        try:
            result = read(path)
        except FileError as error:
            say(f"warning: not looked at for weights that this cell could share: {error}")
            continue
        if course(result.spec) == wanted:
            found.append((path, result))
    same = cell.spec["validation_trials"]
    yield from sorted(found, key=lambda pair: pair[1].spec["validation_trials"] != same)


def _say_missing(path: Path, have: Sequence[int] | np.ndarray, planned: Sequence[int], say: Say) -> None:
    missing = sorted(set(planned) - set(np.asarray(have).tolist()))
    some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    say(f"{path} has the same course, but was not evaluated at step {some}, and weights of then are not kept: "
        "this cell is trained from the start")  # fmt: skip


def rows_at(history: Rows, steps: Sequence[int]) -> dict[str, np.ndarray] | None:
    """The rows of a history at some of its steps, the loss of each the mean over the steps since the row before; None
    where it has no row at one of them.
    """
    have = history["step"].tolist()
    if not set(steps) <= set(have):
        return None
    rows = [have.index(step) for step in steps]
    taken = {name: values[rows] for name, values in history.items()}
    for place, (before, row) in enumerate(itertools.pairwise(rows), 1):
        if row > before + 1:
            taken["loss"][place] = _loss_sum(history, before, row) / (have[row] - have[before])
    return taken


def _loss_sum(history: Rows, before: int, row: int) -> float:
    """Sum of the losses of all steps between two rows of a history."""
    return float(np.sum(history["loss"][before + 1 : row + 1] * np.diff(history["step"])[before:row]))


def _end(results: Path | str, path: Path, found: CellResult, say: Say) -> Snapshot | None:
    """The state at the end of the cell of a file, where it is kept."""
    stem = str(path.relative_to(Layout(results).cells).with_suffix(""))
    end = Layout(results).end(stem)
    try:
        return checkpoints.read(end, found.spec) if end.exists() else None
    except FileError as error:
        say(f"warning: the end of a training cannot be read: {error}")
        return None


def _as_of(settings: Mapping[str, Any], end: Snapshot) -> Snapshot | None:
    """The state that a training of these settings has at the step of another's end; None where its course has gaps."""
    history = _named(end.arrays, "history/")
    planned = evaluated_by(settings, end.values["step"])
    taken = rows_at(history, planned)
    if taken is None:
        return None
    arrays = {**end.arrays, **{f"history/{name}": values for name, values in taken.items()}}
    have = history["step"].tolist()
    if have[int(np.argmax(history["decision_accuracy"]))] not in planned:
        arrays = {name: values for name, values in arrays.items() if not name.startswith("best/")}
    skipped, last = have.index(planned[-1]), len(have) - 1
    since = _loss_sum(history, skipped, last) if last > skipped else 0.0
    count = end.values["step"] - planned[-1]
    return Snapshot({**end.values, "loss_sum": since + end.values["loss_sum"], "loss_count": count}, arrays)


def _named(arrays: Rows, prefix: str) -> dict[str, np.ndarray]:
    """Those arrays of a state whose names begin with a prefix, by what follows it."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _best_step(history: Rows) -> int:
    return int(history["step"][np.argmax(history["decision_accuracy"])])
