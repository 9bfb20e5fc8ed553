"""Measures of several cells of a fleet at once, as `lmrnn.training.evaluation` takes them of one."""

from __future__ import annotations

import torch
from torch import Tensor

from lmrnn.datasets.batches import Batch, TrialTensors
from lmrnn.tasks import CHANNELS
from lmrnn.training.evaluation import Measures, batches, measures_of, trial_counts
from lmrnn.training.fleet import passes
from lmrnn.training.fleet.rows import full
from lmrnn.training.fleet.scan import Scan
from lmrnn.training.fleet.step import Step

# Fewer than for one network: there are many. The same for every fleet, so that company changes no measure.
BATCH_SIZE = 128
MOST_CELLS = 32  # evaluated at once, so that states need no more memory than those of training


class Evaluator:
    """Evaluates the cells of a fleet; keeps the batches of each dataset on the device."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self._inputs: dict[tuple[int, int], tuple[TrialTensors, list[tuple[Tensor, Batch]]]] = {}

    def measures(self, places: list[int], trials: TrialTensors) -> list[Measures]:
        """The measures of the cells in some places on every trial of a dataset, without recurrent noise."""
        found: list[Measures] = []
        for first in range(0, len(places), MOST_CELLS):
            some = torch.tensor(places[first : first + MOST_CELLS], device=self.step.device)
            weights, scan = self.step.places.weights.at(some), self.step.places.scan.at(some)
            counts = torch.cat([self._counts(weights, scan, *inputs) for inputs in self._batches(trials)], dim=2)
            found += [measures_of(each, trials.n_tasks) for each in counts.cpu().numpy()]
        return found

    @torch.no_grad()
    def _counts(self, weights: passes.Weights, scan: Scan, x: Tensor, batch: Batch) -> Tensor:
        """What the measures need of each trial, (k, 6, B); see `trial_counts`."""
        (steps, size), cells = batch.labels.shape, len(weights.recurrent)
        values = weights.recurrent.new_empty((cells, steps * size, self.step.shape.neurons))
        inside = (torch.arange(steps, device=values.device)[:, None] < batch.lengths).view(1, -1)
        passes.drive(x.expand(cells, -1, -1), inside, None, weights, values)
        states = scan.forward(
            values, weights, full(steps, size, values.device), lambda name, *size: values.new_empty(size)
        )
        logits = passes.logits(states, weights).view(cells, steps, size, -1).transpose(0, 1).flatten(1, 2)
        columns = ("rule", "labels", "lengths", "decision")
        many = Batch(batch.observations, *(_repeat(getattr(batch, name), cells) for name in columns))
        return trial_counts(logits, many).view(6, cells, size).transpose(0, 1)

    def _batches(self, trials: TrialTensors) -> list[tuple[Tensor, Batch]]:
        if trials.place not in self._inputs:
            self._inputs[trials.place] = trials, [self._input(batch) for batch in batches(trials, BATCH_SIZE)]
        return self._inputs[trials.place][1]

    def _input(self, batch: Batch) -> tuple[Tensor, Batch]:
        """A batch of the host on the device as all cells see it: inputs (1, T * B, F), and what the measures need."""
        device, shape = self.step.device, self.step.shape
        x = torch.ones((*batch.labels.shape, shape.inputs), dtype=self.step.dtype)
        x[..., :CHANNELS] = batch.observations
        x[..., CHANNELS:-1] = batch.rule[..., None] == torch.arange(shape.tasks)
        small = {name: getattr(batch, name).to(device) for name in ("rule", "labels", "lengths", "decision")}
        return x.flatten(0, 1)[None].to(device), Batch(observations=torch.empty(0), **small)


def _repeat(tensor: Tensor, cells: int) -> Tensor:
    """(..., B) for each of k cells, (..., k * B)."""
    return tensor.repeat(*(1,) * (tensor.dim() - 1), cells)
