"""What a training step costs: measured on this machine with a few real ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

from lmrnn.datasets import SPLITS
from lmrnn.study.grid import Cell

_MEASURED_STEPS = (4, 12)
# On a GPU a step is captured when a shape of batch is seen for the second time: by then all of dt 100 (7) have been.
_MEASURED_STEPS_ON_GPU = (60, 120)
_MEASURED_TRIALS = 8


@dataclass(frozen=True)
class Cost:
    """Seconds that a kind of cell takes: for one training step, and for the evaluation of one trial."""

    step: float
    trial: float = 0.0


def measured_cost(compute: Mapping[str, Any], cell: Cell) -> Cost:
    """Cost of a kind of cell, by training it for a few steps on this machine with the section ``compute`` of the
    configuration; it takes a second or a few.
    """
    from lmrnn.datasets import generate_dataset, load_dataset
    from lmrnn.training.state import Compute, on_gpu
    from lmrnn.training.train import train

    first, last = _MEASURED_STEPS_ON_GPU if on_gpu(compute["device"]) else _MEASURED_STEPS
    training = {**cell.spec["training"], "steps": last, "evaluate_every": first}
    # Enough trials for a full batch; the time of a step does not depend on how many there are besides.
    trials = max(_MEASURED_TRIALS, math.ceil(training["batch_size"] / len(cell.tasks)))
    with TemporaryDirectory() as folder:
        sets = {}
        for split in SPLITS:
            path = f"{folder}/{split}.h5"
            count = trials if split == "train" else _MEASURED_TRIALS
            generate_dataset(replace(cell.dataset(split), trials_per_task=count), path)
            sets[split] = load_dataset(path)
        spec = {**cell.spec, "training": training}
        data = sets["train"], sets["validation"], sets["test"]
        result = train(spec, *data, log=lambda line: None, compute=Compute.of(compute))
    times, steps = result.history["training_seconds"], result.history["step"]
    measured = [index for index, step in enumerate(steps) if step >= first]
    begin, end = measured[0], measured[-1]
    if steps[end] == steps[begin]:  # diverged within the first steps
        begin = 0
    evaluations = len(steps)
    return Cost(
        step=float(times[end] - times[begin]) / float(steps[end] - steps[begin]),
        trial=float(result.history["evaluation_seconds"][-1]) / (evaluations * len(cell.tasks) * _MEASURED_TRIALS),
    )
