"""The cells in the places of a fleet, and the steps that are taken together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lmrnn.training.evaluation import Measures
from lmrnn.training.fleet.evaluation import Evaluator
from lmrnn.training.fleet.feed import Feed, rounded
from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.places import Places
from lmrnn.training.fleet.pool import Pool
from lmrnn.training.fleet.rows import full, staircase
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.fleet.step import Step
from lmrnn.training.provenance import Stopwatch

# Long enough that the host has nothing to do while a GPU computes, short enough that signals are soon heard.
STEPS_AHEAD = 32
SECONDS_AHEAD = 1.0


class Crew:
    """Up to K members of one shape on a device, in places of which some may be empty; of numbers of one type."""

    def __init__(self, shape: Shape, places: int, device: torch.device | str, dtype: torch.dtype) -> None:
        self.shape, self.device = shape, torch.device(device)
        self.places = Places(places, shape, self.device, dtype)
        self.members: dict[int, Member] = {}
        self.pool = Pool(self.device, dtype)
        self._made: tuple[Feed, Evaluator] | None = None
        self._step_seconds = 0.0

    def join(self, members: Iterable[Member]) -> None:
        """Give members a place; what they need is made anew where their data was not there yet."""
        changed = False
        for member in members:
            place = next(place for place in range(self.places.size) if place not in self.members)
            self.places.load(place, member.training)
            self.members[place] = member
            changed |= self.pool.add(member.training.batches.trials)
            changed |= bool(self._made and member.training.network.recurrent_noise and not self._made[0].step.noisy)
        if changed:
            self._made = None  # with all its graphs, which know where the old data lay

    def leave(self, member: Member) -> None:
        """Take a member out; its training is as it was when last unloaded."""
        place = self._place(member)
        del self.members[place]
        self.places.empty(place)

    def _place(self, member: Member) -> int:
        return next(place for place, one in self.members.items() if one is member)

    def unload(self, member: Member) -> None:
        """Bring a member's training, on the host, to where it is."""
        self.places.unload(self._place(member), member.training)

    def load_best(self, member: Member) -> None:
        """Put the weights of a member's best evaluation into its place; its training, on the host, stays as it is."""
        with member.training.at_best():
            self.places.load(self._place(member), member.training)

    def _parts(self) -> tuple[Feed, Evaluator]:
        """What brings the next steps to the device, and what evaluates."""
        if self._made is None:
            shape, padded = self.shape, self.shape.layout == "padded"
            steps = rounded(int(self.pool.lengths.max())) if padded else shape.sequence_length
            narrow = full(steps, shape.batch, self.device)
            most = len(narrow)
            if padded:  # by the validation set, which is the same whoever is in the fleet
                lengths = np.asarray(next(iter(self.members.values())).validation.length)
                narrow = staircase(lengths, shape.batch, self.device)
            noisy = any(member.training.network.recurrent_noise for member in self.members.values())
            step = Step(self.places, self.pool, 2 * STEPS_AHEAD, max(most, len(narrow)), noisy)
            self._made = Feed(step, narrow), Evaluator(step)
        return self._made

    def evaluate(self, members: list[Member], trials: str = "validation") -> list[Measures]:
        """Measures of some members, on the validation set of each or on its test set (`trials` is ``test``)."""
        evaluator = self._parts()[1]
        found: dict[int, Measures] = {}
        data = {place: getattr(self.members[place], trials) for place in map(self._place, members)}
        for key, one in {each.place: each for each in data.values()}.items():
            places = [place for place, each in data.items() if each.place == key]
            with self._shared("evaluation", [self.members[place] for place in places]):
                found |= dict(zip(places, evaluator.measures(places, one), strict=True))
        return [found[self._place(member)] for member in members]

    @contextmanager
    def _shared(self, purpose: str, members: list[Member]) -> Iterator[None]:
        """Count the time inside the context for a purpose, each of the members with its share."""
        watch = Stopwatch()
        with watch.timing(purpose):
            yield
        for member in members:
            member.training.watch.wall[purpose] += watch.wall[purpose] / len(members)
            member.training.watch.cpu[purpose] += watch.cpu[purpose] / len(members)

    def take_steps(self, most: int = STEPS_AHEAD) -> None:
        """Some steps, of every member as many, at most up to where the first of them is to be evaluated."""
        count = min(most, STEPS_AHEAD, *(member.training.steps_left for member in self.members.values()))
        if self._step_seconds:
            count = max(1, min(count, int(SECONDS_AHEAD / self._step_seconds)))
        before = {place: member.training.batches.state() for place, member in self.members.items()}
        began = time.perf_counter()
        with self._shared("training", list(self.members.values())):
            losses = self._parts()[0].take(self.members, count)
        self._step_seconds = (time.perf_counter() - began) / count
        for place, member in self.members.items():
            member.account(losses[:, place], before[place])
