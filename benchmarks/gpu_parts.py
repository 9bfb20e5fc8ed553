"""The parts of `benchmarks.gpu`, each run in a process of its own: a line of JSON for each case as it is measured.

A cell-step is one training step of one cell. What is measured is the project's own: `lmrnn.training.fleet` as it
trains, the host's share included, evaluations not; `Training` and its step for one cell in a process. Memory of the GPU
is what all processes on it hold, in a fleet with the graphs of the smaller ones before it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.__main__ import processor
from lmrnn.datasets import Dataset, DatasetSpec, generate
from lmrnn.networks import kernel
from lmrnn.tasks import battery_names
from lmrnn.training.fleet.crew import Crew
from lmrnn.training.fleet.member import Member
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.fleet.step import OutOfMemory
from lmrnn.training.provenance import device_name
from lmrnn.training.state import Compute, Training
from lmrnn.training.train import allow_tf32, take_step

CONNECTIVITY = {"local": {"kind": "local", "radius": 3, "boundary": "torus"}, "full": {"kind": "full"}}
# float64 as the tests of the fleet demand it; in float32 and over 20 steps two orders of summation lie 1e-5 apart
DOUBLE_STEPS, DOUBLE_BOUND = 50, 1e-10
SINGLE_STEPS, SINGLE_BOUND = 20, 1e-3


@dataclass(frozen=True)
class Sizes:
    """Sizes of a cell: tasks, neurons, trials of a batch and of a task; seconds that a case is measured for."""

    tasks: int
    neurons: int
    batch: int
    trials: int
    seconds: float


class Cells:
    """Trainings of one size on a device, made as they are asked for; their data is made once."""

    def __init__(self, sizes: Sizes, dt: int, seeds: int = 1) -> None:
        self.sizes, self.dt = sizes, dt
        self.data = [self._dataset("train", seed) for seed in range(seeds)]
        self.validation, self.test = self._dataset("validation", 0), self._dataset("test", 0)

    def _dataset(self, split: str, seed: int) -> Dataset:
        tasks, per_task = tuple(battery_names(self.sizes.tasks)), self.sizes.trials
        return generate(DatasetSpec("corrected", self.dt, tasks, per_task, split, seed))

    def training(self, connectivity: dict, seed: int, compute: Compute) -> Training:
        """A training at its start that ends long after all that is measured here."""
        network = {"nonlinearity": "relu", "leak": 1.0, "initialisation": "scaled_identity", "initial_scale": 0.5}
        training = {"layout": "padded", "batch_size": self.sizes.batch, "learning_rate": 1e-3, "gradient_clip": 1.0}
        spec = {
            "seed": seed,
            "tasks": self.sizes.tasks,
            "dt": self.dt,
            "connectivity": connectivity,
            "network": {**network, "neurons": self.sizes.neurons, "recurrent_noise": 0.0},
            "training": {**training, "steps": 10**7, "evaluate_every": 10**7},
        }
        return Training(spec, self.data[seed % len(self.data)], self.validation, compute)

    def crew(self, trainings: list[Training], device: str, places: int | None = None, tf32: bool = False) -> Crew:
        """A fleet of trainings, in as many places."""
        allow_tf32(tf32)
        shape, dtype = Shape.of(trainings[0].spec, self.sizes.tasks, tf32), trainings[0].network.bias.dtype
        crew = Crew(shape, places or len(trainings), device, dtype)
        crew.join([Member(one, self.test, print, print, say=lambda line: None) for one in trainings])
        return crew


def sync(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def resident_mb() -> float:
    """Host memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def gpu_mb(device: str) -> float:
    """Memory in use on the whole GPU, by this process and all others."""
    if device != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**20


