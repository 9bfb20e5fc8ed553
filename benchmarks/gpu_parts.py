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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.__main__ import processor
from benchmarks.gpu_cells import CONNECTIVITY, Cells, Sizes
from benchmarks.gpu_right import right, scan_right
from lmrnn.networks import kernel
from lmrnn.training.fleet.crew import STEPS_AHEAD, Crew
from lmrnn.training.fleet.scan import why_not_fused
from lmrnn.training.fleet.step import OutOfMemory
from lmrnn.training.provenance import device_name
from lmrnn.training.state import Compute, Training
from lmrnn.training.train import allow_tf32, take_step


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
    """Fleets of K cells, by batched products or a fused scan."""
    cells = Cells(sizes, cases[0]["dt"])
    trainings: list[Training] = []
    for case in cases:
        connectivity, k, scan = CONNECTIVITY[case["connectivity"]], case["cells"], case.get("scan", "products")
        while len(trainings) < k:
            trainings.append(cells.training(connectivity, len(trainings), Compute(path="fleet")))
        try:
            crew = cells.crew(trainings[:k], device, tf32=case["precision"] == "tf32", scan=scan)
            if crew.places.scan.name != scan:
                yield {"left_out" if why_not_fused(crew.device) else "failed": crew.places.scan.says[:300]}
                continue
            most = 1 if scan == "fused" and device == "cpu" else STEPS_AHEAD  # Triton's interpreter takes its time

            def take(crew: Crew = crew, most: int = most) -> int:
                before = trainings[0].step
                crew.take_steps(most)
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
    "scan right": scan_right,
    "fleet": fleet,
    "fused scan": fleet,
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
