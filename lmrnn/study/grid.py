"""From a configuration to the cells of its sweep.

A cell is one point of the grid. Its identity is its whole spec, as canonical JSON, hashed: two studies that ask for the
same cell share its file, and a changed setting asks for another file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lmrnn.datasets import DatasetSpec
from lmrnn.errors import ConfigError, LmrnnError
from lmrnn.networks import complete_connectivity, connectivity_label, validate_connectivity
from lmrnn.study.cells import canonical_json
from lmrnn.study.config import own_tasks, schema
from lmrnn.study.layout import Layout
from lmrnn.study.reading import Key, Source, brief
from lmrnn.study.settled import settled
from lmrnn.tasks import Variation, battery_names, battery_of, check_spans, names_of

# Raised by hand when a change to the code makes the same spec mean another training.
TRAINING_VERSION = 1
_FIXED_AXES = ("connectivity", "tasks", "trials_per_task", "seed")
# Validation and test data are the same for every cell of a definition, dt and battery.
EVALUATION_SEED = 0
MOST_CELLS = 1_000_000  # of one block; Snakemake takes about 2 ms a cell before anything starts
HASH_DIGITS, OLD_HASH_DIGITS = 16, 8  # in a cell's file name; version 0.1 had the fewer
SEQ60 = "seq60"  # the one name that is no task's
Where = Callable[[Key], str]  # from a key of the configuration to where it was written
# Thousands of cells share a few datasets: each is checked once.
_dataset_spec = cache(DatasetSpec)


@dataclass(frozen=True)
class Cell:
    """One point of the grid; `spec` is everything that determines its training, as plain JSON values."""

    spec: dict[str, Any]

    @cached_property
    def identity(self) -> str:
        """The whole spec as canonical JSON: two cells are one exactly when these are equal."""
        return canonical_json(self.spec)

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the identity."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:HASH_DIGITS]

    @property
    def connectivity_label(self) -> str:
        """Name of the connectivity in files and figures."""
        return connectivity_label(self.spec["connectivity"])

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of their rule channels."""
        return names_of(self.spec)

    @cached_property
    def stem(self) -> str:
        """Path of the cell's file below the folder of cells, without its ending."""
        spec = self.spec
        folder = f"{self.connectivity_label}/tasks{len(self.tasks)}/trials{spec['trials_per_task']}"
        return f"{folder}/seed{spec['seed']}-{self.hash}"

    @property
    def old_stem(self) -> str:
        """The stem that version 0.1 gave the same cell."""
        return self.stem[: OLD_HASH_DIGITS - HASH_DIGITS]

    def path(self, results: Path | str) -> Path:
        """The cell's result file below a folder of results."""
        return Layout(results).cell(self.stem)

    def beside(self, results: Path | str) -> list[Path]:
        """Result files of other cells of its connectivity, number of tasks and of trials, and seed, sorted."""
        own = self.path(results)
        return sorted(path for path in own.parent.glob(f"seed{self.spec['seed']}-*.h5") if path != own)

    def checkpoint(self, results: Path | str) -> Path:
        """The cell's checkpoint; apart from the results, because Snakemake removes outputs of failed jobs."""
        return Layout(results).checkpoint(self.stem)

    def dataset(self, split: str) -> DatasetSpec:
        """Spec of the cell's ``train``, ``validation`` or ``test`` data."""
        spec = self.spec
        train = split == "train"
        return _dataset_spec(
            definition=spec["definition"],
            dt=spec["dt"],
            tasks=self.tasks,
            trials_per_task=spec["trials_per_task"] if train else spec[f"{split}_trials"],
            split=split,
            data_seed=spec["data_seed"] if train else EVALUATION_SEED,
            own_tasks=tuple(sorted(spec.get("own_tasks", {}).items())),
            **vars(Variation.of(spec)),
        )

    def dataset_path(self, results: Path | str, split: str) -> Path:
        """File of one of the cell's datasets below a folder of results."""
        return Layout(results).dataset(self.dataset(split))


