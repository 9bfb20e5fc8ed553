"""How much faster than the usual loop is a training step, and how near to what the processor can do?

A step is forward pass, loss, backward pass, clipping and optimiser, on 64 trials of the 20 tasks at dt = 100 ms, one
thread, in CPU seconds. Both sides take turns in one process; a row's ratio is the median over the rounds.

    python -m benchmarks.step
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.compare import compared
from benchmarks.study import dataset
from benchmarks.usual import UsualStep
from lmrnn.datasets.batches import Batch, PaddedBatches, StreamBatches, TrialTensors
from lmrnn.networks import LMRNN, Connectivity, build_connectivity, choose_path, kernel
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.training.step import Adam, PlainStep

DEFAULT_STUDY = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
ROUNDS, TRIALS, TASKS = 9, 64, 20
RADII = {0.01: 3.65, 0.04: 7.2}  # at 4,096 neurons on a torus: 45 and 161 synapses a neuron


def trials(per_task: int = 50) -> TrialTensors:
    """Trials of the 20 tasks in memory."""
    return TrialTensors.of(dataset("train", per_task, TASKS))


def unpadded_batch(steps: int) -> Batch:
    """64 trials that all fill T time steps, each of one task: nothing is gained by not computing padding."""
    batch = StreamBatches(trials(), TRIALS, steps, 0).next()
    return dataclasses.replace(batch, rule=batch.rule[:1].expand(steps, -1).contiguous())


def local(neurons: int, radius: float) -> dict:
    """Spec and size of a local network on a torus."""
    return {"spec": {"kind": "local", "radius": radius, "boundary": "torus"}, "neurons": neurons}


def make_network(spec: dict, neurons: int) -> LMRNN:
    """A network as a cell has it at its start."""
    return LMRNN(build_connectivity(spec, neurons), TASKS)


def our_step(network: LMRNN, path: str = "auto") -> PlainStep:
    """The step that `lmrnn.training.train` takes."""
    return PlainStep(network, Adam(network.parameters(), 1e-3), 1.0, choose_path(network, "cpu", path))


def usual(network: LMRNN, batch: Batch) -> Callable[[], object]:
    """The usual step on the same connectivity and trials."""
    mask = torch.from_numpy(network.connectivity.matrix()).float()
    one_hot = torch.nn.functional.one_hot(batch.rule, TASKS).float()
    inputs = torch.cat([batch.observations, one_hot], dim=-1)  # (T, B, 53)
    step = UsualStep(mask, inputs.shape[-1])
    return lambda: step(inputs, batch.labels)


def cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def take_turns(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, least: float = 0.05, faster: bool = True
) -> dict:
    """Measure two functions in turn, in ms; `compared` says what their row holds."""
    calls = (ours, theirs)
    for function in calls:
        function()  # memory, caches, the optimiser's state
    repeats = [max(1, round(least / max(cpu_seconds(function, 1), 1e-5))) for function in calls]
    pairs = [[1e3 * cpu_seconds(*one) for one in zip(calls, repeats, strict=True)] for _ in range(rounds)]
    return compared(pairs, faster) | {"unit": "ms", "rounds": rounds}


def gemm_gigaflops(size: int = 256, rounds: int = 15) -> float:
    """What one core reaches in a dense float32 product, in GFLOP/s: the best of rounds."""
    a, b, out = (torch.rand(size, size) for _ in range(3))
    seconds = min(cpu_seconds(lambda: torch.mm(a, b, out=out), 100) for _ in range(rounds))
    return 2e-9 * size**3 / seconds


def usual_rows(rounds: int) -> Iterator[dict]:
    """The step against the usual loop, without padding."""
    sizes = [
        ("N = 256, 10%, T = 30", local(256, 3), 30, 5.5),
        ("N = 1,024, 4%, T = 30", local(1024, 3.65), 30, 12),
        ("N = 4,096, 1%, T = 10", local(4096, RADII[0.01]), 10, 60),
        ("N = 4,096, 4%, T = 10", local(4096, RADII[0.04]), 10, 40),
        ("N = 256, full, T = 30", {"spec": {"kind": "full"}, "neurons": 256}, 30, 1.5),
    ]
    for size, network, steps, goal in sizes:
        question = f"how many times faster than the usual loop is a step at {size}?"
        yield {"question": question, "goal": goal} | against_usual(network, unpadded_batch(steps), rounds)


def against_usual(size: dict, batch: Batch, rounds: int) -> dict:
    """One network's step against the usual loop's."""
    network = make_network(**size)
    step = our_step(network)
    return take_turns(lambda: step.take(batch), usual(network, batch), rounds) | {"path": step.path}


def padded_row(rounds: int) -> dict:
    """With the battery's own trial lengths, padded to the longest of the batch."""
    batch = PaddedBatches(trials(), TRIALS, 0).next()
    question = f"and at N = 256, 10% with trials of 9 to 33 time steps, padded to T = {len(batch.labels)}?"
    return {"question": question} | against_usual(local(256, 3), batch, rounds)


