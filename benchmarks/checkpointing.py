"""What does being interruptible cost? The same training with and without checkpoints.

At the default interval of 60 s a training of a few seconds writes only its first checkpoint, so the cost of one is
measured where there are many: trainings that write one every 50 steps alternate with trainings that write none, and the
difference, per checkpoint, is set against the 60 s in which one is due. Networks of 256 and of 4,096 neurons.

    python -m benchmarks.checkpointing
"""

import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.compare import compared
from benchmarks.study import dataset, spec_of
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.state import Compute, Training
from lmrnn.training.train import take_step, validate

INTERVAL = Compute().checkpoint_seconds
GOAL = 0.02
EVERY, WRITES, ROUNDS = 50, 4, 7


def make(neurons, data):
    """A training with a history of a thousand evaluations, more than most have."""
    training = Training(spec_of({"kind": "local", "radius": 3}, neurons, steps=10**6), *data, Compute())
    validate(training)
    training.history = {name: values * 1000 for name, values in training.history.items()}
    return training


def seconds(training, path):
    """Wall time of some steps, with a checkpoint after each `EVERY` of them if there is a path."""
    began = time.perf_counter()
    for _ in range(WRITES):
        for _ in range(EVERY if training.network.neurons < 1000 else 2):
            take_step(training)
        if path is not None:
            checkpoints.save(path, training.spec, training.snapshot())
    return time.perf_counter() - began


def rows() -> list[dict]:
    """Measure, for each size of network: 60 s of training without (theirs) and with (ours) a checkpoint."""
    torch.set_num_threads(1)
    data = dataset("train", 100), dataset("validation", 2)
    made = []
    for neurons in (256, 4096):
        training = make(neurons, data)
        seconds(training, None)  # the first warms up
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.h5"
            pairs = [(seconds(training, path), seconds(training, None)) for _ in range(ROUNDS)]
            megabytes = path.stat().st_size / 2**20
        costs = [(with_ - without) / WRITES for with_, without in pairs]
        what = f"training with a checkpoint ({megabytes:.1f} MiB) every {INTERVAL:.0f} s against none, N = {neurons:,}"
        row = {"question": what, **compared([(INTERVAL + cost, INTERVAL) for cost in costs])}
        made.append(row | {"goal": 1 + GOAL, "unit": "s", "better": "lower"})
    return made


def main() -> int:
    """Print the rows; status 1 when a goal is missed."""
    measured = rows()
    for row in measured:
        low, high = row["spread"]
        cost = 1000 * (row["ours"] - row["theirs"])
        print(f"{row['question']}: {cost:.0f} ms a checkpoint", end=" ")
        print(f"= {row['ratio'] - 1:.3%} of the time ({low - 1:.3%} to {high - 1:.3%} over {ROUNDS} rounds), goal 2%")
    return int(any(row["ratio"] > row["goal"] for row in measured))


if __name__ == "__main__":
    sys.exit(main())
