"""What the host brings to the device: the batches of some steps ahead, in launches that each compute some cells.

Nearly always one launch is one step of all cells. A batch that the staircase of rows is too narrow for is computed on a
rectangle of its own length, in a launch of its own in which the other cells rest: how a cell is computed depends on
nothing but its own batch, so that its company does not change a bit of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.rows import Rows, full
from lmrnn.training.fleet.step import Step

_STEPS_APART = 8  # time steps by which rectangles differ, lest each length should be a graph of its own


@dataclass(frozen=True, eq=False)
class Launch:
    """One launch of a step: so many steps `ahead` of the next one, for the cells in some places, on some rows."""

    ahead: int
    places: list[int]
    rows: Rows


class Feed:
    """The steps ahead of a fleet: what its members draw, in which launches it is computed, and the way to the device.

    `narrow` are the rows of nearly all batches.
    """

    def __init__(self, step: Step, narrow: Rows) -> None:
        self.step, self.narrow, self.shape = step, narrow, step.shape
        self._wide: dict[int, Rows] = {}

    def take(self, members: Mapping[int, Member], count: int) -> np.ndarray:
        """Take so many steps of all members; the losses (count, K), float64."""
        drawn = _Drawn(self.step, members, count)
        losses = np.zeros((count, self.step.places.size))
        launches = list(self._launches(drawn))
        most = len(self.step.ahead.rates)
        for first in range(0, len(launches), most):
            some = launches[first : first + most]
            drawn.upload(some)
            for launch in some:
                if self.step.noisy:
                    drawn.upload_noise(launch)
                self.step.launch(launch.rows)
            found = self.step.ahead.losses[: len(some)].double().cpu().numpy()
            for values, launch in zip(found, some, strict=True):
                losses[launch.ahead, launch.places] = values[launch.places]
        return losses

    def _launches(self, drawn: _Drawn) -> list[Launch]:
        """Which launches the steps take: those of one step that have the same rows are one."""
        made = []
        for ahead, of_step in enumerate(drawn.rectangles(self.narrow)):
            groups: dict[int, list[int]] = {}
            for place in drawn.members:
                groups.setdefault(int(of_step[place]), []).append(place)
            made += [Launch(ahead, places, self._rows(steps)) for steps, places in groups.items()]
        return made

    def _rows(self, steps: int) -> Rows:
        """The rectangle of so many time steps; 0 stands for the rows of nearly all batches."""
        if steps == 0:
            return self.narrow
        return self._wide.setdefault(steps, full(steps, self.shape.batch, self.step.device))


def rounded(steps: Any) -> Any:
    """Time steps, one number or an array, of the rectangle that holds so many."""
    return -(-steps // _STEPS_APART) * _STEPS_APART


class _Drawn:
    """Batches of some steps ahead: padded trials sorted by length, the longest first, or sequences."""

    def __init__(self, step: Step, members: Mapping[int, Member], count: int) -> None:
        self.step, self.members, self.count, self.padded = step, members, count, step.shape.layout == "padded"
        places, shape = step.places.size, step.shape
        self.rates = np.zeros((count, places, 1))
        for place, member in members.items():
            self.rates[:, place, 0] = [member.rate(n) for n in range(count)]
        wide = shape.batch * (1 if self.padded else shape.sequence_length)
        self.first, self.second = (np.zeros((count, places, wide), np.int64) for _ in range(2))
        for place, member in members.items():
            trial, row = step.pool.first[member.training.batches.trials.place]
            drawn = member.training.batches.draw(count)
            if self.padded:
                self.first[:, place] = drawn + trial
            else:
                rows, tasks = drawn.reshape(count, 2, -1).swapaxes(0, 1)
                self.first[:, place], self.second[:, place] = rows + row, tasks
        if self.padded:
            lengths = step.pool.lengths[self.first]
            self.order = np.argsort(-lengths, axis=-1, kind="stable")  # (count, K, B)
            self.first, self.lengths = (np.take_along_axis(each, self.order, -1) for each in (self.first, lengths))

    def rectangles(self, narrow: Rows) -> np.ndarray:
        """Time steps of the rectangle for each batch that some rows do not hold, 0 where they do; (count, K)."""
        if not self.padded:
            return np.zeros(self.first.shape[:2], np.int64)
        return rounded(self.lengths[..., 0]) * ~narrow.holds(self.lengths)

    def upload(self, launches: list[Launch]) -> None:
        """Bring what some launches need to the device."""
        which = [launch.ahead for launch in launches]
        active = np.zeros((len(launches), self.step.places.size, 1), bool)
        for n, launch in enumerate(launches):
            active[n, launch.places] = True
        parts = {"rates": self.rates[which], "active": active}
        if self.padded:
            parts["trials"] = self.first[which]
        else:
            parts |= {"rows": self.first[which], "tasks": self.second[which]}
        for name, values in parts.items():
            getattr(self.step.ahead, name)[: len(launches)] = torch.from_numpy(values)
        self.step.ahead.cursor.zero_()

    def upload_noise(self, launch: Launch) -> None:
        """Draw the recurrent noise of one step, as it is drawn for a cell alone, and bring it to the device."""
        shape, rows, host = self.step.shape, launch.rows, self.step.host_noise
        for place in launch.places:
            training = self.members[place].training
            steps = int(self.lengths[launch.ahead, place, 0]) if self.padded else rows.steps
            drawn = training.network.draw_noise(steps, shape.batch, training.noise)
            if drawn is None:
                continue
            whole = drawn.new_zeros((rows.steps, shape.batch, shape.neurons))
            whole[:steps] = drawn
            trial = rows.trial.cpu()
            if self.padded:
                trial = torch.from_numpy(self.order[launch.ahead, place])[trial]
            host[place, : len(rows)] = whole[rows.time.cpu(), trial].to(host)
