"""From a configuration to the cells of its sweep.

A cell is one point of the grid. Its identity is its whole spec, as canonical JSON, hashed: two studies that ask for the
same cell share its file, and a changed setting asks for another file.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lmrnn.datasets.files import DatasetSpec
from lmrnn.errors import ConfigError, LmrnnError
from lmrnn.networks.connectivity import complete_connectivity, connectivity_label, validate_connectivity
from lmrnn.study.cells import canonical_json
from lmrnn.study.config import schema
from lmrnn.study.layout import Layout
from lmrnn.tasks import battery_names

# Raised by hand when a change to the code makes the same spec mean another training.
TRAINING_VERSION = 1
_FIXED_AXES = ("connectivity", "tasks", "trials_per_task", "seed")
# Validation and test data are the same for every cell of a definition, dt and battery.
EVALUATION_SEED = 0
SPLITS = ("train", "validation", "test")
MOST_CELLS = 1_000_000  # of one block; Snakemake takes about 2 ms a cell before anything starts
# Thousands of cells share a few datasets: each is checked once.
_dataset_spec = cache(DatasetSpec)


@dataclass(frozen=True)
class Cell:
    """One point of the grid.

    Parameters
    ----------
    spec : dict
        Everything that determines the training, as plain JSON values.
    """

    spec: dict[str, Any]

    @cached_property
    def hash(self) -> str:
        """First 8 hex digits of the SHA-256 of the canonical spec."""
        return hashlib.sha256(canonical_json(self.spec).encode()).hexdigest()[:8]

    @property
    def connectivity_label(self) -> str:
        """Name of the connectivity in files and figures."""
        return connectivity_label(self.spec["connectivity"])

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of their rule channels."""
        return battery_names(self.spec["tasks"])

    @cached_property
    def stem(self) -> str:
        """Path of the cell's file below the folder of cells, without its ending."""
        spec = self.spec
        folder = f"{self.connectivity_label}/tasks{len(self.tasks)}/trials{spec['trials_per_task']}"
        return f"{folder}/seed{spec['seed']}-{self.hash}"

    def path(self, results: Path | str) -> Path:
        """The cell's result file below a folder of results."""
        return Layout(results).cell(self.stem)

    def checkpoint(self, results: Path | str) -> Path:
        """The cell's checkpoint; apart from the results, because Snakemake removes outputs of failed jobs."""
        return Layout(results).checkpoint(self.stem)

    def dataset(self, split: str) -> DatasetSpec:
        """Spec of one of the cell's datasets.

        Parameters
        ----------
        split : str
            ``train``, ``validation`` or ``test``.

        Returns
        -------
        DatasetSpec
            What `lmrnn.datasets.files` makes and loads.
        """
        spec = self.spec
        train = split == "train"
        return _dataset_spec(
            definition=spec["definition"],
            dt=spec["dt"],
            tasks=self.tasks,
            trials_per_task=spec["trials_per_task"] if train else spec[f"{split}_trials"],
            split=split,
            data_seed=spec["data_seed"] if train else EVALUATION_SEED,
        )

    def dataset_path(self, results: Path | str, split: str) -> Path:
        """File of one of the cell's datasets below a folder of results."""
        return dataset_path(self.dataset(split), results)


def dataset_path(spec: DatasetSpec, results: Path | str) -> Path:
    """File of a dataset below a folder of results.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset.
    results : Path or str
        Folder of results.

    Returns
    -------
    Path
        The same for equal specs.
    """
    return Layout(results).dataset(spec)


def cells_of(config: Mapping[str, Any]) -> list[Cell]:
    """All cells of a study, each once, in the order of the grid.

    Parameters
    ----------
    config : mapping
        Complete configuration, from `lmrnn.study.config.validate_config`.

    Returns
    -------
    list of Cell
        At least one.

    Raises
    ------
    ConfigError
        When a point of the grid cannot exist (unknown task, connectivity out of range, ...).
    """
    cells = (cell for number, block in enumerate(config["grid"]) for cell in _cells_of_block(config, block, number))
    return list({cell.stem: cell for cell in cells}.values())


