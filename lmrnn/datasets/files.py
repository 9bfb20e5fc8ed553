"""Datasets in HDF5: one file per spec, written once, read whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lmrnn.datasets.checks import check_columns, check_rows
from lmrnn.datasets.generation import (
    GENERATOR_VERSION,
    OWN_COLUMN,
    Dataset,
    assemble,
    column_shapes,
    dataset_bytes,
    fill_rows,
    trial_columns,
)
from lmrnn.datasets.spec import DatasetSpec
from lmrnn.errors import DamagedFileError, LmrnnError
from lmrnn.files.removal import remove_temporaries
from lmrnn.files.storage import lock, open_h5, read_array, read_text, write_h5
from lmrnn.tasks import CHANNELS

DATASET_SCHEMA = 1
_DO = "Delete it and run the same command again: it is generated anew, with the same trials"


def generate_dataset(spec: DatasetSpec, path: Path | str) -> None:
    """Generate a dataset's file, whole or not at all, usually at ``spec.path(root)``.

    A process that finds another one at work on the same file waits for it. A finished file is left alone, a damaged or
    outdated dataset is replaced, and what an interrupted process left behind is removed. Raises DamagedFileError when
    the path holds something else (another dataset, or no dataset at all), ResourceError when the disk is full.
    """
    path = Path(path)
    with lock(path.parent / ".locks" / f"{path.name}.lock"):
        remove_temporaries(path)
        if not (path.exists() and _is_finished(path, spec)):
            write_h5(path, "dataset", DATASET_SCHEMA, lambda file: _fill(file, spec))


def _is_finished(path: Path, spec: DatasetSpec) -> bool:
    """Whether a file is this dataset; False where it may be replaced, an error where it is somebody else's."""
    foreign = DamagedFileError(path, "in the place of a dataset lies a file of another kind", "Move it away")
    if not path.is_file():
        raise foreign
    with open(path, "rb") as handle:
        if not handle.read(64).startswith(b"lmrnn dataset "):
            raise foreign
    try:
        with open_h5(path, "dataset", DATASET_SCHEMA, _DO, _largest_bytes(spec)) as file:
            found, current = _read_spec(path, file), file.attrs["generator_version"] == GENERATOR_VERSION
    except DamagedFileError:
        return False
    _check_spec(path, found, spec)
    return bool(current)


def _largest_bytes(spec: DatasetSpec) -> int:
    """The size from which on a file cannot be this dataset; few trials may all be much longer than their mean."""
    return 4 * dataset_bytes(spec) + 1_000_000


def _fill(file: h5py.File, spec: DatasetSpec) -> None:
    columns = trial_columns(spec)
    steps = int(columns["length"].sum())
    file.attrs["spec"] = spec.to_json()
    file.attrs["schema_version"] = DATASET_SCHEMA
    file.attrs["generator_version"] = GENERATOR_VERSION
    for name, values in columns.items():
        file.create_dataset(name, data=values)
    # contiguous, and not filled with zeros first: read in one slice, written once
    observations = file.create_dataset("observations", (steps, CHANNELS), np.float32, fill_time="never")
    labels = file.create_dataset("labels", (steps,), np.int8, fill_time="never")
    fill_rows(spec, observations, labels)


def _read_spec(path: Path, file: h5py.File) -> DatasetSpec:
    try:
        return DatasetSpec.from_json(read_text(file, "spec"))
    except (KeyError, ValueError, LmrnnError) as error:
        raise DamagedFileError(path, f"its spec cannot be read: {error}", _DO) from error


def _check_spec(path: Path, found: DatasetSpec, wanted: DatasetSpec) -> None:
    """Refuse a dataset that is not the wanted one, naming what differs."""
    if found == wanted:
        return
    have, want = json.loads(found.to_json()), json.loads(wanted.to_json())
    differing = [key for key in dict.fromkeys([*want, *have]) if have.get(key) != want.get(key)]
    shown = "; ".join(f"{key} is {_brief(have.get(key))}, not {_brief(want.get(key))}" for key in differing)
    raise DamagedFileError(path, f"this file holds another dataset: {shown}", "Choose another path or delete it")


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]} ... ({len(value)} entries)"


def load_dataset(path: Path | str, spec: DatasetSpec | None = None) -> Dataset:
    """Read a dataset's file into memory, as `lmrnn.datasets.generation.generate` gives it. Raises DamagedFileError when
    it is missing, truncated, changed, foreign, of another schema or generator version, or does not hold what `spec`
    says.
    """
    path = Path(path)
    at_most = None if spec is None else _largest_bytes(spec)
    with open_h5(path, "dataset", DATASET_SCHEMA, _DO, at_most) as file:
        found = _read_spec(path, file)
        if spec is not None:
            _check_spec(path, found, spec)
        version = file.attrs.get("generator_version")
        if version != GENERATOR_VERSION:
            what = f"its trials come from generator version {version}, this version of lmrnn has {GENERATOR_VERSION}"
            raise DamagedFileError(path, what, _DO)
        columns = {name: read_array(file, name, *expected) for name, expected in column_shapes(found).items()}
        own = [name for name in file if name.startswith(OWN_COLUMN)] if found.own_tasks else []
        columns |= {name: read_array(file, name, np.float64, (found.n_trials, *file[name].shape[1:])) for name in own}
        steps = check_columns(found, columns)
        observations = read_array(file, "observations", np.float32, (steps, CHANNELS))
        labels = read_array(file, "labels", np.int8, (steps,))
    check_rows(path, observations, labels, _DO)
    return assemble(found, {"observations": observations, "labels": labels, **columns})
