"""Whether what was read from a dataset's file can be trials: the last line against files that only look whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lmrnn.datasets.generation import SMALL_COLUMNS
from lmrnn.datasets.spec import DatasetSpec
from lmrnn.errors import DamagedFileError
from lmrnn.tasks import CLASSES


def check_columns(spec: DatasetSpec, columns: Mapping[str, np.ndarray]) -> int:
    """Refuse columns that do not lay trials end to end, task after task; return the time steps of all trials together.

    Raises ValueError saying which column, of those that `lmrnn.datasets.generation.trial_columns` gives, is wrong.
    """
    length, durations = columns["length"].astype(np.int64), columns["durations"].astype(np.int64)
    used = durations >= 0
    periods = used.sum(axis=1)
    last = durations[np.arange(len(durations)), np.maximum(periods, 1) - 1]
    task = np.repeat(np.arange(len(spec.tasks)), spec.trials_per_task)
    wrong = {
        "durations": np.any(durations < -1) or np.any(periods < 1) or np.any(used[:, 1:] & ~used[:, :-1]),
        "length": np.any(length < 1) or np.any(length != np.maximum(durations, 0).sum(axis=1)),
        "start": np.any(columns["start"] != np.cumsum(length) - length),
        "task": np.any(columns["task"] != task),
        "decision": np.any(columns["decision"] != length - last) or np.any(last < 1),
    }
    with np.errstate(invalid="ignore"):
        wrong["coherence"] = np.any(columns["coherence"] < 0) or np.any(np.isinf(columns["coherence"]))
    wrong |= {name: np.any((columns[name] < -1) | (columns[name] >= 32)) for name in SMALL_COLUMNS}
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(f"the column {name} does not fit trials laid end to end, task after task")
    return int(length.sum())


def check_rows(path: Path, observations: np.ndarray, labels: np.ndarray, do: str) -> None:
    """Refuse time steps that no trial can have: DamagedFileError, with what the user can do, when one of the
    observations (S, 33) is not finite or one of the labels (S,) no class.
    """
    # a sum shows whether all are finite, without an array of as many answers
    if not np.isfinite(observations.sum(dtype=np.float64)):
        raise DamagedFileError(path, "it has observations that are not finite", do)
    if len(labels) and not 0 <= labels.min() <= labels.max() < CLASSES:
        raise DamagedFileError(path, f"it has labels that are none of 0 to {CLASSES - 1}", do)
