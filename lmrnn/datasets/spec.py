"""What a dataset is: its spec, which is its identity, and the name of its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmrnn.errors import ConfigError
from lmrnn.tasks import Task, Variation, battery, battery_label, battery_names, check_setting

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetSpec:
    """What a dataset is; two datasets with equal specs are equal.

    `definition` is ``corrected`` or ``released``, `dt` the time step in ms (a divisor of 100), `tasks` the names in the
    order of their rule channels (they repeat where battery 132 repeats them), `trials_per_task` >= 1, `split` one of
    `SPLITS`, `data_seed` >= 0. `own_tasks` are names of a user's own tasks, each with the sha256 of its file; `timing`,
    `noise` and `noise_where` as in `lmrnn.tasks.Variation`: none of these stands in the text or the file's name of a
    dataset of the battery as it is. Raises ConfigError when a value is not allowed, TaskNameError on tasks that do not
    exist.
    """

    definition: str
    dt: int
    tasks: tuple[str, ...]
    trials_per_task: int
    split: str
    data_seed: int
    own_tasks: tuple[tuple[str, str], ...] = ()
    timing: tuple[tuple[str, tuple[int, ...]], ...] = ()
    noise: float = 1.0
    noise_where: str = "stimuli"

    def __post_init__(self) -> None:
        check_setting(self.definition, self.dt)
        own = dict(self.own_tasks)
        object.__setattr__(self, "tasks", battery_names(self.tasks, own))
        object.__setattr__(self, "own_tasks", tuple(sorted(own.items())))
        for key, value in vars(self.variation).items():
            object.__setattr__(self, key, value)
        _check_integer("trials_per_task", self.trials_per_task, 1)
        _check_integer("data_seed", self.data_seed, 0)
        if self.split not in SPLITS:
            raise ConfigError(f"split: {self.split!r} is none of {', '.join(SPLITS)}")

    @property
    def variation(self) -> Variation:
        """What differs from the battery's timing and noise."""
        return Variation(self.timing, self.noise, self.noise_where)

    @property
    def battery(self) -> tuple[Task, ...]:
        """The tasks, in the order of their rule channels; raises ConfigError where the file of one is not there."""
        return _battery(self.tasks, self.own_tasks, self.variation)

    @property
    def extras(self) -> dict[str, Any]:
        """What tells it from a dataset of the battery as it is."""
        own = {"own_tasks": dict(self.own_tasks)} if self.own_tasks else {}
        return {**own, **self.variation.spec}

    @property
    def n_trials(self) -> int:
        """Trials of all tasks together."""
        return len(self.tasks) * self.trials_per_task

    def path(self, root: Path | str) -> Path:
        """File of this dataset below the folder of all, e.g. ``corrected-dt100/tasks20/train-trials100-seed0.h5``."""
        extras = self.extras
        other = f"-{hashlib.sha256(_canonical(extras).encode()).hexdigest()[:16]}" if extras else ""
        folder = Path(root) / f"{self.definition}-dt{self.dt}{other}" / battery_label(self.tasks, dict(self.own_tasks))
        return folder / f"{self.split}-trials{self.trials_per_task}-seed{self.data_seed}.h5"

    def to_json(self) -> str:
        """The whole spec as canonical JSON text."""
        return _canonical({**{key: getattr(self, key) for key in _ALWAYS}, **self.extras})

    @classmethod
    def from_json(cls, text: str) -> DatasetSpec:
        """Spec of a text that `to_json` made; raises ConfigError when it is no JSON, or has a wrong key or value."""
        try:
            found: dict[str, Any] = json.loads(text)
            if "own_tasks" in found:
                found["own_tasks"] = tuple(found["own_tasks"].items())
            return cls(**found)
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"not the spec of a dataset: {error}") from error


_ALWAYS = ("definition", "dt", "tasks", "trials_per_task", "split", "data_seed")


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=1000)
def _battery(names: tuple[str, ...], own: tuple[tuple[str, str], ...], variation: Variation) -> tuple[Task, ...]:
    return battery(names, dict(own), variation)


def _check_integer(key: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{key}: {value!r} is not an integer >= {low}")
