"""Fleets of small cells, and the same cells alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch

from lmrnn.study.cells import write_cell
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.fleet.train import turn, welcome
from lmrnn.training.run import ensure_datasets
from lmrnn.training.state import Compute, Training
from tests.small_data import cell_spec, dataset

# connectivity, seed, data, learning rate: as different as cells of one shape can be
CELLS = [
    ({"kind": "local", "radius": 2}, 0, 1, 0.01),
    ({"kind": "local", "radius": 1.5}, 1, 2, 0.02),
    ({"kind": "local", "radius": 3}, 2, 1, 0.005),
    ({"kind": "random", "density": 0.3}, 3, 3, 0.01),
    ({"kind": "random", "radius": 2}, 0, 2, 0.03),
    ({"kind": "autapse"}, 1, 1, 0.02),
    ({"kind": "full"}, 2, 3, 0.004),
    ({"kind": "full"}, 3, 2, 0.002),
]
TASKS = 3
VALIDATION, TEST = (dataset(TASKS, 15, seed=seed, rest=(1, 9)) for seed in (11, 12))
# three data seeds and sizes; trials of quite different lengths, so that most of a batch is padding
DATA = {n: dataset(TASKS, trials, seed=n, rest=(1, 9)) for n, trials in ((1, 20), (2, 31), (3, 12))}


def trainings(cells=CELLS, path="dense", double=False, network=None, noise=None, **training):
    """A training of each of some cells, as it is at its start; `noise` is that of the cell at each place, if any."""
    made = []
    for place, (connectivity, seed, data, rate) in enumerate(cells):
        sigma = {"recurrent_noise": (noise or {}).get(place, 0.0)}
        spec = cell_spec(connectivity, {**(network or {}), **sigma}, **{"learning_rate": rate, "steps": 50, **training})
        one = Training({**spec, "seed": seed}, DATA[data], VALIDATION, Compute(path=path))
        if double:
            one.network.double()
            for name in ("first", "second"):
                setattr(one.optimiser, name, [moment.double() for moment in getattr(one.optimiser, name)])
        made.append(one)
    return made


def alone(training, steps):
    """Losses of a training by itself, until one is not finite."""
    losses = []
    while len(losses) < steps and (not losses or np.isfinite(losses[-1])):
        batch = training.batches.next()
        batch = replace(batch, observations=batch.observations.to(training.network.bias.dtype))
        noise = training.network.draw_noise(*batch.labels.shape, training.noise)
        losses.append(training.training_step.take(batch, noise))
        training.step += 1
    return losses


class Together:
    """Some trainings in one crew; `losses` (K lists) of the steps taken so far."""

    def __init__(self, made, places=None, device="cpu", scan="auto"):
        shape, dtype = Shape.of(made[0].spec, TASKS, scan=scan), made[0].network.bias.dtype
        self.crew = Crew(shape, places or len(made), device, dtype)
        self.members, self.losses = [], []
        self.join(*made)

    def join(self, *made):
        new = [Member(one, TEST, None, None, say=lambda line: None) for one in made]
        self.crew.join(new)
        for member in new:
            kept = []
            member.account, account = self._keeping(kept, member), member.account
            member.original_account = account
            self.members.append(member)
            self.losses.append(kept)

    @staticmethod
    def _keeping(kept, member):
        def account(losses, before):
            member.original_account(losses, before)
            kept.extend(losses.tolist()[: member.training.step - len(kept)])

        return account

    def take(self, steps):
        """So many steps of all."""
        target = self.members[0].training.step + steps
        while self.members[0].training.step < target and not self.members[0].training.ended:
            self.crew.take_steps(target - self.members[0].training.step)
        for member in self.members:
            if member in self.crew.members.values():
                self.crew.unload(member)
        return self


def state(training):
    """All numbers that a training has learned: weights and moments, by name."""
    adam, names = training.optimiser, [name for name, _ in training.network.named_parameters()]
    kinds = {"weight": adam.parameters, "first": adam.first, "second": adam.second}
    return {
        f"{kind} {name}": tensor.detach().numpy().copy()
        for kind, tensors in kinds.items()
        for name, tensor in zip(names, tensors, strict=True)
    }


def same_bits(one, other):
    """Whether two trainings have the same weights and moments, bit for bit."""
    one, other = state(one), state(other)
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def train_fleet(shape, members, device="cpu", places=None):
    """Train members together, each to its own end."""
    crew = Crew(shape, places or len(members), device, members[0].training.network.bias.dtype)
    welcome(crew, members)
    while crew.members:
        turn(crew)


def run_fleet(made, device="cpu", checkpoints=None, scan="auto", **options):
    """Train to the end; the results, what went wrong, and what was said. `checkpoints` are files, one for each cell."""
    results, errors, said = {}, {}, []
    members = [
        Member(
            one,
            TEST,
            lambda found, k=k: results.__setitem__(k, found),
            lambda error, k=k: errors.__setitem__(k, error),
            checkpoint=checkpoints[k] if checkpoints else None,
            say=said.append,
        )
        for k, one in enumerate(made)
    ]
    train_fleet(Shape.of(made[0].spec, TASKS, scan=scan), members, device, **options)
    return SimpleNamespace(results=results, errors=errors, members=members, said=said)


def by_hand(cells, results, folder):
    """Train cells of one shape, whose datasets are in `results`, together in this process; their files in a folder."""
    members, errors = [], []
    for cell in cells:
        data = ensure_datasets(cell, results)
        training = Training(cell.spec, data["train"], data["validation"], Compute(path="fleet"))
        done = partial(write_cell, cell.path(folder))
        members.append(Member(training, data["test"], done, errors.append, say=lambda line: None))
    train_fleet(Shape.of(cells[0].spec, len(cells[0].tasks)), members)
    assert not errors


torch.set_num_threads(1)