def cells_of(config: Mapping[str, Any]) -> list[Cell]:
    """All cells of a study, each once, in the order of the grid.

    `config` is complete, from `lmrnn.study.config.validate_config`. Raises `ConfigError` when a point of the grid
    cannot exist (unknown task, connectivity out of range, ...) or is doubtful, and when two cells have one file name.
    """
    where = getattr(config, "source", Source("config")).where
    own = own_tasks(config)
    _check_batteries(config["grid"], own, where)
    blocks = (_cells_of_block(config, block, number, own, where) for number, block in enumerate(config["grid"]))
    cells = {cell.identity: cell for block in blocks for cell in block}.values()
    names: dict[str, Cell] = {}
    for cell in cells:
        if names.setdefault(cell.stem, cell) is not cell:
            raise ConfigError(
                f"two different cells have the name {cell.stem}: {cell.identity} and {names[cell.stem].identity}"
            )
    return list(cells)


def _check_batteries(grid: Sequence[Mapping[str, Any]], own: Mapping[str, str], where: Where) -> None:
    """Refuse tasks that do not exist, a list of names without brackets of its own, and a battery in two notations."""
    notations: dict[tuple[str, ...], Any] = {}
    for number, block in enumerate(grid):
        key = ("grid", number, "tasks")
        alone = [tasks for tasks in block["tasks"] if isinstance(tasks, str) and tasks != SEQ60]
        if len(alone) > 1:
            names = brief(", ".join(alone), True)
            each = brief(", ".join(f"[{name}]" for name in alone), True)
            raise ConfigError(
                f"{where(key)} lists the names {names}; write [[{names}]] for one battery of {len(alone)} tasks, or "
                f"[{each}] for {len(alone)} batteries of one task each"
            )
        for index, tasks in enumerate(block["tasks"]):
            names = _check(where((*key, index)), battery_names, tasks, own)
            other = notations.setdefault(names, tasks)
            if other != tasks:
                what = f"{brief(tasks)} and {brief(other)} are the same tasks, trained twice; write them in one way"
                raise ConfigError(f"{where((*key, index))}: {what}")


def _cells_of_block(
    config: Mapping[str, Any], block: Mapping[str, Any], number: int, own: Mapping[str, str], where: Where
) -> Iterator[Cell]:
    """Cells of one block: the product of its axes."""
    key = ("grid", number)
    connectivities = [
        (one, where((*key, "connectivity", index)))
        for index, entry in enumerate(block["connectivity"])
        for one in _expand_connectivity(entry, where((*key, "connectivity", index)))
    ]
    extra = sorted(axis for axis in block if axis not in _FIXED_AXES)
    axes = (connectivities, block["tasks"], block["trials_per_task"], block["seed"], *(block[axis] for axis in extra))
    for (connectivity, place), tasks, trials, seed, *settings in _product(where(key), axes):
        chosen = dict(zip(extra, settings, strict=True))
        trained_on = _trained_on(config, tasks, own, chosen, where(key))
        yield Cell(_cell_spec(config, connectivity, place, trained_on, trials, seed, chosen))


