"""Cells with invented courses, for testing what is computed and drawn from cells without training any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lmrnn.study.cells import MEASURES, CellResult, cell_row, cells_table

SYNAPSES = {"autapse": 256, "full": 65536, "random": 5480, "small_world": 5480, "full_matched": 5476}
RADII = {2: 2116, 3: 5480, 5: 13556, 8: 30756}


def cell(
    connectivity: dict,
    accuracies: Sequence[float],
    *,
    every: int = 100,
    seconds_per_step: float = 0.01,
    seed: int = 0,
    tasks: int = 20,
    trials_per_task: int = 100,
    learning_rate: float = 1e-3,
    status: str = "completed",
    steps: int | None = None,
    test: float | Sequence[float] | None = None,
    neurons: int = 256,
    **training: object,
) -> CellResult:
    """A cell whose validation accuracy at steps 0, every, 2*every, ... is given."""
    course = np.asarray(accuracies, dtype=float)
    step = every * np.arange(len(course))
    last = course[-1] if len(course) else 0.0
    test_accuracy = np.broadcast_to(last if test is None else test, (tasks,)) * 1.0
    return CellResult(
        spec={
            "version": 1,
            "definition": "corrected",
            "dt": 100,
            "tasks": tasks,
            "trials_per_task": trials_per_task,
            "seed": seed,
            "data_seed": seed,
            "connectivity": connectivity,
            "network": {"neurons": neurons, "nonlinearity": "relu"},
            "training": {
                "layout": "padded",
                "batch_size": 64,
                "steps": int(step[-1]) if steps is None else steps,
                "learning_rate": learning_rate,
                **training,
            },
        },
        status=status,
        history={
            "step": step,
            "trials": 64 * step,
            "training_seconds": seconds_per_step * step,
            "evaluation_seconds": 0.1 * np.arange(len(step)),
            "loss": np.ones(len(step)),
            **dict.fromkeys(MEASURES, course),
        },
        test={**dict.fromkeys(MEASURES, test_accuracy), "always_fixate": np.full(tasks, 0.1)},
        weights={},
        provenance={
            "training_seconds": seconds_per_step * every * len(step),
            "restarts": 0,
            "always_fixate_decision_accuracy": 0.1,
        },
    )


def label(connectivity: dict) -> str:
    """Short name of a connectivity, as in file names."""
    return {"local": "local-r{radius}", "random": "random-r{radius}"}.get(
        connectivity["kind"], connectivity["kind"]
    ).format(**connectivity)


def table_of(cells: Sequence[CellResult]) -> pd.DataFrame:
    """Their cells.csv."""
    rows = []
    for number, one in enumerate(cells):
        kind, neurons = one.spec["connectivity"]["kind"], one.spec["network"]["neurons"]
        synapses = RADII[one.spec["connectivity"]["radius"]] if kind == "local" else SYNAPSES[kind]
        rows.append(cell_row(one, label(one.spec["connectivity"]), neurons, synapses, f"{number}.h5", f"{number:08x}"))
    return cells_table(rows)


LOCAL3, LOCAL5 = {"kind": "local", "radius": 3}, {"kind": "local", "radius": 5}
FULL, AUTAPSE = {"kind": "full"}, {"kind": "autapse"}


def study(seeds: int = 3, sizes: Sequence[int] = (100, 1000)) -> list[CellResult]:
    """A small sweep with curves that look like learning: 6 connectivities, two rates, one autapse cell diverged."""
    kinds = [(AUTAPSE, 0.55, 1.0), ({"kind": "local", "radius": 2}, 0.85, 1.0), (LOCAL3, 0.95, 1.5)]
    kinds += [(LOCAL5, 0.96, 1.3), ({"kind": "random", "radius": 3}, 0.93, 1.0), (FULL, 0.97, 0.8)]
    rng = np.random.default_rng(3)
    cells = []
    for size in sizes:
        reach = 0.55 + 0.15 * np.log10(size)
        for connectivity, top, pace in kinds:
            for rate in (1e-3, 3e-3):
                for seed in range(seeds):
                    pace_here = pace * (1.0 if rate == 1e-3 else 0.8) * rng.uniform(0.9, 1.1)
                    course = 0.1 + (top * reach - 0.1) * (1 - np.exp(-pace_here * np.arange(21) / 6))
                    lost = connectivity is AUTAPSE and rate == 1e-3 and seed == 0
                    tests = np.clip(course[-1] + 0.1 * rng.standard_normal(20), 0, 1)
                    cells.append(
                        cell(
                            connectivity,
                            course[:6] if lost else np.clip(course + 0.01 * rng.standard_normal(21), 0, 1),
                            seed=seed,
                            trials_per_task=size,
                            learning_rate=rate,
                            status="diverged" if lost else "completed",
                            steps=2000,
                            test=tests,
                        )
                    )
    return cells
