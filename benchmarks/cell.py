"""What does a whole cell cost, a second one beside it, and a cortex-like one?

A whole cell: 20 tasks, 256 neurons, 10%, 2,000 steps of 64 trials, evaluation included, from nothing to the result;
against the usual loop with neurogym's Dataset as its source, which gets as many time steps in a step as our trials have
without their padding, and as many in its evaluations. CPU seconds, one thread each.

    python -m benchmarks.cell
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.compare import compared
from benchmarks.generation import neurogym_python
from benchmarks.study import dataset, spec_of
from lmrnn.training.state import Compute
from lmrnn.training.train import train

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
STEPS, BATCH, TRIALS = 2000, 64, 250  # steps of a cell, trials of a step, training trials per task
VALIDATION, TEST, EVERY = 20, 50, 100  # trials per task, and steps between two evaluations
MEAN_LENGTH = 18  # time steps of a trial at dt = 100 ms


def our_cell(steps: int) -> float:
    """CPU seconds of a cell, its data included."""
    start = time.process_time()
    local = {"kind": "local", "radius": 3, "boundary": "torus"}
    spec = spec_of(local, batch_size=BATCH, steps=steps, evaluate_every=EVERY)
    data = dataset("train", TRIALS), dataset("validation", VALIDATION), dataset("test", TEST)
    train(spec, *data, log=lambda line: None, compute=Compute(threads=1))
    return time.process_time() - start


def their_cell(steps: int) -> float:
    """CPU seconds of the usual cell."""
    evaluations = steps // EVERY + 1
    trials = 20 * (VALIDATION * evaluations + TEST) / evaluations  # of one evaluation
    given = {"steps": steps, "batch_size": BATCH, "sequence": MEAN_LENGTH, "evaluate_every": EVERY}
    given["evaluation_batches"] = max(1, round(trials / BATCH))
    command = [neurogym_python(), "-W", "ignore", "-m", "benchmarks.usual_cell"]
    options = {"input": json.dumps(given), "capture_output": True, "text": True, "cwd": ROOT, "env": ENVIRONMENT}
    done = subprocess.run(command, check=True, **options)
    return json.loads(done.stdout.splitlines()[-1])["seconds"]


def cell_row(steps: int, rounds: int) -> dict:
    """The whole cell against the usual one."""
    our_cell(20)  # imports and first allocations are no part of either side
    pairs = [(our_cell(steps), their_cell(steps)) for _ in range(rounds)]
    size = f"20 tasks, N = 256, 10%, {steps:,} steps, evaluation included"
    question = f"how many times cheaper is a cell ({size}) than with the usual loop and neurogym's Dataset?"
    return {"question": question, **compared(pairs, faster=True), "unit": "CPU s", "goal": 4}


def start(code: str) -> subprocess.Popen:
    """A process of its own that runs a piece of this module and prints a number."""
    command = [sys.executable, "-c", f"from benchmarks.cell import *; print({code})"]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def side_by_side_row(steps: int, rounds: int) -> dict:
    """Two cells as two processes against one alone."""
    code, pairs = f"our_cell({steps})", []
    for _ in range(rounds):
        alone = float(start(code).communicate()[0])
        two = [start(code) for _ in range(2)]
        pairs.append((max(float(process.communicate()[0]) for process in two), alone))
    question = "how many times as long as alone does a cell take beside a second one, one thread each?"
    return {"question": question, **compared(pairs), "unit": "CPU s", "goal": 1.15, "better": "lower"}


def sheet(side: int, radius: float, steps: int) -> str:
    """Train a large sheet on the 20 tasks; JSON of seconds a step, synapses a neuron, first and last loss, memory."""
    from benchmarks.step import make_network, our_step, trials
    from lmrnn.datasets.batches import PaddedBatches

    torch.set_num_threads(1)
    step = our_step(make_network({"kind": "local", "radius": radius, "boundary": "torus"}, side * side))
    batches, losses = PaddedBatches(trials(), BATCH, 0), []
    began = time.process_time()
    for _ in range(steps):
        losses.append(step.take(batches.next()))
    seconds = (time.process_time() - began) / steps
    degree = len(step.network.recurrent) / side**2
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    last = statistics.fmean(losses[-5:])
    return json.dumps({"s": seconds, "degree": degree, "first": losses[0], "last": last, "gb": gigabytes})


def sheet_row(steps: int) -> dict:
    """Memory of a sheet of 65,536 neurons, and whether it learns."""
    found = json.loads(start(f"sheet(256, 4.6, {steps})").communicate()[0])
    return {
        "question": f"how much memory does a 256 x 256 sheet take, {found['degree']:.0f} synapses a neuron, padded "
        f"batches? {steps} steps of {found['s']:.2f} s took the loss from {found['first']:.2f} to "
        f"{found['last']:.2f}",
        "ours": found["gb"],
        "unit": "GB",
        "goal": 8,
        "better": "lower",
        **{name: found[name] for name in ("first", "last", "degree")},
        "seconds_per_step": found["s"],
    }


def rows(quick: bool = False) -> Iterator[dict]:
    """Measure, row by row; `quick`: fewer steps and rounds."""
    steps, rounds = (200, 1) if quick else (STEPS, 1)
    turns = (200, 1) if quick else (500, 7)
    yield cell_row(steps, rounds)
    yield side_by_side_row(*turns)
    yield sheet_row(5 if quick else 30)


def main() -> int:
    """Print the rows; status 1 when a goal is missed."""
    from benchmarks.__main__ import show

    return show(rows())


if __name__ == "__main__":
    sys.exit(main())
