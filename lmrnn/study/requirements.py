"""What a study needs of the machine, and whether the machine has it, said before the first training."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from lmrnn.datasets import SPLITS, DatasetSpec, dataset_bytes
from lmrnn.errors import ResourceError
from lmrnn.networks import network_size
from lmrnn.study.grid import Cell, dataset_path
from lmrnn.tasks import CHANNELS, CLASSES

# The interpreter with torch and the other libraries, measured as resident memory after import.
BASE_MB = 450
# Longest trial of the battery in ms (dlydm and match with int: fixation, two stimuli, longest delay, 1 s decision).
_LONGEST_TRIAL_MS = 3600


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
    neurons, synapses = network_size(spec["connectivity"], spec["network"]["neurons"], spec["seed"])
    # float32: weight, gradient, two Adam moments, a checkpoint's copy of three of them, indices in both orders
    parameters = synapses * (7 * 4 + 24)
    parameters += neurons * (CHANNELS + len(cell.tasks) + CLASSES) * 7 * 4
    longest = training.get("sequence_length", _LONGEST_TRIAL_MS // spec["dt"])
    # states, their gradients, the drive, and copies in the kernel's layouts
    activity = longest * max(training["batch_size"], 256) * (8 * neurons + 4 * (CHANNELS + CLASSES)) * 4
    data = sum(dataset_bytes(cell.dataset(split)) for split in SPLITS)
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
    needed = sum(dataset_bytes(spec) for spec in specs if not dataset_path(spec, results).exists())
    folder = next(parent for parent in (results.absolute(), *results.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"the datasets still to be made need {needed / 1e9:.2f} GB, but {folder} has {free / 1e9:.2f} GB free; "
            "make space, lower trials_per_task, or set `results:` to a folder on a larger disk"
        )


def check_memory(cells: Iterable[Cell]) -> None:
    """Refuse to start when a cell needs more memory than this machine has.

    Parameters
    ----------
    cells : iterable of Cell
        Cells still to be trained, on this machine.

    Raises
    ------
    ResourceError
        With the largest cell, the memory it needs and the machine's.
    """
    have = psutil.virtual_memory().total / 1e6
    largest = max(cells, key=cell_memory_mb, default=None)
    if largest is not None and cell_memory_mb(largest) > have:
        raise ResourceError(
            f"cell {largest.stem} needs about {cell_memory_mb(largest):,} MB of memory, "
            f"this machine has {have:,.0f} MB. Lower network.neurons, training.batch_size or trials_per_task, "
            "or run it where there is more"
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


def check_limits(cells: Iterable[Cell], study: Mapping[str, Any], local: bool) -> None:
    """Refuse to start a study for which this machine is too small.

    Parameters
    ----------
    cells : iterable of Cell
        Cells of the study; those that are finished need nothing.
    study : mapping
        Its complete configuration.
    local : bool
        Whether cells are trained on this machine; else only the disk is checked.

    Raises
    ------
    ResourceError
        With the numbers.
    """
    results = study["results"]
    missing = [cell for cell in cells if not cell.path(results).exists()]
    specs = {cell.dataset_path(results, split): cell.dataset(split) for cell in missing for split in SPLITS}
    check_disk(specs.values(), results)
    if local:
        check_memory(missing)
        check_gpu(study["compute"]["device"] if missing else "cpu")
