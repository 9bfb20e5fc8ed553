"""What a sweep will cost, before anything of it runs: cells, data, tasks on a cluster, hours.

The cost of one training step is measured on this machine with a few real steps of every kind of cell that the study
has, or given by the user (from another machine's log). Nothing else is a guess: counts come from the study, hours from
steps times seconds.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from lmrnn.cli.arguments import positive, whole
from lmrnn.cli.plan_cost import Cost, measured_cost
from lmrnn.cli.studies import choose
from lmrnn.datasets import SPLITS, dataset_bytes
from lmrnn.study.cells import canonical_json, read_cell
from lmrnn.study.grid import Cell
from lmrnn.study.moments import Left, left_of_whole
from lmrnn.study.settled import remarks
from lmrnn.study.since import with_defaults
from lmrnn.training.fleet.devices import fleet_cpus


@dataclass(frozen=True)
class Plan:
    """What is to be done and what it takes.

    Cells and datasets of the study, and how many of each are there; of the missing cells `tested` find their weights in
    a finished one, `continued` their first steps; size of the datasets still to be made in `gigabytes` (10**9 bytes);
    array tasks, datasets one by one, cells in packs. `hours` of training and evaluation are added up over the missing
    cells, `core_hours` are hours times CPUs (of a fleet those of a task), `gpu_hours` times GPUs, a GPU being shared by
    a pack, `wall_hours` from the start of the first training to the end of the last; `costs` is what they were computed
    from, by kind of cell.
    """

    cells: int
    done: int
    tested: int
    continued: int
    datasets: int
    datasets_done: int
    gigabytes: float
    dataset_tasks: int
    cell_tasks: int
    hours: float
    core_hours: float
    gpu_hours: float
    wall_hours: float
    costs: dict[str, Cost] = field(repr=False)


def kind_of(cell: Cell) -> str:
    """Connectivity and whatever else of a spec the time of a step depends on: cells of the same kind take equally long
    for a step.
    """
    spec, training = cell.spec, cell.spec["training"]
    depends = {
        **spec["network"],
        **{key: training[key] for key in ("layout", "batch_size", "sequence_length") if key in training},
        "connectivity": spec["connectivity"],
        "tasks": len(cell.tasks),
        "dt": spec["dt"],
        **{key: spec[key] for key in ("own_tasks", "timing") if key in spec},
        **{key: training[key] for key in ("loss", "l2_rates") if key in training},  # these take another path
    }
    return f"{cell.connectivity_label}, {len(cell.tasks)} tasks {canonical_json(depends)}"


def cell_seconds(cell: Cell, cost: Cost, left: Left) -> float:
    """Seconds that one cell takes, given the cost of its kind: the steps and the evaluations on the validation set that
    are left of it, its tests at the end and at the best.
    """
    trials = len(cell.tasks) * (left.validations * cell.spec["validation_trials"] + 2 * cell.spec["test_trials"])
    return left.steps * cost.step + trials * cost.trial


def left_of_cells(cells: Sequence[Cell], results: Path | str) -> list[Left]:
    """What is left to compute of cells that are not finished: nothing is trained that a finished cell has."""
    if not any(cell.beside(results) for cell in cells):  # without torch, which takes seconds
        return [left_of_whole(with_defaults(cell.spec["training"])) for cell in cells]
    from lmrnn.training.again import left_of

    read = cache(partial(read_cell, weights=False))
    return [left_of(cell, results, read) for cell in cells]


def plan(
    config: Mapping[str, Any],
    cells: Sequence[Cell],
    cost: Callable[[Cell], Cost] | float,
    pack: int = 1,
    parallel: int = 1,
    gpus: int = 0,
    rate: float | None = None,
) -> Plan:
    """Count what is missing of a study and add up what it takes.

    `config` is the complete configuration; `cost` gives a cell's cost, as `measured_cost` does, or is the seconds of a
    step, for all. `pack` cells share a task, `parallel` train at the same time, a task has `gpus` >= 0. With `rate`,
    the steps per second, of all cells of a fleet added up, that one GPU gives, evaluations are not counted.
    """
    results, threads = config["results"], config["compute"]["threads"]
    missing = [cell for cell in cells if not cell.path(results).exists()]
    files = {cell.dataset_path(results, split): cell.dataset(split) for cell in cells for split in SPLITS}
    needed = {cell.dataset_path(results, split) for cell in missing for split in SPLITS}
    to_make = [path for path in files if path in needed and not path.exists()]
    lefts = left_of_cells(missing, results)
    kinds: dict[str, Cell] = {}
    for cell in missing:
        kinds.setdefault(kind_of(cell), cell)
    costs = {kind: cost(cell) if callable(cost) else Cost(float(cost)) for kind, cell in kinds.items()}
    seconds = [cell_seconds(cell, costs[kind_of(cell)], left) for cell, left in zip(missing, lefts, strict=True)]
    hours, wall = sum(seconds) / 3600, makespan(seconds, parallel) / 3600
    gpu_hours, core_hours = hours * gpus / pack, hours * threads
    if rate is not None:  # a fleet: the cells of a task share its GPUs, and all of them are at work until the end
        gpu_hours = sum(left.steps for left in lefts) / rate / 3600
        wall = gpu_hours / (math.ceil(parallel / pack) * max(1, gpus))
        hours = gpu_hours * pack / max(1, gpus)
        core_hours = gpu_hours * min(fleet_cpus(threads), pack * threads / max(1, gpus))
    return Plan(
        cells=len(cells),
        done=len(cells) - len(missing),
        tested=sum(left.begun and not left.steps for left in lefts),
        continued=sum(left.begun and left.steps > 0 for left in lefts),
        datasets=len(files),
        datasets_done=sum(path.exists() for path in files),
        gigabytes=sum(dataset_bytes(files[path]) for path in to_make) / 1e9,
        dataset_tasks=len(to_make),
        cell_tasks=math.ceil(len(missing) / pack),
        hours=hours,
        core_hours=core_hours,
        gpu_hours=gpu_hours,
        wall_hours=wall,
        costs=costs,
    )


def makespan(seconds: Sequence[float], parallel: int) -> float:
    """Seconds until the last of many jobs has ended, when each of several workers takes the next one that waits.

    >>> makespan([3, 1, 1, 1], 2)
    3.0
    """
    import heapq

    free = [0.0] * max(1, min(parallel, len(seconds)))
    for duration in seconds:
        heapq.heapreplace(free, free[0] + duration)
    return float(max(free))


def describe(plan: Plan, parallel: int, pack: int) -> str:
    """A plan in words, several lines."""
    missing, tasks = plan.cells - plan.done, plan.cell_tasks + plan.dataset_tasks
    begun = plan.tested + plan.continued
    lines = [
        f"cells        {plan.cells:>10,}   {plan.done:,} done, {missing - begun:,} to train",
        *([_shared(plan)] if begun else []),
        f"datasets     {plan.datasets:>10,}   {plan.datasets_done:,} there; to make: {_size(plan.gigabytes)}",
        f"array tasks  {tasks:>10,}   {plan.cell_tasks:,} for {pack} cells each, {plan.dataset_tasks:,} for datasets",
        f"core-hours   {plan.core_hours:>10,.2f}",
    ]
    if plan.gpu_hours:
        lines.append(f"GPU-hours    {plan.gpu_hours:>10,.2f}")
    clock = duration(plan.wall_hours * 3600)
    lines.append(
        f"wall-clock   {clock:>10}   {parallel} at a time (--parallel); starts and waiting in the queue not counted"
    )
    return "\n".join(lines + _basis(plan.costs))


def _shared(plan: Plan) -> str:
    """Cells that cost less than a training, and why."""
    words = (
        f"{plan.tested:,} only to test: a finished cell has their weights" if plan.tested else "",
        f"{plan.continued:,} to go on from a finished cell of fewer steps" if plan.continued else "",
    )
    return f"{'':26}{', '.join(filter(None, words))}"


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.2f} GB" if gigabytes >= 0.1 else f"{gigabytes * 1000:.1f} MB"


def _basis(costs: Mapping[str, Cost]) -> list[str]:
    """What the hours were computed from."""
    if len(set(costs.values())) == 1 and not any(cost.trial for cost in costs.values()):
        step = next(iter(costs.values())).step
        return [f"              from {step * 1e3:g} ms a step for every cell; tests not counted"]
    return [
        f"  {kind.partition(' {')[0]:<36} {cost.step * 1e3:>9.2f} ms a step {cost.trial * 1e6:>9.1f} us a tested trial"
        for kind, cost in costs.items()
    ]


def duration(seconds: float) -> str:
    """A time span in seconds >= 0 as people say it, in two units at most.

    >>> duration(90), duration(7260), duration(200000)
    ('1 min 30 s', '2 h 1 min', '2 d 7 h')
    """
    total = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if total >= size:
            rest = total % size // below
            return f"{total // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{total} s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``lmrnn plan``, beside the study's configuration."""
    step = "milliseconds of one step; measured on this machine if not given"
    parser.add_argument("--step-ms", type=positive, help=step)
    parser.add_argument("--pack", type=whole(1), default=1, help="cells that share an array task (1)")
    parser.add_argument("--parallel", type=whole(1), default=1, help="cells that train at the same time (1)")
    rate = "steps of all cells of a fleet together that one GPU takes a second, as `make bench BENCH=gpu` prints them"
    parser.add_argument("--cell-steps-per-second", type=positive, help=rate)
    parser.add_argument("--gpus", type=whole(0), default=0, help="GPUs of an array task (0)")


def plan_command(arguments: argparse.Namespace) -> None:
    """Say what a study will cost, before anything of it runs."""
    chosen = choose(arguments)
    config, cells = chosen.config, chosen.cells
    for remark in remarks(config):
        print(f"note: {remark}", file=sys.stderr)
    rate = arguments.cell_steps_per_second
    cost: Callable[[Cell], Cost] | float = (arguments.step_ms or (1000 / rate if rate else 0)) / 1000
    if arguments.step_ms is None and rate is None:
        kinds = len({kind_of(cell) for cell in cells if not cell.path(config["results"]).exists()})
        print(f"measuring {kinds} kinds of cells, a second or a few each (--step-ms saves it)", file=sys.stderr)
        cost = partial(measured_cost, config["compute"])
    made = plan(config, cells, cost, arguments.pack, arguments.parallel, arguments.gpus, rate)
    print(describe(made, arguments.parallel, arguments.pack))
