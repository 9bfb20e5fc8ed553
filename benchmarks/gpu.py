"""One run for whoever has a GPU: is it right what a fleet computes there, and how many cell-steps a second are it?

    make bench BENCH=gpu                    at most eight minutes; rows in results/bench/gpu.jsonl
    python -m benchmarks.gpu                the same with any Python that has torch, numpy and h5py
    python -m benchmarks.gpu --device cpu   a rehearsal of tiny sizes on the CPU, whose numbers say nothing

A cell-step is one training step of one cell: 64 trials of the 20 tasks, 256 neurons, 10% connected locally or fully.
Each part is a process of its own with a time of its own: one that fails takes no other along, and what no time was left
for is named. The status is 1 where something was wrong, not where something was left out.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULT = Path(__file__).resolve().parents[1] / "results" / "bench" / "gpu.jsonl"
MOST_SECONDS = 470  # eight minutes with what comes before and after
CHECKS = (
    "fleet against single cells on the CPU, float64",
    "fleet against single cells on the CPU, float32",
    "fleet: captured against plain steps, float64",
    "fleet: captured against plain steps, float32",
    "a cell in company against the same without",
    "a single cell: captured against plain steps",
    "fleet in TF32 against single cells, no bound",
)
SCAN_CHECKS = (
    "fused scan against products, float32",
    "fused scan against products, float64",
    "fused scan against products, tanh",
    "fused scan against products, softplus",
    "fused scan: captured against plain steps",
    "fused scan: a cell in company against alone",
)
# what is trained: the cell of the default study, or of a rehearsal; seconds that each case is measured for
STUDY = {"tasks": 20, "neurons": 256, "batch": 64, "trials": 50, "seconds": 1.5}
TINY = {"tasks": 2, "neurons": 25, "batch": 8, "trials": 8, "seconds": 0.05}
CONNECTIVITY, WAYS = ("local", "full"), ("alone", "CPU kernel, one core")
SCANS = (8, 64, 256)  # cells whose recurrence is a fused scan


@dataclass(frozen=True)
class Part:
    """Cases that one process measures, in at most so many seconds."""

    name: str
    seconds: float
    cases: list[dict[str, Any]]


def fleets(dt: int, connectivity: str, counts: tuple[int, ...]) -> Part:
    """Fleets of K cells, in float32 and TF32."""
    same = {"dt": dt, "connectivity": connectivity}
    cases = [{"cells": k, **same, "precision": precision} for k in counts for precision in ("float32", "tf32")]
    return Part("fleet", 60, cases)


def fused(connectivity: str, counts: tuple[int, ...], precisions: tuple[str, ...] = ("float32",)) -> Part:
    """Fleets of K cells whose recurrence is a fused scan; the same by batched products are in `fleets`."""
    same = {"dt": 100, "connectivity": connectivity, "scan": "fused"}
    cases = [{"cells": k, **same, "precision": precision} for k in counts for precision in precisions]
    return Part("fused scan", 45, cases)


def parts(tiny: bool) -> list[Part]:
    """All parts, what matters most first; a rehearsal has fewer cells and processes."""
    counts, processes = ((1, 2), (2,)) if tiny else ((1, 8, 64, 256), (4, 8, 16))
    each = [(100, "local")] if tiny else [(dt, connectivity) for dt in (100, 20) for connectivity in CONNECTIVITY]
    ways = [{"way": way, "dt": dt, "connectivity": one} for way in WAYS for dt, one in each]
    packs = [{"processes": n, "dt": 100, "connectivity": "local"} for n in processes]
    scans = [fused("local", (1,))] if tiny else [fused("local", SCANS), fused("full", SCANS, ("float32", "tf32"))]
    return [
        Part("machine", 40, [{}]),
        Part("right", 60, [{"check": check} for check in CHECKS]),
        fleets(*each[0], counts),
        Part("scan right", 60, [{"check": check} for check in SCAN_CHECKS[: 1 if tiny else None]]),
        *scans,
        Part("single", 60, ways),
        *(Part("pack", 60, [case]) for case in packs),
        *(fleets(*one, counts) for one in each[1:]),
    ]


def measured(part: Part, device: str, seconds: float) -> Iterator[dict]:
    """A row for each case of a part, as they come; those that were not reached say why."""
    sizes = TINY if device == "cpu" else STUDY
    asked = {"part": part.name, "device": device, "cases": part.cases, "sizes": sizes}
    command = [sys.executable, "-m", "benchmarks.gpu_parts", json.dumps(asked)]
    until, left = time.monotonic() + seconds, list(part.cases)
    environment = os.environ | ({"TRITON_INTERPRET": "1"} if device == "cpu" else {})
    with tempfile.TemporaryFile("w+") as errors:
        pipes = {"stdout": subprocess.PIPE, "stderr": errors, "text": True}
        process = subprocess.Popen(command, **pipes, env=environment, start_new_session=True)
        with closing(lines(process, until)) as found:
            for line in found:
                yield {"part": part.name, **left.pop(0), **json.loads(line)}
        said = {"left_out": "time was up"}
        if time.monotonic() < until:
            errors.seek(0)
            said = {"failed": cause(errors.read()) or f"status {process.returncode}"}
    for case in left:
        yield {"part": part.name, **case, **said}


def cause(errors: str) -> str:
    """The last messages of what a part, and perhaps its own processes, wrote while failing, without the tracebacks."""
    said = [line for line in errors.splitlines() if line[:1].strip() and not line.startswith("Traceback")]
    return "; ".join(list(dict.fromkeys(said))[-3:])[-500:]


def lines(process: subprocess.Popen, until: float) -> Iterator[str]:
    """What a process prints, line by line, until it ends or time is up; then it is killed with all that it started."""
    found: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            found.put(line)
        found.put("")  # the end

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        with suppress(queue.Empty):
            while line := found.get(timeout=max(0.0, until - time.monotonic())):
                yield line
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()


def text(row: dict) -> str:
    """A row of the table."""
    named = {"cells": "{} cells", "processes": "{} processes", "dt": "dt {}", "connectivity": "{}", "precision": "{}"}
    what = row.get("check") or ", ".join(
        [row.get("way") or row["part"], *(form.format(row[name]) for name, form in named.items() if name in row)]
    )
    if "cell_steps_s" in row:
        memory = f"{row['gpu_mb']:,.0f} MB of the GPU, {row['host_mb']:,.0f} MB of the host"
        said = f"{row['cell_steps_s']:>10,.0f} cell-steps/s {row['ms_a_step']:>9.3f} ms a step   {memory}"
    elif "ok" in row:
        bound = "" if row["bound"] is None else f", at most {row['bound']:g}"
        said = f"{'right' if row['ok'] else 'WRONG'}: differs by {row['largest_difference']:.2g}{bound}"
    else:
        names = ("left_out", "failed") if {"left_out", "failed"} & set(row) else set(row) - {"part", "cells"}
        said = ", ".join(f"{name.replace('_', ' ')} {row[name]}" for name in row if name in names)
    return f"{what:<52} {said}"


def run(device: str, seconds: float) -> list[dict]:
    """All rows, each printed as JSON when it is there."""
    began, rows = time.monotonic(), []
    for part in parts(device == "cpu"):
        left = seconds - (time.monotonic() - began)
        for row in measured(part, device, min(part.seconds, left)) if left > 1 else unreached(part):
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def unreached(part: Part) -> Iterator[dict]:
    """Rows of a part that no time is left for."""
    for case in part.cases:
        yield {"part": part.name, **case, "left_out": "time was up"}


def sees_gpu() -> bool:
    """Whether torch sees a GPU; this process makes no context on it."""
    import torch

    return torch.cuda.is_available()


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; status 1 where something failed or is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: a rehearsal of tiny sizes")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help=f"at most so long ({MOST_SECONDS})")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not sees_gpu():
        print("torch sees no GPU here: nothing was measured; --device cpu is the rehearsal", file=sys.stderr)
        return 1
    rehearsal = chosen.device == "cpu"
    rows = run(chosen.device, chosen.seconds)
    print("\nREHEARSAL on the CPU with tiny sizes: these numbers say nothing about a GPU" if rehearsal else "")
    print("\n".join(map(text, rows)))
    if not rehearsal:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(f"written to {RESULT}")
    wrong = sum("failed" in row or row.get("ok") is False for row in rows)
    print(f"{len(rows)} rows, {wrong} wrong, {sum('left_out' in row for row in rows)} left out")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
