"""What a dataset is: its spec, which is its identity, and the name of its file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lmrnn.errors import ConfigError
from lmrnn.tasks import battery_label, battery_names, check_setting

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetSpec:
    """What a dataset is; two datasets with equal specs are equal.

    `definition` is ``corrected`` or ``released``, `dt` the time step in ms (a divisor of 100), `tasks` the names in the
    order of their rule channels (they repeat where battery 132 repeats them), `trials_per_task` >= 1, `split` one of
    `SPLITS`, `data_seed` >= 0. Raises ConfigError when a value is not allowed, TaskNameError on tasks that do not
    exist.
    """

    definition: str
    dt: int
    tasks: tuple[str, ...]
    trials_per_task: int
    split: str
    data_seed: int

    def __post_init__(self) -> None:
        check_setting(self.definition, self.dt)
        object.__setattr__(self, "tasks", battery_names(self.tasks))
        _check_integer("trials_per_task", self.trials_per_task, 1)
        _check_integer("data_seed", self.data_seed, 0)
        if self.split not in SPLITS:
            raise ConfigError(f"split: {self.split!r} is none of {', '.join(SPLITS)}")

    @property
    def n_trials(self) -> int:
        """Trials of all tasks together."""
        return len(self.tasks) * self.trials_per_task

    def path(self, root: Path | str) -> Path:
        """File of this dataset below the folder of all, e.g. ``corrected-dt100/tasks20/train-trials100-seed0.h5``."""
        folder = Path(root) / f"{self.definition}-dt{self.dt}" / battery_label(self.tasks)
        return folder / f"{self.split}-trials{self.trials_per_task}-seed{self.data_seed}.h5"

    def to_json(self) -> str:
        """The whole spec as canonical JSON text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> DatasetSpec:
        """Spec of a text that `to_json` made; raises ConfigError when it is no JSON, or has a key or value that is not
        allowed.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"not the spec of a dataset: {error}") from error


def _check_integer(key: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{key}: {value!r} is not an integer >= {low}")
