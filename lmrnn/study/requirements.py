"""What a study needs of the machine, and whether the machine has it, said before the first training."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from lmrnn.datasets import SPLITS, dataset_bytes
from lmrnn.errors import ResourceError, UnwritableFileError, advice, reason
from lmrnn.study.grid import Cell
from lmrnn.study.sizes import cell_bytes, parameters
from lmrnn.tasks import CHANNELS, CLASSES, battery_of, spans

# The interpreter with torch and the other libraries, measured as resident memory after import.
BASE_MB = 450
# What a process takes besides on a GPU's host: torch's libraries for CUDA and a context (measured: 348 MB more in all).
CUDA_MB = 400
# Longest trial of the battery in ms (dlydm and match with int: fixation, two stimuli, longest delay, 1 s decision).
_LONGEST_TRIAL_MS = 3600
# the newest checkpoint, the one before and the one being written
_CHECKPOINTS = 3
# What lmrnn puts around a file's name: `.NAME.12345678.tmp`, `NAME.lock.soft`, `NAME.previous`.
_AROUND_NAME = 20


def longest_steps(spec: Mapping[str, Any]) -> int:
    """Time steps of the longest batch of a cell."""
    own: list[int] = []
    if "own_tasks" in spec or "timing" in spec:
        lasting = (spans(task, spec["definition"]) for task in battery_of(spec))
        own = [sum(span.high for span in periods.values()) for periods in lasting]
    return spec["training"].get("sequence_length", max([_LONGEST_TRIAL_MS, *own]) // spec["dt"])


def cell_memory_mb(cell: Cell) -> int:
    """Memory in MB (10**6 bytes) that training one cell takes, generously."""
    spec, training = cell.spec, cell.spec["training"]
    neurons, synapses, others = parameters(spec)
    # float32: weight, gradient, two Adam moments, the best weights, a checkpoint's copy of four, indices in both orders
    weights = synapses * (9 * 4 + 24) + others * 9 * 4
    longest = longest_steps(spec)
    # states, their gradients, the drive, and copies in the kernel's layouts
    activity = longest * max(training["batch_size"], 256) * (8 * neurons + 4 * (CHANNELS + CLASSES)) * 4
    data = sum(dataset_bytes(cell.dataset(split)) for split in SPLITS)
    return BASE_MB + int((weights + activity + 2 * data) / 1e6)


def memory_mb(groups: Path | str = "/proc/self/cgroup", mounts: Path | str = "/sys/fs/cgroup") -> float:
    """Memory in MB that this process may use: the machine's, or less where a cgroup (v1 or v2) or ulimit says so.

    `groups` and `mounts` are the kernel's list of this process's cgroups and the folder in which they are mounted;
    in a container the list may name a path that only the host has, so every level above it is looked at, too.
    """
    limits = [psutil.virtual_memory().total]
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space)
    try:
        lines = Path(groups).read_text().splitlines()
    except OSError:  # not Linux, or no /proc
        lines = []
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            limits += _limits(Path(mounts), path, "memory.max") + _limits(Path(mounts) / "unified", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(Path(mounts) / "memory", path, "memory.limit_in_bytes")
    return min(limits) / 1e6


def _limits(mount: Path, path: str, name: str) -> list[int]:
    """Limits in bytes of a cgroup and of all above it; ``max`` is none."""
    inner = mount / path.lstrip("/")
    found = []
    for folder in [inner, *inner.parents][: len(Path(path).parts) or 1]:
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text):
            found.append(int(text))
    return found


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if os.path.exists(one))


def check_folder(folder: Path | str, cells: Iterable[Cell] = (), write: bool = False) -> None:
    """Refuse a folder of results that cannot be one, by UnwritableFileError; it need not exist.

    A file in its place, a link that leads nowhere or in a circle, a name that is too long (also of the files of
    `cells`) are refused without touching anything; with `write` it is made, and whether it takes a file is tried.
    """
    folder = Path(folder)
    for one in (*reversed(folder.absolute().parents), folder.absolute()):
        try:
            if not stat.S_ISDIR(os.stat(one).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except FileNotFoundError as error:
            if os.path.islink(one):
                what = f"the link {one} leads nowhere"
                raise UnwritableFileError(folder, what, "Remove the link, or choose another folder") from error
            break
        except OSError as error:
            what = f"cannot be a folder of results ({one}: {reason(error)})"
            raise UnwritableFileError(folder, what, advice(error)) from error
    _check_names(folder, cells)
    if write:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UnwritableFileError.of(folder, "cannot be written to", error) from error


def _check_names(folder: Path, cells: Iterable[Cell]) -> None:
    """Refuse names that the file system cannot hold."""
    names = {*folder.parts, *(name for cell in cells for name in cell.path(folder).parts)}
    longest = max(names, key=lambda name: len(os.fsencode(name)), default="")
    length, allowed = len(os.fsencode(longest)), os.pathconf(_existing(folder), "PC_NAME_MAX") - _AROUND_NAME
    if length > allowed:
        what = f"the name {longest[:60]}... in it is too long ({length} bytes, {allowed} are possible here)"
        raise UnwritableFileError(folder, what, "Choose shorter names in the configuration")


def check_disk(cells: Iterable[Cell], results: Path | str, at_once: int = 1, ends: bool = False) -> None:
    """Refuse to start when what is still to be written does not fit on the disk, by ResourceError with the numbers.

    Counted are the datasets that are missing, the files of `cells`, all of them missing, and the checkpoints of as many
    of them as are trained `at_once`; where `ends` are kept, one of each cell besides.
    """
    cells, results = list(cells), Path(results)
    specs = {cell.dataset_path(results, split): cell.dataset(split) for cell in cells for split in SPLITS}
    datasets = sum(dataset_bytes(spec) for path, spec in specs.items() if not path.exists())
    sizes = [cell_bytes(cell.spec) for cell in cells]
    files = sum(file + checkpoint * ends for file, checkpoint in sizes)
    checkpoints = _CHECKPOINTS * sum(sorted((size for _, size in sizes), reverse=True)[:at_once])
    needed, folder = datasets + files + checkpoints, _existing(results)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"what is still to be written needs {needed / 1e9:.2f} GB (datasets {datasets / 1e9:.2f}, cells "
            f"{files / 1e9:.2f}, checkpoints {checkpoints / 1e9:.2f}), but {folder} has {free / 1e9:.2f} GB free; "
            "make space, lower trials_per_task, or set `results:` to a folder on a larger disk"
        )


def check_memory(cells: Iterable[Cell]) -> None:
    """Refuse to start when one of the cells needs more memory than this process may use, by ResourceError."""
    have = memory_mb()
    largest = max(cells, key=cell_memory_mb)
    if cell_memory_mb(largest) > have:
        raise ResourceError(
            f"cell {largest.stem} needs about {cell_memory_mb(largest):,} MB of memory, "
            f"this machine has {have:,.0f} MB for it. Lower network.neurons, training.batch_size or trials_per_task, "
            "or run it where there is more"
        )


def check_gpu(device: str) -> None:
    """Refuse to start when `compute.device` is ``cuda`` and no NVIDIA device is visible here, by ResourceError."""
    if device == "cuda" and not list(Path("/dev").glob("nvidia[0-9]*")):
        raise ResourceError(
            "compute.device is cuda, but this machine shows no NVIDIA GPU; set it to cpu or auto, or run the sweep "
            "where there is one (`snakemake --profile slurm`)"
        )


def check_limits(cells: Iterable[Cell], study: Mapping[str, Any], local: bool, at_once: int = 1) -> None:
    """Refuse to train cells for which this machine is too small; those that are finished need nothing.

    `study` is the complete configuration. Unless they are trained on this machine (`local`), only folder and disk are
    checked. `at_once` is how many are trained at the same time. Raises ResourceError with the numbers,
    UnwritableFileError where the folder of results cannot be written to.
    """
    results = study["results"]
    missing = [cell for cell in cells if not cell.path(results).exists()]
    if not missing:
        return
    check_folder(results, missing, write=True)
    checks = [lambda: check_disk(missing, results, at_once, study["compute"]["keep_end"])]
    if local:
        checks += [lambda: check_memory(missing), lambda: check_gpu(study["compute"]["device"])]
    lacks = []
    for check in checks:
        try:
            check()
        except ResourceError as error:
            lacks.append(str(error))
    if lacks:
        raise ResourceError(". Also: ".join(lacks))
