"""The cells that `benchmarks.gpu` measures and checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.study import dataset, spec_of
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.state import Compute, Training
from lmrnn.training.train import allow_tf32

CONNECTIVITY = {"local": {"kind": "local", "radius": 3, "boundary": "torus"}, "full": {"kind": "full"}}


@dataclass(frozen=True)
class Sizes:
    """Sizes of a cell: tasks, neurons, trials of a batch and of a task; seconds that a case is measured for."""

    tasks: int
    neurons: int
    batch: int
    trials: int
    seconds: float


class Cells:
    """Trainings of one size on a device, made as they are asked for; their data is made once. Networks are those of the
    default study, but for the settings in `network`.
    """

    def __init__(self, sizes: Sizes, dt: int, seeds: int = 1, **network: Any) -> None:
        self.sizes, self.dt, self.network = sizes, dt, network
        many = (sizes.trials, sizes.tasks, dt)
        self.data = [dataset("train", *many, seed) for seed in range(seeds)]
        self.validation, self.test = dataset("validation", *many), dataset("test", *many)

    def training(self, connectivity: dict, seed: int, compute: Compute) -> Training:
        """A training at its start that ends long after all that is measured here."""
        changed = {**self.network, "batch_size": self.sizes.batch, "steps": 10**7, "evaluate_every": 10**7}
        spec = spec_of(connectivity, self.sizes.neurons, self.sizes.tasks, self.dt, seed, **changed)
        return Training(spec, self.data[seed % len(self.data)], self.validation, compute)

    def crew(
        self, trainings: list[Training], device: str, places: int | None = None, tf32: bool = False, scan: str = "auto"
    ) -> Crew:
        """A fleet of trainings, in as many places."""
        allow_tf32(tf32)
        shape, dtype = Shape.of(trainings[0].spec, self.sizes.tasks, tf32, scan), trainings[0].network.bias.dtype
        crew = Crew(shape, places or len(trainings), device, dtype)
        crew.join([Member(one, self.test, print, print, say=lambda line: None) for one in trainings])
        return crew