def torch_row(rounds: int) -> dict:
    """A full network on the path that is chosen for it against the quicker of the plain torch paths."""
    batch, network = unpadded_batch(30), make_network({"kind": "full"}, 256)
    steps = {name: our_step(make_network({"kind": "full"}, 256), name) for name in ("dense", "reference")}
    seconds = {
        name: min(cpu_seconds(lambda s=step: s.take(batch), 3) for _ in range(5)) for name, step in steps.items()
    }
    best, ours = steps[min(seconds, key=seconds.get)], our_step(network)
    question = "how many times faster than the best plain torch path is a full network's step, N = 256, T = 30?"
    return {"question": question, "goal": 1.0} | take_turns(lambda: ours.take(batch), lambda: best.take(batch), rounds)


def growth_row(rounds: int) -> dict:
    """Whether the cost follows the synapses."""
    batch = unpadded_batch(10)
    small, large = (our_step(make_network(**local(neurons, 3.65))) for neurons in (4096, 16384))
    question = "how many times as long as at N = 4,096 (theirs) is a step at N = 16,384 (ours), 45 synapses a neuron?"
    row = take_turns(lambda: large.take(batch), lambda: small.take(batch), rounds, least=0.2, faster=False)
    return {"question": question, "goal": 4.2, "better": "lower"} | row


def study_row(rounds: int) -> dict:
    """What the kernel makes of `make sweep`: a step of every connectivity of the default study, on either path."""
    batch = PaddedBatches(trials(), TRIALS, 0).next()
    cells = cells_of(load_config(DEFAULT_STUDY))
    specs = {cell.connectivity_label: cell.spec["connectivity"] for cell in cells}.values()

    def steps(path: str) -> Callable[[], object]:
        taken = [our_step(make_network(spec, 256), path) for spec in specs]
        return lambda: [step.take(batch) for step in taken]

    question = "how many times cheaper are the default study's steps than by torch's dense products?"
    return {"question": question, "goal": 2} | take_turns(steps("auto"), steps("dense"), rounds)


def products(network: LMRNN, batch: Batch) -> float:
    """Billions of operations that forward and backward pass ask for: of existing synapses and of inputs that are on."""
    operations = 4e-9 * int(batch.lengths.sum()) * (network.recurrent.numel() + network.readout.numel())
    stimulated = int((batch.observations[..., 1:] != 0).any(-1).sum())
    return operations + 2e-9 * stimulated * network.input[:, 1:].numel()  # silent inputs are not multiplied


def share_of_peak(question: str, operations: float, seconds: Callable[[], float], rounds: int) -> dict:
    """Rate of some operations against a dense product's, both measured in every round."""
    pairs = [(operations / seconds(), gemm_gigaflops(rounds=3)) for _ in range(rounds)]
    return {"question": question, **compared(pairs), "unit": "GFLOP/s", "goal": 0.75}


def passes_seconds(network: LMRNN, batch: Batch) -> float:
    """CPU seconds of forward and backward pass, without the gradients of the weights."""
    return cpu_seconds(lambda: kernel.passes(network, batch), 50)


def peak_rows(rounds: int) -> Iterator[dict]:
    """Forward and backward pass, counting the products that an existing synapse or an input asks for and no others."""
    batch = unpadded_batch(30)
    none = np.zeros(0, dtype=np.int64)
    network, without = make_network(**local(256, 3)), LMRNN(Connectivity(256, none, none, "none"), TASKS)
    for each in (network, without):
        kernel.passes(each, batch)
    yield share_of_peak(
        "what share of a dense product's rate do forward and backward pass reach, N = 256, 10%, T = 30?",
        products(network, batch),
        lambda: passes_seconds(network, batch),
        rounds,
    )
    yield share_of_peak(
        "and its recurrent synapses alone, by the time that they add to the same network without any?",
        products(network, batch) - products(without, batch),
        lambda: passes_seconds(network, batch) - passes_seconds(without, batch),
        rounds,
    )


def rows(quick: bool = False) -> Iterator[dict]:
    """Measure everything here, row by row; `quick`: fewer rounds."""
    torch.set_num_threads(1)
    rounds = 3 if quick else ROUNDS
    peak = {"question": "what does a dense float32 product reach here, 256 x 256 x 256?", "ours": gemm_gigaflops()}
    yield peak | {"unit": "GFLOP/s"}
    yield from usual_rows(rounds)
    yield padded_row(rounds)
    yield torch_row(rounds)
    yield study_row(rounds)
    yield from peak_rows(rounds)
    yield growth_row(rounds)


def main() -> int:
    """Print the rows; status 1 when a goal is missed."""
    from benchmarks.__main__ import show

    return show(rows())


if __name__ == "__main__":
    sys.exit(main())
