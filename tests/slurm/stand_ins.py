"""Finished cells of a study, small and quickly made: valid files without any training.

python tests/slurm/stand_ins.py CONFIG FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lmrnn.study.cells import MEASURES, CellResult, write_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import Cell, cells_of


def write_stand_ins(config: Path, results: Path) -> int:
    """Write a file for every cell of a study; how many there are."""
    cells = cells_of(load_config(config))
    draw = np.random.default_rng(0)
    for cell in cells:
        write_cell(cell.path(results), stand_in(cell, draw))
    return len(cells)


def stand_in(cell: Cell, draw: np.random.Generator) -> CellResult:
    """A cell whose accuracies rise, each at its own pace."""
    training = cell.spec["training"]
    step = np.linspace(0, training["steps"], 5).round().astype(int)
    course = (1 - np.exp(-step / (training["steps"] * draw.uniform(0.2, 0.8)))) * draw.uniform(0.7, 1)
    count = len(cell.tasks)
    return CellResult(
        spec=cell.spec,
        status="completed",
        history={
            "step": step,
            "trials": step * training["batch_size"],
            "training_seconds": step * 0.01,
            "evaluation_seconds": step * 0.001,
            "loss": 1 - course,
            **dict.fromkeys(MEASURES, course),
            "task_decision_accuracy": np.repeat(course[:, None], count, axis=1),
        },
        test={**{name: np.full(count, course[-1]) for name in MEASURES}, "always_fixate": np.full(count, 0.1)},
        weights={},
        provenance={
            **{"training_seconds": 1.0, "evaluation_seconds": 0.1, "restarts": 0, "peak_memory_mb": 100.0},
            "always_fixate_decision_accuracy": 0.1,
        },
    )


if __name__ == "__main__":
    print(write_stand_ins(Path(sys.argv[1]), Path(sys.argv[2])))
