"""The other side of `benchmarks/cell.py`: a cell trained as others train one. Imports neurogym and nothing of lmrnn.

Batches come from neurogym's Dataset, one of the yang19 tasks a step, in turn; the step is `benchmarks.usual`. Runs in
an environment of its own (`benchmarks/generation.py`): python -m benchmarks.usual_cell, with the settings as JSON on
its input; answers with a line of JSON.
"""

import json
import sys
import time

import neurogym
import torch
from neurogym.envs.collections import get_collection

from benchmarks.usual import UsualStep


def local_mask(side, radius):
    """Mask of a sheet on a torus."""
    x = torch.arange(side)
    gap = (x[:, None] - x).abs()
    gap = torch.minimum(gap, side - gap) ** 2
    distance = gap[:, None, :, None] + gap[None, :, None, :]  # (row, column, row, column)
    return (distance.reshape(side * side, -1) < radius**2).float()


class Source:
    """Batches of all tasks in turn, the task's one-hot vector appended."""

    def __init__(self, batch_size, steps):
        names = get_collection("yang19")
        options = {"env_kwargs": {"dt": 100}, "batch_size": batch_size, "seq_len": steps}
        self.datasets = [neurogym.Dataset(name, **options) for name in names]
        self.one_hot, self.at = torch.eye(len(names)), 0

    def __call__(self):
        """Inputs (T, B, 33 + tasks) and labels (T, B)."""
        self.at = (self.at + 1) % len(self.datasets)
        inputs, labels = (torch.from_numpy(values) for values in self.datasets[self.at]())
        rule = self.one_hot[self.at].expand(*inputs.shape[:2], -1)
        return torch.cat([inputs.float(), rule], dim=-1), labels.long()


def evaluate(step, source, batches):
    """Share of right time steps."""
    with torch.no_grad():
        pairs = [source() for _ in range(batches)]
        return sum((step.network(x).argmax(-1) == y).float().mean().item() for x, y in pairs) / batches


def main():
    """Train and answer with CPU seconds."""
    given = json.load(sys.stdin)
    torch.set_num_threads(1)
    start = time.process_time()
    source = Source(given["batch_size"], given["sequence"])
    step = UsualStep(local_mask(16, 3), 33 + len(source.datasets))
    for number in range(given["steps"] + 1):
        if number % given["evaluate_every"] == 0:
            accuracy = evaluate(step, source, given["evaluation_batches"])
        loss = step(*source())
    answer = {"seconds": time.process_time() - start, "loss": loss, "accuracy": accuracy}
    print(json.dumps(answer | {"version": neurogym.__version__}))


if __name__ == "__main__":
    main()
