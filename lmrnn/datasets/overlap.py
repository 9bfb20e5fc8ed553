"""Test trials that were trained on: tasks without noise have few distinct trials, equal ones occur across splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

from lmrnn.datasets.generation import Dataset, generate
from lmrnn.datasets.spec import DatasetSpec
from lmrnn.seeds import stream
from lmrnn.tasks import Task, draw, render

_LOOKED_AT = 16  # trials of a task by which is seen whether it has noise: every trial of a task has it, or none


@cache
def seen_in_training(train: DatasetSpec, test: DatasetSpec) -> tuple[float, ...]:
    """Share of each task's test trials of which an equal one, in all observations and labels, stands in the training
    set: one number in [0, 1] for each task of both, in their order.

    Trials with noise differ always; those of the other tasks are generated and compared.
    """
    names = Counter(task.name for task in train.battery if not _noisy(task, train))
    found = {name: iter(_shares(train, test, name, count)) for name, count in names.items()}
    return tuple(next(found[name]) if name in found else 0.0 for name in test.tasks)


def _noisy(task: Task, spec: DatasetSpec) -> bool:
    some = draw(task, _LOOKED_AT, stream(0, "overlap"), spec.dt, spec.definition)
    noise = render(task, some, spec.dt, spec.definition).noise
    return bool(len(noise.entry)) and noise.sd > 0


def _shares(train: DatasetSpec, test: DatasetSpec, name: str, count: int) -> list[float]:
    """Share of each of `count` tasks of one name, which a battery may repeat with trials of its own."""
    seen, asked = (_trials(generate(replace(spec, tasks=(name,) * count))) for spec in (train, test))
    return [sum(trial in known for trial in own) / len(own) for known, own in zip(map(set, seen), asked, strict=True)]


def _trials(dataset: Dataset) -> list[list[bytes]]:
    """Observations and labels of each trial as bytes, task by task."""
    each = dataset.spec.trials_per_task
    texts = [b"".join(part.tobytes() for part in dataset.trial(trial)) for trial in range(len(dataset))]
    return [texts[first : first + each] for first in range(0, len(texts), each)]
