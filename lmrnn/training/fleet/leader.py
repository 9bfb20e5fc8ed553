"""The leader of a fleet: takes cells in from the processes that wait, and trains all of them in turn."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from weakref import WeakValueDictionary

import psutil
import torch

from lmrnn.datasets import load_dataset
from lmrnn.errors import Interrupted
from lmrnn.study.cells import CellResult
from lmrnn.study.grid import Cell
from lmrnn.study.requirements import longest_steps
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.devices import Device
from lmrnn.training.fleet.feed import rounded
from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.reception import Guest, Host, Reception
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.fleet.step import OutOfMemory
from lmrnn.training.fleet.train import save, turn, welcome
from lmrnn.training.interruption import StopRequest
from lmrnn.training.run import claimed, ensure_datasets, get_to_know, keep, settings_of
from lmrnn.training.state import FLEET, Compute, Training
from lmrnn.training.train import arithmetic

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset, DatasetSpec

# Beyond this many places a step takes as many times longer as there are more: nothing is won.
MOST_PLACES = 256
FEWEST_PLACES = 4
# Of what is free; the rest is for what is not counted (the libraries' own workspaces, fragments).
_SHARE_OF_MEMORY = 0.8
_IDLE_SECONDS = 0.1


class _Busy(Exception):
    """Another process is at work on the cell."""


def lead(device: Device, listener: socket.socket, stop: StopRequest, request: dict[str, Any], log: TextIO) -> str:
    """Train the cell of a `request` and all that are handed in at a listening socket, until there is none left.

    Returns the status of its own cell, or raises what went wrong with it. When it is told to stop, all cells are saved;
    those that were not told to stop themselves look for another leader.
    """
    host = Host(request, log)
    with Reception(listener) as door, arithmetic(Compute.of(request["compute"]).threads):
        _Leader(device, door, host, stop).run()
    if host.error is not None:
        raise host.error
    assert host.status is not None, "the leader's own cell has come to no end"
    return host.status


class _Leader:
    """Crews of different shapes on one device, and those who wait for a place in one."""

    def __init__(self, device: Device, door: Reception, host: Host, stop: StopRequest) -> None:
        self.name, self.door, self.host, self.stop = device.name, door, host, stop
        self.device = torch.device("cuda" if device.visible else "cpu")
        self.waiting: list[Guest] = []
        self.shapes: dict[Guest, Shape] = {}
        self.crews: dict[Shape, Crew] = {}
        self.guests: dict[Member, tuple[Guest, ExitStack]] = {}  # and what they hold: the files of their cells
        self.most: dict[Shape, int] = {}  # places, where more have turned out not to fit
        self.data: WeakValueDictionary[Path, Dataset] = WeakValueDictionary()  # each once, while a member uses it

    def run(self) -> None:
        """Train until nobody is left, or until told to stop."""
        print(f"leads the cells that meet at {self.name}", file=self.host, flush=True)
        self.waiting += filter(self._known, [self.host])
        while not self.stop.signal:
            self.waiting += filter(self._known, self.door.arrivals())
            self._seat()
            for shape in list(self.crews):
                self._turn(shape)
            if not self.crews:
                if not self.waiting:
                    return
                time.sleep(_IDLE_SECONDS)
        self._told(self.host)
        for crew in self.crews.values():
            save(crew)
        for guest in self.waiting:
            self._never_began(guest)

    def _known(self, guest: Guest) -> bool:
        """Find a guest's shape; whether it has one."""
        try:
            get_to_know(guest.request)
            spec, compute = guest.request["spec"], guest.request["compute"]
            self.shapes[guest] = Shape.of(spec, len(Cell(spec).tasks), compute["tf32"], compute["scan"])
        except Exception as error:  # whatever it is, it is this cell's alone
            guest.failed(error)
            return False
        return True

    def _told(self, guest: Guest) -> str | None:
        """The signal at which a cell is to be saved: its own, or this process's, which is that of its own cell, too."""
        if guest is self.host and self.stop.signal:
            guest.stop = self.stop.signal
        return guest.stop or self.stop.signal

    def _never_began(self, guest: Guest) -> None:
        if guest.stop:
            guest.failed(Interrupted(f"{guest.stop} while it waited for its turn: it goes on from where it was saved"))
        else:
            guest.leave()

    def _turn(self, shape: Shape) -> None:
        """Some steps of one crew; one in which few are left gets fewer places."""
        crew = self.crews[shape]
        try:
            turn(crew)
            if len(crew.members) * 4 <= crew.places.size > FEWEST_PLACES:
                self._regroup(shape, [], max(FEWEST_PLACES, crew.places.size // 2))
        except (OutOfMemory, torch.OutOfMemoryError) as error:
            self._make_room(shape, error)
        if shape in self.crews and not self.crews[shape].members:
            del self.crews[shape]

    def _seat(self) -> None:
        """Give places to those who wait, in the order in which they came, as far as there is memory."""
        for guest in [guest for guest in self.waiting if guest.stop]:
            self.waiting.remove(guest)
            self._never_began(guest)
        groups: dict[Shape, list[Guest]] = {}
        for guest in self.waiting:
            groups.setdefault(self.shapes[guest], []).append(guest)
        for shape, guests in groups.items():
            have = len(self.crews[shape].members) if shape in self.crews else 0
            places = self._places(shape, have + len(guests), guests[0])
            opened = [member for guest in guests[: places - have] if (member := self._open(guest))]
            if not opened:
                continue
            try:
                self._regroup(shape, opened, places)
            except (OutOfMemory, torch.OutOfMemoryError) as error:
                self._make_room(shape, error)

    def _places(self, shape: Shape, wanted: int, guest: Guest) -> int:
        """How many places a crew is to have; 0 where one must wait until another crew has ended."""
        current = self.crews[shape].places.size if shape in self.crews else 0
        if wanted <= current:
            return current
        each = shape.place_bytes(shape.batch * rounded(longest_steps(guest.request["spec"])))
        free = free_memory(self.device) + current * each
        fit = max(int(_SHARE_OF_MEMORY * free // each), not self.crews)
        even = 1 << (max(wanted, FEWEST_PLACES) - 1).bit_length()
        return max(current, min(even, fit, self.most.get(shape, MOST_PLACES)))

    def _regroup(self, shape: Shape, newcomers: list[Member], places: int) -> None:
        """See to it that a shape's crew has so many places, and let newcomers join."""
        crew = self.crews.get(shape)
        if crew is None or crew.places.size != places:
            if crew is not None:
                for member in crew.members.values():
                    crew.unload(member)
                newcomers = [*crew.members.values(), *newcomers]
                del crew, self.crews[shape]  # its memory is given back before new memory is asked for
            self.crews[shape] = crew = Crew(shape, places, self.device, torch.float32)
        welcome(crew, newcomers)

    def _make_room(self, shape: Shape, error: Exception) -> None:
        """There was too little memory: all of a crew begin again from where they were saved, in fewer places."""
        crew = self.crews.pop(shape, None)
        members = [member for member, (guest, _) in self.guests.items() if self.shapes[guest] == shape]
        places = crew.places.size if crew else len(members)
        for member in members:
            if places == 1:
                member.failed(error)
                continue
            guest = self._release(member, error)
            print(f"too little memory for {places} places: goes on from its last checkpoint in fewer", file=guest)
            self.waiting.append(guest)
        self.most[shape] = max(places // 2, 1)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _open(self, guest: Guest) -> Member | None:
        """The training of a guest's cell as it was last saved; None where there is nothing to train, or not now."""
        request = guest.request
        cell, results = Cell(request["spec"]), request["results"]

        def busy() -> None:
            raise _Busy

        try:
            with ExitStack() as stack:
                finished = stack.enter_context(claimed(cell, results, guest, busy))
                if finished is None:
                    return self._member(guest, cell, results, stack)
            guest.done(finished)
        except _Busy:  # it is tried again, again and again
            guest.say_once("another process is at work on this cell: waiting for it to end")
            return None
        except Exception as error:  # whatever it is, it is this cell's alone
            guest.failed(error)
        self.waiting.remove(guest)
        return None

    def _member(self, guest: Guest, cell: Cell, results: str, stack: ExitStack) -> Member:
        data = ensure_datasets(cell, results, self._load)
        sets, checkpoint = (data["train"], data["validation"]), cell.checkpoint(results)
        say = partial(print, file=guest, flush=True)
        settings = replace(settings_of(guest.request["compute"], cell, results), device="cpu", path=FLEET)
        training = checkpoints.resume(cell.spec, sets, checkpoint, say, settings)
        training = training or Training(cell.spec, *sets, settings)

        def done(found: CellResult) -> None:
            keep(cell, results, found)
            self._release(member)
            guest.done(found.status)

        def failed(error: Exception) -> None:
            self._release(member, error)
            if isinstance(error, Interrupted) and not guest.stop:
                guest.leave()  # it was not meant: another leader goes on with it
            else:
                guest.failed(error)

        stop = partial(self._told, guest)
        member = Member(training, data["test"], done, failed, checkpoint, say, guest.record, stop, data)
        self.waiting.remove(guest)
        self.guests[member] = guest, stack.pop_all()
        return member

    def _load(self, path: Path, spec: DatasetSpec) -> Dataset:
        """A dataset from its file, or as it is in memory already."""
        if (found := self.data.get(path)) is None:
            found = self.data[path] = load_dataset(path, spec)
        return found

    def _release(self, member: Member, error: Exception | None = None) -> Guest:
        """Give a cell's files back, after an error with what was kept on the way; returns its guest."""
        guest, held = self.guests.pop(member)
        held.__exit__(type(error) if error else None, error, None)
        return guest


def free_memory(device: torch.device) -> float:
    """Bytes that a device has left for this process."""
    if device.type != "cuda":
        return float(psutil.virtual_memory().available)
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
