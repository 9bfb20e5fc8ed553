"""What a study needs of the machine, and whether the machine has it, said before the first training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import psutil

from lmrnn.cells import canonical_json
from lmrnn.connectivity import build_connectivity
from lmrnn.datasets import DatasetSpec, dataset_bytes
from lmrnn.errors import ResourceError
from lmrnn.sweep import Cell

# The interpreter with torch and the other libraries, measured as resident memory after import.
BASE_MB = 450
_CHANNELS, _CLASSES = 33, 17
# Longest trial of the battery in ms (dlydm and match with int: fixation, two stimuli, longest delay, 1 s decision).
_LONGEST_TRIAL_MS = 3600


@lru_cache(maxsize=1024)
def _synapses(connectivity: str, neurons: int) -> int:
    """Number of synapses of a connectivity given as JSON."""
    return build_connectivity(json.loads(connectivity), neurons).synapses


def synapse_count(cell: Cell) -> int:
    """Number of recurrent synapses of a cell's network.

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    int
        At least 1; exact, because no kind's count depends on its random draw.
    """
    return _synapses(canonical_json(cell.spec["connectivity"]), cell.spec["network"]["neurons"])


def cell_memory_mb(cell: Cell) -> int:
    """Memory that training one cell takes, generously.

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    int
        Megabytes (10**6 bytes).
    """
    spec, training = cell.spec, cell.spec["training"]
    neurons = spec["network"]["neurons"]
    # float32: weight, gradient, two Adam moments, a checkpoint's copy of three of them, indices in both orders
    parameters = synapse_count(cell) * (7 * 4 + 24)
    parameters += neurons * (_CHANNELS + len(cell.tasks) + _CLASSES) * 7 * 4
    longest = training.get("sequence_length", _LONGEST_TRIAL_MS // spec["dt"])
    # states, their gradients, the drive, and copies in the kernel's layouts
    activity = longest * max(training["batch_size"], 256) * (8 * neurons + 4 * (_CHANNELS + _CLASSES)) * 4
    data = sum(dataset_bytes(cell.dataset(split)) for split in ("train", "validation", "test"))
    return BASE_MB + int((parameters + activity + 2 * data) / 1e6)


def check_disk(specs: Iterable[DatasetSpec], results: Path | str) -> None:
    """Refuse to start when the datasets still to be made do not fit on the disk.

    Parameters
    ----------
    specs : iterable of DatasetSpec
        Datasets of the study.
    results : Path or str
        Folder of results.

    Raises
    ------
    ResourceError
        With the bytes needed and free.
    """
    results = Path(results)
    needed = sum(dataset_bytes(spec) for spec in specs if not spec.path(results).exists())
    folder = next(parent for parent in (results.absolute(), *results.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"the datasets still to be made need {needed / 1e9:.2f} GB, but {folder} has {free / 1e9:.2f} GB free; "
            "make space, lower trials_per_task, or set `results:` to a folder on a larger disk"
        )


def check_memory(cells: Iterable[Cell], local: bool = True) -> None:
    """Refuse to start when a cell needs more memory than this machine has.

    Parameters
    ----------
    cells : iterable of Cell
        Cells still to be trained.
    local : bool
        Whether they are trained on this machine; nothing is checked otherwise.

    Raises
    ------
    ResourceError
        With the largest cell, the memory it needs and the machine's.
    """
    if not local:
        return
    have = psutil.virtual_memory().total / 1e6
    largest = max(cells, key=cell_memory_mb, default=None)
    if largest is not None and cell_memory_mb(largest) > have:
        raise ResourceError(
            f"cell {largest.stem} needs about {cell_memory_mb(largest):,} MB of memory, this machine has {have:,.0f} MB; "
            "lower network.neurons, training.batch_size or trials_per_task, or run it where there is more"
        )


def check_gpu(device: str) -> None:
    """Refuse to start when a GPU is asked for and none is there.

    Parameters
    ----------
    device : str
        ``compute.device`` of the configuration.

    Raises
    ------
    ResourceError
        When it is ``cuda`` and no NVIDIA device is visible here.
    """
    if device == "cuda" and not list(Path("/dev").glob("nvidia[0-9]*")):
        raise ResourceError(
            "compute.device is cuda, but this machine shows no NVIDIA GPU; set it to cpu or auto, or run the sweep "
            "where there is one (`snakemake --profile slurm`)"
        )
