"""The state of a training on disk.

A checkpoint is one HDF5 file, written like every other (`lmrnn.files.storage`): it appears whole or not at all. The one
before is kept beside it as ``<name>.previous``, so that from the first on there always is a whole one. One that is
damaged or of another spec is set aside, with a warning, and training goes on from the one before, or from the start.
At one that cannot be read, so that nothing is known of it, training stops.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from lmrnn.errors import DamagedFileError, UnreadableFileError
from lmrnn.files import removal
from lmrnn.files.storage import open_h5, read_array, read_text, write_h5
from lmrnn.study.cell_checks import check_history
from lmrnn.study.cells import canonical_json
from lmrnn.study.layout import Layout
from lmrnn.study.moments import evaluated_by
from lmrnn.study.sizes import largest_bytes
from lmrnn.training.state import MISFIT, Compute, Snapshot, Training

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset

CHECKPOINT_SCHEMA = 1


def previous(path: Path | str) -> Path:
    """Where the checkpoint before the newest one is kept."""
    path = Path(path)
    return path.with_name(f"{path.name}.previous")


def save(path: Path | str, spec: dict[str, Any], snapshot: Snapshot) -> None:
    """Write a checkpoint of a cell and keep the one before, which is also still there when this raises
    `ResourceError` because the disk is full.
    """
    path = Path(path)
    removal.keep_previous(path, previous(path))

    def fill(file: h5py.File) -> None:
        file.attrs["spec"] = canonical_json(spec)
        # NaN and infinity are values of a loss, so this JSON is Python's own dialect
        file.attrs["values"] = json.dumps(snapshot.values)
        for name, array in snapshot.arrays.items():
            file.create_dataset(name, data=array)

    write_h5(path, "checkpoint", CHECKPOINT_SCHEMA, fill)


def generations(path: Path | str) -> tuple[Path, Path]:
    """Where a training's checkpoints are, the newest first; none of them need be there."""
    return Path(path), previous(path)


def usable(file: Path, spec: dict[str, Any], warn: Callable[[str], object]) -> Snapshot | None:
    """A checkpoint, if it is there and has the right checksum and spec.

    `warn` gets one line of one that is damaged or of another spec; it is set aside, lest it should take the place of a
    good one later. Raises `UnreadableFileError` at one of which nothing is known, which stays.
    """
    try:
        return read(file, spec) if file.exists() else None
    except DamagedFileError as error:
        warn(f"warning: checkpoint not used: {error}. {_set_aside(file)}")
    return None


def _set_aside(file: Path) -> str:
    """Move a checkpoint to the trash and say where it is now."""
    return f"What was there is now {removal.set_aside(file, Layout.around(file).results)}"


def read(path: Path, spec: dict[str, Any]) -> Snapshot:
    """Read one checkpoint after checking it; raises `DamagedFileError`, `UnreadableFileError`."""
    do = "Training goes on from the checkpoint before it or, without one, from the start"
    try:
        with open_h5(path, "checkpoint", CHECKPOINT_SCHEMA, do, largest_bytes(spec)[1]) as file:
            arrays: dict[str, np.ndarray] = {}

            def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
                if isinstance(item, h5py.Dataset):
                    arrays[name] = read_array(file, name)

            stored, values = canonical_json(json.loads(read_text(file, "spec"))), json.loads(read_text(file, "values"))
            file.visititems(collect)
    except UnreadableFileError as error:
        without = "once it is moved away, training goes on from the checkpoint before it or, without one, from step 0"
        raise UnreadableFileError(error.path, error.what, f"{error.do}; {without}") from error
    if stored != canonical_json(spec):
        raise DamagedFileError(path, "this is the checkpoint of another cell (its spec differs)", do)
    return Snapshot(values, arrays)


def resume(
    spec: dict[str, Any],
    data: tuple[Dataset, Dataset],
    path: Path | str | None,
    say: Callable[[str], object],
    compute: Compute,
) -> Training | None:
    """The training as its newest usable checkpoint has it; None without one.

    What cannot be used is set aside; raises `UnreadableFileError` where it is not known whether it can.
    """
    if path is None:
        return None
    removal.remove_temporaries(path)
    for file in generations(path):
        snapshot = usable(file, spec, say)
        if snapshot is None:
            continue
        training = Training(spec, *data, compute)
        try:
            before = restore(training, snapshot)
        except MISFIT as error:
            what = f"it does not fit this training: {type(error).__name__}: {error}"
            say(f"warning: checkpoint not used, {what}. {_set_aside(file)}")
            continue
        if file != previous(path):
            _clear_the_way(previous(path), spec, say)
        training.restarts += 1
        say(f"resumed at step {training.step} (restart {training.restarts}) from {path}")
        _warn_of_another_way(training, *before, say)
        return training
    return None


def _clear_the_way(file: Path, spec: dict[str, Any], say: Callable[[str], object]) -> None:
    """Set the checkpoint before the newest aside, whose place the next one takes, unless it is a good one."""
    try:
        usable(file, spec, say)
    except UnreadableFileError as error:
        say(f"warning: an older checkpoint is not needed: {error.path}: {error.what}. {_set_aside(file)}")


def _warn_of_another_way(training: Training, path: str, variant: str | None, say: Callable[[str], object]) -> None:
    """Say so where a training goes on by another path, or with another instruction set, than it came by."""
    if path != training.path:
        say(f"warning: was computed with path {path} so far, goes on with {training.path}: not bit-identical")
    elif variant not in (None, training.kernel_variant):
        sets = f"{variant} so far, goes on with {training.kernel_variant}"
        say(f"warning: was computed with the kernel's instruction set {sets}: not bit-identical")


def restore(training: Training, snapshot: Snapshot) -> tuple[str, str | None]:
    """As `Training.restore`, and refuse what its own steps could not have led to: the last line against forged files.

    Weights and moments of Adam are not looked at: they may be anything, also not finite just before a divergence.
    Raises one of `MISFIT` saying what does not fit; the training is then of no more use.
    """
    before = training.restore(snapshot)
    step, evaluated = training.step, evaluated_by(training.settings, training.step)
    if training.diverged or not 0 <= step < training.settings["steps"]:
        raise ValueError(f"step {step} of {training.settings['steps']}, diverged {training.diverged}")
    if training.history["step"] != evaluated:
        raise ValueError(f"the history has steps {training.history['step']} at step {step}")
    check_history({name: np.asarray(values) for name, values in training.history.items()}, training.network.n_tasks)
    if training.loss_count != step - evaluated[-1] or not math.isfinite(training.loss_sum):
        raise ValueError(f"a loss of {training.loss_sum} over {training.loss_count} steps at step {step}")
    if any(count.item() != step for count in training.optimiser.steps):
        raise ValueError(f"the optimiser is not at step {step}")
    seen = training.batches.trials_seen
    exact = step * training.settings["batch_size"] if training.settings["layout"] == "padded" else seen
    if seen != exact or seen < training.history["trials"][-1]:
        raise ValueError(f"{seen} trials seen at step {step}")
    seconds = [*training.watch.wall.values(), *training.watch.cpu.values(), training.peak_memory_mb, training.restarts]
    if not all(isinstance(value, (int, float)) and 0 <= value < math.inf for value in seconds):
        raise ValueError(f"seconds, memory or restarts are {seconds}")
    return before


def remove(path: Path | str) -> None:
    """Remove a checkpoint, the one before it and what interrupted writes left; none of them need exist."""
    path = Path(path)
    for file in (*generations(path), *removal.temporaries(path)):
        removal.remove(file)
