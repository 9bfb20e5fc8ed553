"""What the benchmarks train: cells as the default study has them, and their data."""

from typing import Any

from lmrnn.datasets import Dataset, DatasetSpec, generate
from lmrnn.tasks import battery_names


def dataset(split: str, per_task: int, tasks: int = 20, dt: int = 100, seed: int = 0) -> Dataset:
    """Trials of the first tasks of the battery."""
    return generate(DatasetSpec("corrected", dt, battery_names(tasks), per_task, split, seed))


def spec_of(
    connectivity: dict, neurons: int = 256, tasks: int = 20, dt: int = 100, seed: int = 0, **changed: Any
) -> dict:
    """Spec of a cell; what is not the default study's is named by its key in `network` or `training`."""
    network = {"nonlinearity": "relu", "leak": 1.0, "initialisation": "scaled_identity", "initial_scale": 0.5}
    training = {"layout": "padded", "batch_size": 64, "learning_rate": 1e-3, "gradient_clip": 1.0}
    network |= {"neurons": neurons, "recurrent_noise": 0.0}
    return {
        **{"seed": seed, "tasks": tasks, "dt": dt, "connectivity": connectivity},
        "network": network | {name: value for name, value in changed.items() if name in network},
        "training": training | {name: value for name, value in changed.items() if name not in network},
    }
