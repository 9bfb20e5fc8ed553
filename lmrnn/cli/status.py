"""How a sweep stands, in words: no question to Slurm, no torch. `lmrnn.cli.cell_states` looks, this shows."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snakemake_executor_plugin_submitit.ledger import DEFAULT_FOLDER

from lmrnn.cli.arguments import positive
from lmrnn.cli.cell_states import STATES, CellState, Failure, Reader
from lmrnn.cli.plan import duration
from lmrnn.cli.prune import Asked
from lmrnn.cli.studies import choose
from lmrnn.study.grid import Cell

_MEANINGS = {
    "diverged": "trained until the loss was no number any more; counts as a result",
    "waiting": "handed to the cluster, which has not started it",
    "stopped": "cut short with its state saved; the next run goes on from there",
    "missing": "not yet handed out; the next run trains it",
}


def table(states: Sequence[CellState]) -> str:
    """Counts per connectivity and size: one line per connectivity, tasks and trials a task, and one for all."""
    groups: dict[tuple[str, int, int], list[CellState]] = {}
    for one in states:
        spec = one.cell.spec
        key = (one.cell.connectivity_label, len(one.cell.tasks), spec["trials_per_task"])
        groups.setdefault(key, []).append(one)
    overall = _mean_seconds(states)
    columns = "".join(f"{name:>10}" for name in STATES)
    lines = [f"{'connectivity':<24}{'tasks':>6}{'trials':>8}{columns}{'time left':>14}"]
    for (label, tasks, trials), group in groups.items():
        lines.append(f"{label:<24}{tasks:>6}{trials:>8}{_counts(group)}{_time_left(group, overall):>14}")
    lines.append(f"{'all':<24}{'':>14}{_counts(states)}{_time_left(states, overall):>14}")
    return "\n".join(lines)


def legend(states: Iterable[CellState]) -> str:
    """What the less obvious columns mean, where they are not empty: one line per state."""
    there = {one.state for one in states}
    return "\n".join(f"{state:<9} {meaning}" for state, meaning in _MEANINGS.items() if state in there)


def _counts(group: Iterable[CellState]) -> str:
    counts = Counter(one.state for one in group)
    return "".join(f"{counts[name] or '.':>10}" for name in STATES)


def _mean_seconds(group: Iterable[CellState]) -> float:
    took = [one.seconds for one in group if one.seconds]
    return sum(took) / len(took) if took else 0.0


def _time_left(group: Sequence[CellState], overall: float) -> str:
    """Time until the group is done, if as many of its cells go on running at the same time."""
    each = _mean_seconds(group) or overall
    running = [one.left or each for one in group if one.state == "running"]
    others = sum(one.state in ("waiting", "stopped", "missing") for one in group)
    if not running and not others:
        return "-"
    if not each or not running:
        return "?"
    return duration(max(max(running), (sum(running) + others * each) / len(running)))


def failures(states: Iterable[CellState], others: Iterable[Failure] = ()) -> str:
    """What failed, with reason and log, a few lines each; empty if nothing failed."""
    ended = [one for one in states if one.state == "failed" or (one.state == "stopped" and one.reason)]
    told = [(one.state, Failure(one.cell.stem, one.reason, one.log, one.task)) for one in ended]
    lines = []
    for state, one in [*told, *(("failed", one) for one in others)]:
        lines += [f"{state}: {one.name}", f"        {one.reason}", f"        log: {one.log}"]
        if one.task:
            lines.append(f"        task: {one.task} (pickles, log)")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``lmrnn status``, beside the study's configuration."""
    parser.add_argument("--watch", action="store_true", help="refresh until interrupted")
    parser.add_argument("--interval", type=positive, default=5.0, help="seconds between two looks (5)")
    parser.add_argument("--ledger", default=str(DEFAULT_FOLDER), help=f"the dispatch's folder ({DEFAULT_FOLDER})")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell, for programs")


def status_command(arguments: argparse.Namespace) -> None:
    """Say how a study stands, from its files and the dispatch's ledger."""
    chosen = choose(arguments)
    config, cells = chosen.config, chosen.cells
    reader = Reader(config["results"], arguments.ledger)
    asked = Asked.of(chosen.layout, chosen.path, instead=config["study"] if chosen.path else "")
    try:
        while True:
            text = _report(reader, cells, config, asked, arguments.json)
            print("\x1b[H\x1b[2J" + text if arguments.watch else text, flush=True)
            if not arguments.watch:
                return
            time.sleep(arguments.interval)
    except KeyboardInterrupt:
        print()


def _report(reader: Reader, cells: Sequence[Cell], config: Mapping[str, Any], asked: Asked, as_json: bool) -> str:
    states = reader.states(cells)
    if as_json:
        return "\n".join(_json(one) for one in states)
    others = reader.other_failures(cells, config["study"])
    skipped = reader.ledger.skipped
    unread = f"{skipped} lines of {reader.ledger.path} cannot be read: left out" if skipped else ""
    parts = [table(states), legend(states), failures(states, others), unread, asked.report()]
    return "\n\n".join(part for part in parts if part)


def _json(one: CellState) -> str:
    return json.dumps({"cell": one.cell.stem, **{key: getattr(one, key) for key in ("state", "reason", "log", "task")}})