def _cells_of_block(config: Mapping[str, Any], block: Mapping[str, Any], number: int) -> Iterator[Cell]:
    """Cells of one block: the product of its axes."""
    connectivities = [one for entry in block["connectivity"] for one in _expand_connectivity(entry)]
    extra = sorted(key for key in block if key not in _FIXED_AXES)
    for tasks in block["tasks"]:
        _check(f"grid block {number}, tasks {tasks}", battery_names, tasks)
    values = [block[key] for key in extra]
    axes = (connectivities, block["tasks"], block["trials_per_task"], block["seed"], *values)
    for connectivity, tasks, trials, seed, *settings in _product(f"grid block {number}", axes):
        yield Cell(_cell_spec(config, connectivity, tasks, trials, seed, dict(zip(extra, settings, strict=True))))


def _cell_spec(
    config: Mapping[str, Any], connectivity: dict[str, Any], tasks: Any, trials: int, seed: int, axes: dict[str, Any]
) -> dict[str, Any]:
    """Whole spec of one cell."""
    network, training = _settings(config, "network", axes), _settings(config, "training", axes)
    where = f"grid, connectivity {connectivity}"
    _check(where, validate_connectivity, connectivity, network["neurons"])
    if training["layout"] != "stream":
        del training["sequence_length"]  # without meaning there: two values of it are the same cell
    seed = seed + config["seed_offset"]
    return {
        "version": TRAINING_VERSION,
        "definition": config["definition"],
        "dt": config["dt"],
        "tasks": tasks,
        "trials_per_task": trials,
        "seed": seed,
        "data_seed": seed if config["data_seed"] == "cell" else config["seed_offset"],
        "validation_trials": config["validation_trials"],
        "test_trials": config["test_trials"],
        "connectivity": _check(where, complete_connectivity, connectivity),
        "network": network,
        "training": training,
    }


def _settings(config: Mapping[str, Any], section: str, axes: Mapping[str, Any]) -> dict[str, Any]:
    """One section of the configuration with the axes of the grid put in, as a spec holds it.

    A setting that came after the first version (``x-since`` in the schema) stands in a spec only where it is not at its
    default, so that the cells of older versions stay the same cells; `lmrnn.study.config.complete` puts it back.
    """
    rules = schema()["properties"][section]["properties"]
    settings = {key: axes.get(key, value) for key, value in config[section].items()}
    # 1 and 1.0 are the same leak or learning rate, so they must be the same JSON
    exact = {key: float(value) if rules[key].get("type") == "number" else value for key, value in settings.items()}
    return {key: value for key, value in exact.items() if "x-since" not in rules[key] or value != rules[key]["default"]}


def _expand_connectivity(entry: str | Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry of the connectivity axis as the kinds it stands for: lists inside are multiplied out."""
    if isinstance(entry, str):
        return [{"kind": entry}]
    choices = [value if isinstance(value, list) else [value] for value in entry.values()]
    return [dict(zip(entry, values, strict=True)) for values in _product(f"grid, connectivity {entry}", choices)]


def _product(where: str, axes: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """All combinations, of which there must be some, but not so many that a slip of the keyboard fills the memory."""
    count = math.prod(len(axis) for axis in axes)
    if not 0 < count <= MOST_CELLS:
        what = "shorten its lists, or make several studies of it" if count else "a list in it is empty"
        raise ConfigError(f"{where} has {count:,} cells; allowed: 1 to {MOST_CELLS:,}; {what}")
    return itertools.product(*axes)


def _check(where: str, function: Any, *arguments: Any) -> Any:
    """Call a function and say where in the configuration its complaint comes from."""
    try:
        return function(*arguments)
    except LmrnnError as error:
        raise ConfigError(f"{where}: {error}") from error


def find_cell(cells: list[Cell], wanted: str) -> Cell:
    """The one cell that a user names.

    Parameters
    ----------
    cells : list of Cell
        Cells of a study.
    wanted : str
        A cell's hash, file, or any part of its path that only it has.

    Returns
    -------
    Cell
        The only one that fits.

    Raises
    ------
    ConfigError
        When none or several fit.
    """
    wanted = wanted.removesuffix(".h5")
    fitting = [cell for cell in cells if wanted in cell.stem or wanted.endswith(cell.stem)]
    if len(fitting) == 1:
        return fitting[0]
    some = "\n  ".join(cell.stem for cell in (fitting or cells)[:10])
    raise ConfigError(f"{len(fitting)} cells fit {wanted!r}; name one of\n  {some}\n  ...")
