"""The state of a training on disk, and requests to stop.

A checkpoint is one HDF5 file, written like every other (`lmrnn.files.storage`): it appears whole or not at all. The one
before is kept beside it as ``<name>.previous``, so that from the first on there always is a whole one. A checkpoint of
another spec is refused; a damaged one falls back to the one before, or to the start; both with a warning.
"""

from __future__ import annotations

import copy
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import torch

from lmrnn.errors import DamagedFileError
from lmrnn.files import removal
from lmrnn.files.storage import open_h5, read_array, read_text, write_h5
from lmrnn.networks import PATHS
from lmrnn.study.cells import canonical_json
from lmrnn.training.checkpoint_checks import check_moment
from lmrnn.training.provenance import Stopwatch, peak_memory_mb

if TYPE_CHECKING:
    from lmrnn.training.train import Training

CHECKPOINT_SCHEMA = 1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


@dataclass(frozen=True)
class Snapshot:
    """All that a training needs to go on.

    Parameters
    ----------
    values : dict
        What JSON can hold, numbers exactly.
    arrays : dict of str to numpy.ndarray
        Weights, optimiser, generators, history.
    """

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]


# what `restore` raises on a snapshot that does not fit
MISFIT = (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError)
# attributes of a training that JSON holds as they are
_PLAIN = ("step", "diverged", "loss_sum", "loss_count", "restarts", "started", "peak_memory_mb")
_ADAM = ("first", "second", "steps")


def snapshot(training: Training) -> Snapshot:
    """Take all that `restore` needs to go on from here as if nothing had happened.

    Parameters
    ----------
    training : Training
        At a step boundary, evaluated at least once.

    Returns
    -------
    Snapshot
        Independent of what the training does next.
    """
    training.peak_memory_mb = max(training.peak_memory_mb, peak_memory_mb())
    arrays = {f"history/{column}": np.array(values) for column, values in training.history.items()}
    for position, (name, parameter) in enumerate(training.network.named_parameters()):
        arrays[f"weights/{name}"] = parameter.detach().cpu().numpy().copy()
        for key in _ADAM:
            arrays[f"adam/{name}/{key}"] = getattr(training.optimiser, key)[position].cpu().numpy().copy()
    arrays["noise"] = training.noise.get_state().numpy()
    values = {name: getattr(training, name) for name in _PLAIN}
    values |= {"batches": training.batches.state(), "watch": vars(training.watch), "path": training.path}
    return Snapshot(copy.deepcopy(values), arrays)


def restore(training: Training, snapshot: Snapshot) -> str:
    """Bring a fresh training to the point of a snapshot.

    Parameters
    ----------
    training : Training
        Just made, from the same spec and data.
    snapshot : Snapshot
        Where to go.

    Returns
    -------
    str
        Path of the recurrence that computed it so far.

    Raises
    ------
    AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError
        When the snapshot does not fit; the training is then of no more use.
    """
    values, arrays = snapshot.values, snapshot.arrays
    for name in _PLAIN:
        if type(values[name]) is not type(getattr(training, name)):
            raise TypeError(f"{name} is {values[name]!r}")
        setattr(training, name, values[name])
    training.batches.restore(values["batches"])
    training.watch = Stopwatch(**values["watch"])
    rows = len(arrays["history/step"])
    for column in training.history:
        wide = column == "task_decision_accuracy"
        _check_shape(arrays[f"history/{column}"], (rows, training.network.n_tasks) if wide else (rows,))
        training.history[column] = arrays[f"history/{column}"].tolist()
    _check_shape(arrays["noise"], tuple(training.noise.get_state().shape))
    training.noise.set_state(torch.from_numpy(arrays["noise"]))
    for position, (name, parameter) in enumerate(training.network.named_parameters()):
        _fill(parameter.data, arrays[f"weights/{name}"])
        for key in _ADAM:
            _fill(getattr(training.optimiser, key)[position], arrays[f"adam/{name}/{key}"])
    if values["path"] not in PATHS:
        raise ValueError(f"path is {values['path']!r}")
    check_moment(training)
    return values["path"]


def _fill(tensor: torch.Tensor, array: np.ndarray) -> None:
    """Copy an array into a tensor of its shape."""
    _check_shape(array, tuple(tensor.shape))
    values = torch.tensor(array)
    if values.dtype != tensor.dtype:
        raise TypeError(f"an array of {values.dtype} where {tensor.dtype} is needed")
    tensor.copy_(values)


def _check_shape(array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"an array of shape {array.shape} where {shape} is needed")


def previous(path: Path | str) -> Path:
    """Where the checkpoint before the newest one is kept."""
    path = Path(path)
    return path.with_name(f"{path.name}.previous")


def save(path: Path | str, spec: dict[str, Any], snapshot: Snapshot) -> None:
    """Write a checkpoint and keep the one before.

    Parameters
    ----------
    path : Path or str
        The checkpoint's file.
    spec : dict
        Spec of the cell.
    snapshot : Snapshot
        State at a step boundary.

    Raises
    ------
    ResourceError
        When the disk is full; the checkpoint before is still there.
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


def candidates(path: Path | str, spec: dict[str, Any], warn: Callable[[str], None]) -> Iterator[Snapshot]:
    """Checkpoints that a training can go on from, the newest first.

    Parameters
    ----------
    path : Path or str
        The checkpoint's file; need not exist.
    spec : dict
        Spec that it must carry.
    warn : callable
        Gets one line for each checkpoint that is there but cannot be used. That file is removed, lest it should take
        the place of a good one later.

    Yields
    ------
    Snapshot
        From a file whose checksum and spec are right.
    """
    for file in (Path(path), previous(path)):
        if not file.exists():
            continue
        try:
            yield _read(file, spec)
        except DamagedFileError as error:
            warn(f"warning: checkpoint not used: {error}")
            removal.remove(file)


def _read(path: Path, spec: dict[str, Any]) -> Snapshot:
    """Read one checkpoint after checking it."""
    do = "Training goes on from the checkpoint before it or, without one, from the start"
    with open_h5(path, "checkpoint", CHECKPOINT_SCHEMA, do) as file:
        arrays: dict[str, np.ndarray] = {}

        def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = read_array(file, name)

        stored, values = canonical_json(json.loads(read_text(file, "spec"))), json.loads(read_text(file, "values"))
        file.visititems(collect)
    if stored != canonical_json(spec):
        raise DamagedFileError(path, "this is the checkpoint of another cell (its spec differs)", do)
    return Snapshot(values, arrays)


def remove(path: Path | str) -> None:
    """Remove a checkpoint, the one before it and what interrupted writes left; none of them need exist.

    Parameters
    ----------
    path : Path or str
        The checkpoint's file.
    """
    path = Path(path)
    for file in (path, previous(path), *removal.temporaries(path)):
        removal.remove(file)


class StopRequest:
    """Whether a signal asked the training to stop.

    Attributes
    ----------
    signal : str or None
        Name of the signal, e.g. ``SIGTERM``.
    """

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note a signal: the handler that is installed."""
        self.signal = signal.Signals(number).name


@contextmanager
def stop_requests(listen: bool = True) -> Iterator[StopRequest]:
    """Turn SIGTERM, SIGINT and SIGUSR2 into a request that the training answers at its next step boundary.

    Parameters
    ----------
    listen : bool
        Whether to; if not, or outside of the main thread (which alone gets signals), the handlers stay as they are.

    Yields
    ------
    StopRequest
        To be looked at between steps. The handlers from before are back afterwards.
    """
    request = StopRequest()
    if not listen or threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # None: a handler that was not installed from Python, which cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
