"""Random legal studies, small enough to train in a second, and the way from their configuration to their figures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lmrnn import steps
from lmrnn.analysis import TABLES as ANALYSES
from lmrnn.curves.maps import MAPS
from lmrnn.curves.tables import TABLES
from lmrnn.errors import LmrnnError
from lmrnn.figures import style
from lmrnn.figures.registry import figures_of
from lmrnn.networks import build_connectivity
from lmrnn.study.cells import read_cell, write_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.training.run import run_cell

NAMES = ("go", "anti", "rtgo", "dlygo", "dm1", "ctxdm2", "multidm", "dlydm1", "dms", "dnmc", "goseqr", "dlygointl",
         "dmsseql", "dlydm2intr", "rtantiseqr", "dmcintl")  # fmt: skip
MOST_CELLS = 14


def _some(rng, choices, most):
    """One to `most` different ones of some choices, in a random order."""
    order = rng.permutation(len(choices))[: rng.integers(1, min(most, len(choices)) + 1)]
    return [choices[i] for i in order]


def _connectivity(rng, neurons):
    radius = float(np.round(rng.uniform(1.1, 2 * neurons**0.5), 1))
    boundary = str(rng.choice(["open", "torus"]))
    density = float(np.round(rng.uniform(0.05, 1), 2))
    options = (
        "autapse", "full", "full", {"kind": "local", "radius": radius, "boundary": boundary},
        {"kind": "local", "radius": [2, 3]}, {"kind": "local", "radius": 1.5},
        {"kind": "random", "radius": radius}, {"kind": "random", "density": density, "self_connections": False},
        {"kind": "small_world", "radius": radius, "rewired": float(rng.choice([0, 0.1, 1]))},
        {"kind": "ring", "radius": 2}, {"kind": "full_matched", "radius": radius, "boundary": boundary},
        {"kind": "distance", "length": radius, "density": density, "boundary": boundary},
    )  # fmt: skip
    return options[rng.integers(len(options))]


def _battery(rng):
    return int(rng.integers(1, 5)) if rng.random() < 0.5 else _some(rng, NAMES, 4)


def _block(rng, neurons):
    block = {
        "connectivity": [_connectivity(rng, neurons) for _ in range(rng.integers(1, 5))],
        "tasks": [_battery(rng) for _ in range(1 if rng.random() < 0.7 else 2)],
        "trials_per_task": [int(one) for one in _some(rng, range(1, 12), 3)],
        "seed": _some(rng, range(9), 3) if rng.random() < 0.9 else list(range(6)),
    }
    axes = {
        "learning_rate": _some(rng, (1e-3, 0.01, 0.05, 1.0, 1e38), 3),
        "batch_size": [1, 4],
        "layout": ["padded", "stream"],
        "steps": [2, 5],
        "leak": [0.2, 1.0],
        "nonlinearity": _some(rng, ("relu", "softplus", "tanh"), 2),
        "initial_scale": [0.5, 1e3],
        "neurons": [neurons, 49],
    }
    chances = (0.7, 0.1, 0.15, 0.1, 0.1, 0.1, 0.05, 0.15)
    return block | {name: axis for (name, axis), p in zip(axes.items(), chances, strict=True) if rng.random() < p}


def _training(rng):
    training = {
        "batch_size": int(rng.integers(1, 9)),
        "steps": int(rng.integers(1, 8)),
        "evaluate_every": int(rng.integers(1, 9)) if rng.random() < 0.8 else "log",
        "learning_rate": float(rng.choice([1e-4, 0.02, 1e38])),
        "sequence_length": 20,
    }
    if rng.random() < 0.2:
        training |= {"schedule": str(rng.choice(["warmup", "cosine", "warmup_cosine"])), "warmup_steps": 2}
    if rng.random() < 0.2:
        training["recurrent_rate"] = "in_degree" if rng.random() < 0.5 else 0.3
    return training


def _drawn(rng):
    """A configuration, legal in most cases."""
    neurons = int(rng.choice([1, 4, 9, 16, 25]))
    grid = [_block(rng, neurons) for _ in range(1 if rng.random() < 0.8 else 2)]
    some = (1e-7, 0.05, 0.1, 0.123456789, 0.25, 0.5, 0.9, 0.90000001, 1.0)
    return {
        "study": "random",
        "definition": str(rng.choice(["corrected", "released"])),
        "dt": int(rng.choice([100, 100, 50])),
        "data_seed": str(rng.choice(["cell", "shared"])),
        "seed_offset": int(rng.choice([0, 0, 100])),
        "validation_trials": int(rng.integers(1, 4)),
        "test_trials": int(rng.integers(1, 5)),
        "grid": grid if len(grid) > 1 or rng.random() < 0.5 else grid[0],
        "network": {"neurons": neurons, "recurrent_noise": float(rng.choice([0, 0.05]))},
        "training": _training(rng),
        "claims": bool(rng.random() < 0.3),
        # no count of which a twentieth is whole: an interval's end then depends on rounding alone
        "curves": {
            "thresholds": _some(rng, some, 4),
            "bootstrap": int(rng.choice([101, 333])),
            "budgets": _some(rng, (1, 2, 3, 4, 1000), 3),
            "palette": str(rng.choice(["okabe_ito", "viridis"])),
        },
    }


def random_study(seed, results):
    """A random legal study (complete configuration) with its cells, the same for every seed."""
    rng = np.random.default_rng(seed)
    while True:
        drawn = _drawn(rng)
        try:
            config = validate_config({**drawn, "results": str(results)})
            cells = cells_of(config)
            for cell in cells:  # too many rewired synapses show only here
                build_connectivity(cell.spec["connectivity"], cell.spec["network"]["neurons"], cell.spec["seed"])
        except LmrnnError:
            continue  # too large a radius, a battery twice
        if len(cells) <= MOST_CELLS:
            return config, cells


def _invent(path, rng):
    """Give a trained cell other accuracies, such as longer trainings have: most rise, some stand still or fall."""
    result = read_cell(path)
    points, tasks = result.history["task_decision_accuracy"].shape
    if rng.random() < 0.2:
        courses = np.full((points, tasks), rng.choice([0.0, 0.25, 1.0]))
    else:
        courses = np.clip(np.cumsum(rng.normal(0.1, 0.15, (points, tasks)), axis=0), 0, 1)
    history = {**result.history, "task_decision_accuracy": courses, "decision_accuracy": courses.mean(axis=1)}
    test = {**result.test, "decision_accuracy": np.clip(courses[-1] + rng.normal(0, 0.1, tasks), 0, 1)}
    write_cell(path, type(result)(result.spec, result.status, history, test, result.weights, result.provenance))


def train_all(config, cells, seed):
    """Train every cell; of every second study the accuracies are then invented."""
    log, rng = io.StringIO(), np.random.default_rng(seed)
    for cell in cells:
        status = run_cell(cell, config["results"], config["compute"], log)
        if seed % 2 and status == "completed":
            _invent(cell.path(config["results"]), rng)


def make_all(config, cells, dpi=None, most_figures=None, first=0):
    """All that the workflow makes of a study's finished cells, by the same functions; the study's files."""
    study = Layout(config["results"]).study(config["study"])
    steps.note_cells([cell.path(config["results"]) for cell in cells], study.trained)
    steps.collect_cells(cells, config["results"], study.cells)
    steps.compute_curves(cells, config, study.cells, [study.curve(name) for name in TABLES])
    if config["claims"]:
        steps.analyse_networks(cells, config, study.cells, [study.analysis(name) for name in ANALYSES])
        pages = study.claims("csv"), study.claims("html")
        steps.measure_claims(cells, config, study.cells, study.analysis("rotation"), *pages)
        steps.map_locality(study.curve("threshold_times"), [study.curve(name) for name in MAPS])
    draw_all(config, cells, study, dpi, most_figures, first)
    return study


def draw_all(config, cells, study, dpi=None, most=None, first=0):
    """The figures of a study from its tables, or `most` of them, other ones for another `first`; a lower `dpi` makes
    coarser pictures, which saves time."""
    usual = style.DPI
    style.DPI = dpi or usual
    figures = list(figures_of(cells, config["claims"]).items())
    first %= len(figures)
    try:
        for name, figure in (figures[first:] + figures[:first])[:most]:
            tables, png = [study.table(table) for table in figure.tables], study.figure(name, "png")
            steps.draw_figure(name, tables, png, config["curves"]["palette"])
            assert Path(png).stat().st_size > 1000
    finally:
        style.DPI = usual