def _trained_on(
    config: Mapping[str, Any], tasks: Any, own: Mapping[str, str], axes: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """What a spec says of its tasks, beside definition and dt; refuses timing that they cannot have."""
    varied = {key: axes.get(key, config.get(key, default)) for key, default in vars(Variation()).items()}
    variation = _check(where, Variation.of, varied)
    used = {} if isinstance(tasks, int) else {name: own[name] for name in battery_names(tasks, own) if name in own}
    found = {"tasks": tasks, **({"own_tasks": used} if used else {}), **variation.spec}
    if len(found) > 1:
        _check(where, _check_timing, canonical_json(found), config["dt"], config["definition"])
    return found


@cache
def _check_timing(trained_on: str, dt: int, definition: str) -> None:
    """Refuse periods that no trial can have, and a timing of periods that no task has."""
    spec = json.loads(trained_on)
    known = set().union(*(check_spans(task, dt, definition) for task in battery_of(spec)))
    for name in spec.get("timing", {}):
        if name not in known:
            what = f"no task here has a period named {name!r}; they have: {', '.join(sorted(known))}"
            raise ConfigError(f"timing: {what}")


def _cell_spec(
    config: Mapping[str, Any],
    connectivity: dict[str, Any],
    place: str,
    trained_on: dict[str, Any],
    trials: int,
    seed: int,
    axes: dict[str, Any],
) -> dict[str, Any]:
    """Whole spec of one cell; `place` is where its connectivity was written."""
    network, training = _settings(config, "network", axes), _settings(config, "training", axes)
    where = f"{place}, {brief(connectivity)}"
    _check(where, validate_connectivity, connectivity, network["neurons"])
    seed = seed + config["seed_offset"]
    spec = {
        "version": TRAINING_VERSION,
        "definition": config["definition"],
        "dt": config["dt"],
        **trained_on,
        "trials_per_task": trials,
        "seed": seed,
        "data_seed": seed if config["data_seed"] == "cell" else config["seed_offset"],
        "validation_trials": config["validation_trials"],
        "test_trials": config["test_trials"],
        "connectivity": _check(where, complete_connectivity, connectivity),
        "network": network,
        "training": training,
    }
    return _check(where, settled, spec)


def _settings(config: Mapping[str, Any], section: str, axes: Mapping[str, Any]) -> dict[str, Any]:
    """One section of the configuration with the axes of the grid put in, as a spec holds it.

    A setting that came after the first version (``x-since`` in the schema) stands in a spec only where it is not at its
    default, so that the cells of older versions stay the same cells; `lmrnn.study.config.complete` puts it back. One
    without meaning beside another's value (``x-when``) is left out, so that two values of it are the same cell.
    """
    rules = schema()["properties"][section]["properties"]
    settings = {key: _exact(axes.get(key, value), rules[key]) for key, value in config[section].items()}
    return {
        key: value
        for key, value in settings.items()
        if all(settings[other] in values for other, values in rules[key].get("x-when", {}).items())
        and ("x-since" not in rules[key] or value != rules[key]["default"])
    }


def _exact(value: Any, rule: Mapping[str, Any]) -> Any:
    """A setting as a spec holds it: 1 and 1.0 are the same leak or learning rate, so they must be the same JSON."""
    return float(value) if "number" in rule.get("type", ()) and isinstance(value, (int, float)) else value


def _expand_connectivity(entry: str | Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """One entry of the connectivity axis as the kinds it stands for: lists inside are multiplied out."""
    if isinstance(entry, str):
        return [{"kind": entry}]
    if "sparsity" in entry:
        what = "the share of synapses that exist is called density here, e.g. {kind: random, density: 0.04}"
        raise ConfigError(f"{where}: unknown key 'sparsity'; {what}")
    choices = [value if isinstance(value, list) else [value] for value in entry.values()]
    return [dict(zip(entry, values, strict=True)) for values in _product(f"{where}, {brief(entry)}", choices)]


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
        raise ConfigError(f"{where}: {brief(str(error), True, 1000)}") from error


def find_cell(cells: list[Cell], wanted: str) -> Cell:
    """The one cell that a user names by its hash, its file, or any part of its path that only it has.

    Raises `ConfigError` when none or several fit.
    """
    wanted = wanted.removesuffix(".h5")
    fitting = [cell for cell in cells if wanted in cell.stem or wanted.endswith(cell.stem)]
    if len(fitting) == 1:
        return fitting[0]
    some = "\n  ".join(cell.stem for cell in (fitting or cells)[:10])
    raise ConfigError(f"{len(fitting)} cells fit {wanted!r}; name one of\n  {some}\n  ...")
