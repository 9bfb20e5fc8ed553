"""A turn of a fleet: what `lmrnn.training.train` does for one cell, for all of a crew."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from lmrnn.errors import Interrupted
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.member import Member
from lmrnn.training.provenance import device_name
from lmrnn.training.train import allow_tf32, measures_at_best, precision, result, validate


def turn(crew: Crew) -> None:
    """Some steps of a crew, and what is to be done before them: evaluate, end and save those whose time it is.

    Raises `OutOfMemory` where the device has too little memory, after which every member is as it was last saved.
    """
    allow_tf32(crew.shape.tf32)
    _evaluate(crew)
    _end(crew)
    save(crew)
    if crew.members:
        crew.take_steps()


def welcome(crew: Crew, members: list[Member]) -> None:
    """Give members a place, and tell them how they are trained from now on."""
    allow_tf32(crew.shape.tf32)
    crew.join(members)
    name, how, scan = device_name(crew.device), precision(crew.places.flat), crew.places.scan
    for member in members:
        together = f"one of {len(crew.members)} cells in a fleet of {crew.places.size} places"
        member.say(f"trains on {name} in {how}, {together}, by {scan.says}")
        member.training.origin = {
            "device": name,
            "cuda_graphs": crew.device.type == "cuda",
            "precision": how,
            "fleet_places": crew.places.size,
            "scan": scan.name,
        }


def _alone(crew: Crew, member: Member, action: Callable[[], object]) -> None:
    """Do what concerns one member alone; what goes wrong with it takes no other along."""
    try:
        action()
    except Exception as error:  # whatever it is, it is told where its cell is waited for
        if member in crew.members.values():  # it may have left by itself
            crew.leave(member)
        member.failed(error)


def _evaluate(crew: Crew) -> None:
    """Measure those that are due, all at once."""
    due = [member for member in crew.members.values() if member.training.due]
    for member, measures in zip(due, crew.evaluate(due), strict=True):
        validate(member.training, measures)
        if member.training.best_step == member.training.step:
            crew.unload(member)
            member.training.keep_if_best()
        _alone(crew, member, partial(member.progress.report, member.training.step, member.training.history))


def _end(crew: Crew) -> None:
    """Say goodbye to those that have no step left to take."""
    ended = [member for member in crew.members.values() if member.training.ended]
    last = dict(zip(ended, crew.evaluate(ended, "test"), strict=True))
    for member in ended:
        _alone(crew, member, partial(crew.unload, member))
    ended = [member for member in ended if member in crew.members.values()]
    before = [one for one in ended if one.training.best and one.training.best_step != one.training.step]
    for member in before:
        crew.load_best(member)
    best = dict(zip(before, crew.evaluate(before, "test"), strict=True))
    for member in ended:

        def finish(one: Member = member) -> None:
            one.progress.close(one.training.step)
            at_best = measures_at_best(one.training, last[one], partial(best.__getitem__, one))
            found = result(one.training, last[one], one.test_set, one.say, at_best)
            crew.leave(one)
            one.done(found)

        _alone(crew, member, finish)


def save(crew: Crew) -> None:
    """Save those that were told to stop, which then leave, and those whose last checkpoint is old."""
    now = time.monotonic()
    for member in list(crew.members.values()):
        asked = member.stop()
        if not asked and now - member.saved <= member.training.compute.checkpoint_seconds:
            continue

        def keep(one: Member = member, asked: str | None = asked) -> None:
            crew.unload(one)
            one.save()
            one.saved = now
            if asked:
                one.say(f"{asked}: saved at step {one.training.step}, resumable")
                at = f"{asked} at step {one.training.step} of {one.training.settings['steps']}"
                raise Interrupted(f"{at}: saved in {one.checkpoint}, resumable")

        _alone(crew, member, keep)