def machine(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """The card, the versions, and what a process costs before it has trained anything."""
    imported = resident_mb()
    ones = torch.ones(64, 64, device=device)
    (ones @ ones).sum().item()
    found = {
        "name": device_name(torch.device(device)),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
    }
    found["processor"] = processor() or platform.processor()
    found |= {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}
    if device == "cuda":
        found["gpu_total_mb"] = torch.cuda.mem_get_info()[1] / 2**20
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version,compute_mode", "--format=csv,noheader"]
        found["driver"] = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    with_context = resident_mb()
    yield {**found, "host_mb_after_import": imported, "host_mb_with_context": with_context, "gpu_mb": gpu_mb(device)}


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


def right(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """Eight different cells: a fleet against each alone, graphs against plain steps, TF32, the same bits in company."""
    small = replace(sizes, neurons=min(64, sizes.neurons), batch=8, tasks=min(5, sizes.tasks))
    checks = checks_of(Cells(small, 100, seeds=2), device)
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
    kinds = [{"kind": "local", "radius": 2}, {"kind": "full"}, {"kind": "random", "density": 0.3}, {"kind": "autapse"}]

    def made(double: bool = False, path: str = "fleet", where: str = "cpu", graphs: bool = False) -> list[Training]:
        compute = Compute(device=where, path=path, cuda_graphs=graphs)
        each = [cells.training(kinds[seed % 4], seed, compute) for seed in range(8)]
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


def rate(take: Callable[[], int], seconds: float, device: str, told: bool = False) -> dict:
    """Steps a second of calling again and again, each of some steps; half as long before, for graphs and caches.

    `told`: what is measured begins when a line on the standard input says so, as in all processes of a pack.
    """
    began = time.perf_counter()
    while True:
        take()
        if time.perf_counter() - began > seconds / 2:
            break
    sync(device)
    if told:
        print("ready", flush=True)
        sys.stdin.readline()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        steps += take()
    sync(device)
    passed = time.perf_counter() - began
    return {"cell_steps_s": steps / passed, "ms_a_step": 1e3 * passed / steps, "steps": steps}


def fleet(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """Fleets of K cells."""
    cells = Cells(sizes, cases[0]["dt"])
    trainings: list[Training] = []
    for case in cases:
        connectivity, k = CONNECTIVITY[case["connectivity"]], case["cells"]
        while len(trainings) < k:
            trainings.append(cells.training(connectivity, len(trainings), Compute(path="fleet")))
        try:
            crew = cells.crew(trainings[:k], device, tf32=case["precision"] == "tf32")

            def take(crew: Crew = crew) -> int:
                before = trainings[0].step
                crew.take_steps()
                return trainings[0].step - before

            found = rate(take, sizes.seconds, device)
            yield {
                **found,
                "cell_steps_s": k * found["cell_steps_s"],
                "gpu_mb": gpu_mb(device),
                "host_mb": resident_mb(),
            }
        except OutOfMemory as error:
            yield {"left_out": f"the GPU has too little memory: {error}"[:200]}
        crew = take = None
        if device == "cuda":
            torch.cuda.empty_cache()


def single(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """One cell in this process, by CUDA graphs on a GPU, or by the kernel on one core of the CPU."""
    for case in cases:
        on_cpu = case["way"] == "CPU kernel, one core"
        if on_cpu and (reason := kernel.why_not()):
            yield {"left_out": reason}
            continue
        allow_tf32(False)
        where = "cpu" if on_cpu else device
        compute = Compute(device=where, path="kernel" if on_cpu else "dense", cuda_graphs=True)
        one = Cells(sizes, case["dt"]).training(CONNECTIVITY[case["connectivity"]], 0, compute)
        found = rate(lambda one=one: take_step(one) or 1, sizes.seconds, where, case.get("told", False))
        yield {**found, "gpu_mb": gpu_mb(where), "host_mb": resident_mb()}


def pack(device: str, sizes: Sizes, cases: list[dict]) -> Iterator[dict]:
    """Several processes of one cell each that share the GPU."""
    for case in cases:
        given = {**case, "way": "alone", "told": True}
        seconds = sizes.seconds if sizes.seconds < 1 else 2 * sizes.seconds  # they do not begin at quite the same time
        asked = {"part": "single", "device": device, "cases": [given], "sizes": vars(replace(sizes, seconds=seconds))}
        command = [sys.executable, "-m", "benchmarks.gpu_parts", json.dumps(asked)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        each = [subprocess.Popen(command, **pipes) for _ in range(case["processes"])]
        try:
            for one in each:
                if one.stdout.readline() != "ready\n":
                    raise RuntimeError("a process of the pack ended before it was ready")
            for one in each:
                one.stdin.write("go\n")
                one.stdin.flush()
            found = [json.loads(one.communicate()[0].splitlines()[-1]) for one in each]
        finally:
            for one in each:
                one.kill()
        sums = {"cell_steps_s": sum(one["cell_steps_s"] for one in found)}
        yield {**sums, **{name: max(one[name] for one in found) for name in ("ms_a_step", "gpu_mb", "host_mb")}}


PARTS: dict[str, Callable[[str, Sizes, list[dict]], Iterator[dict]]] = {
    "machine": machine,
    "right": right,
    "fleet": fleet,
    "single": single,
    "pack": pack,
}


def main(asked: dict[str, Any]) -> int:
    """Measure the cases of a part."""
    torch.set_num_threads(1)
    for row in PARTS[asked["part"]](asked["device"], Sizes(**asked["sizes"]), asked["cases"]):
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
