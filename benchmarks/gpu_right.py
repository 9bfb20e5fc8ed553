"""What `benchmarks.gpu` checks: whether what a GPU computes is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_cells import Cells, Sizes
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.scan import why_not_fused
from lmrnn.training.state import Compute, Training

# float64 as the tests of the fleet demand it; in float32 and over 20 steps two orders of summation lie 1e-5 apart
DOUBLE_STEPS, DOUBLE_BOUND = 50, 1e-10
SINGLE_STEPS, SINGLE_BOUND = 20, 1e-3


def doubled(training: Training) -> Training:
    """A training in float64."""
    training.network.double()
    for name in ("first", "second"):
        setattr(training.optimiser, name, [moment.double() for moment in getattr(training.optimiser, name)])
    return training


def stepped(crew: Crew, steps: int, plain: bool = False) -> list[Training]:
    """The trainings of a fleet after some steps, on the host; `plain`: without a graph."""
    if plain:
        step = crew._parts()[0].step
        step.launch = step.compute
    members = list(crew.members.values())
    while members[0].training.step < steps:
        crew.take_steps(steps - members[0].training.step)
    for member in members:
        crew.unload(member)
    return [member.training for member in members]


def alone(trainings: list[Training], steps: int) -> list[Training]:
    """Trainings after some steps, each taken by itself, outside of a fleet."""
    for training in trainings:
        for _ in range(steps):
            batch = training.batches.next()
            batch = replace(batch, observations=batch.observations.to(training.network.bias.dtype))
            training.loss_sum += training.training_step.take(batch)
            training.step += 1
    return trainings


def distance(ours: list[Training], theirs: list[Training]) -> float:
    """The largest relative difference of a parameter of one cell, or of the sum of its losses."""
    found = []
    for one, other in zip(ours, theirs, strict=True):
        found.append(abs(one.loss_sum - other.loss_sum) / abs(other.loss_sum))
        for p, q in zip(one.network.parameters(), other.network.parameters(), strict=True):
            p, q = (tensor.detach().double().cpu() for tensor in (p, q))
            found.append(float((p - q).norm() / q.norm().clamp(min=1e-10)))
    return float(np.nan_to_num(found, nan=np.inf).max())


KINDS = [{"kind": "local", "radius": 2}, {"kind": "full"}, {"kind": "random", "density": 0.3}, {"kind": "autapse"}]


def right(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """Eight different cells: a fleet against each alone, graphs against plain steps, TF32, the same bits in company."""
    yield from judged(checks_of(Cells(small(sizes), 100, seeds=2), device), cases)


def scan_right(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """The same cells: a fleet with a fused scan against one with batched products on the same device."""
    if reason := why_not_fused(torch.device(device)):
        yield from [{"left_out": reason}] * len(cases)
    else:
        yield from judged(scan_checks(small(sizes), device), cases)


def small(sizes: Sizes) -> Sizes:
    """Sizes at which a check takes seconds."""
    return replace(sizes, neurons=min(64, sizes.neurons), batch=8, tasks=min(5, sizes.tasks))


def judged(checks: dict[str, tuple[float, Callable[[], float]]], cases: list[dict]) -> Iterator[dict]:
    """What some checks find."""
    for case in cases:
        bound, check = checks[case["check"]]
        try:
            difference = check()
        except Exception as error:  # what fails in one says nothing of the others
            yield {"failed": f"{type(error).__name__}: {error}"[:300]}
            continue
        yield {"largest_difference": difference, "bound": bound if bound < np.inf else None, "ok": difference <= bound}


def checks_of(cells: Cells, device: str) -> dict[str, tuple[float, Callable[[], float]]]:
    """By what is said of it, each check: the largest difference that is allowed, and what finds it."""

    def made(double: bool = False, path: str = "fleet", where: str = "cpu", graphs: bool = False) -> list[Training]:
        compute = Compute(device=where, path=path, cuda_graphs=graphs)
        each = [cells.training(KINDS[seed % 4], seed, compute) for seed in range(8)]
        return [doubled(one) for one in each] if double else each

    def fleet(double: bool = False, tf32: bool = False, plain: bool = False) -> list[Training]:
        return stepped(cells.crew(made(double), device, tf32=tf32), DOUBLE_STEPS if double else SINGLE_STEPS, plain)

    def against(double: bool = False, tf32: bool = False) -> float:
        theirs = alone(made(double, path="dense"), DOUBLE_STEPS if double else SINGLE_STEPS)
        return distance(fleet(double, tf32), theirs)

    def captured(double: bool) -> float:
        return distance(fleet(double), fleet(double, plain=True))

    def company() -> float:
        by_itself = cells.crew(made()[1:2], device, places=8)
        return distance(stepped(by_itself, SINGLE_STEPS), fleet()[1:2])

    def one_by_one() -> float:
        return distance(*(alone(made(path="dense", where=device, graphs=on), SINGLE_STEPS) for on in (True, False)))

    return {
        "fleet against single cells on the CPU, float64": (DOUBLE_BOUND, lambda: against(double=True)),
        "fleet against single cells on the CPU, float32": (SINGLE_BOUND, against),
        "fleet: captured against plain steps, float64": (DOUBLE_BOUND, lambda: captured(True)),
        "fleet: captured against plain steps, float32": (SINGLE_BOUND, lambda: captured(False)),
        "a cell in company against the same without": (0.0, company),
        "a single cell: captured against plain steps": (SINGLE_BOUND, one_by_one),
        "fleet in TF32 against single cells, no bound": (np.inf, lambda: against(tf32=True)),
    }


def scan_checks(sizes: Sizes, device: str) -> dict[str, tuple[float, Callable[[], float]]]:
    """As `checks_of`; in Triton's interpreter, which takes a second for 50 time steps, two cells take two steps."""
    count, steps = (8, SINGLE_STEPS) if device == "cuda" else (2, 2)

    def fleet(
        scan: str, double: bool = False, plain: bool = False, alone: bool = False, **network: Any
    ) -> list[Training]:
        cells = Cells(sizes, 100, seeds=2, **network)
        made = [cells.training(KINDS[seed % 4], seed, Compute(path="fleet")) for seed in range(count)]
        made = [doubled(one) for one in made] if double else made
        crew = cells.crew(made[1:2] if alone else made, device, places=count, scan=scan)
        if crew.places.scan.name != scan:
            raise RuntimeError(crew.places.scan.says)
        return stepped(crew, steps, plain)

    def against(**options: Any) -> float:
        return distance(fleet("fused", **options), fleet("products", **options))

    return {
        "fused scan against products, float64": (DOUBLE_BOUND, lambda: against(double=True)),
        "fused scan against products, float32": (SINGLE_BOUND, against),
        "fused scan against products, tanh": (SINGLE_BOUND, lambda: against(nonlinearity="tanh", leak=0.3)),
        "fused scan against products, softplus": (SINGLE_BOUND, lambda: against(nonlinearity="softplus", leak=0.3)),
        "fused scan: captured against plain steps": (
            SINGLE_BOUND,
            lambda: distance(fleet("fused"), fleet("fused", plain=True)),
        ),
        "fused scan: a cell in company against alone": (
            0.0,
            lambda: distance(fleet("fused", alone=True), fleet("fused")[1:2]),
        ),
    }
