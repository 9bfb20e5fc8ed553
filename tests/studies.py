"""Runs the real workflow on small studies, each in a folder of its own."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from lmrnn import steps
from lmrnn.analysis import TABLES as ANALYSES
from lmrnn.curves.maps import MAPS
from lmrnn.curves.tables import TABLES
from lmrnn.figures.registry import figures_of
from lmrnn.study.config import load_config, own_analyses
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import note_study
from lmrnn.training.cell import train_cell

ROOT = Path(__file__).parents[1]
TINY = {
    "study": "tiny",
    "validation_trials": 2,
    "test_trials": 4,
    "grid": {
        "connectivity": ["autapse", {"kind": "local", "radius": [2]}],
        "tasks": [2],
        "trials_per_task": [8],
        "seed": [0],
    },
    "network": {"neurons": 25},
    "training": {"batch_size": 4, "steps": 6, "evaluate_every": 3},
    "curves": {"thresholds": [0.2], "bootstrap": 100},
}


# with LMRNN_TEST_FLEET=on the cells of all these studies are trained as fleets, rehearsed on the processor
AS_FLEETS = {"compute": {"fleet": "on", "device": "cpu", "path": "auto"}}


def as_tested(config):
    """A configuration as the tests are to run it now."""
    own_path = config.get("compute", {}).get("path", "auto") != "auto"  # no fleet has one
    return merged(config, AS_FLEETS) if os.environ.get("LMRNN_TEST_FLEET") == "on" and not own_path else config


def merged(old, new):
    """A configuration with the keys of another put in, level by level."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        result[key] = merged(old[key], value) if both else value
    return result


def steady(table):
    """A table of cells without what differs from run to run: the clock, memory, restarts, and where its files lie."""
    cells = pd.read_csv(table)
    unsteady = [name for name in cells if name.endswith("_seconds")] + ["peak_memory_mb", "restarts", "file"]
    return cells.drop(columns=unsteady)


class Study:
    """One study in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.temporary = self.folder / "tmp"  # in which cells that are trained together meet, and no others
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.config = TINY
        self.change()

    @property
    def config_file(self):
        return self.folder / "study.yaml"

    @property
    def results(self):
        return self.folder / "results"

    def change(self, **changes):
        """Change keys of the configuration; a mapping changes only the keys it names."""
        self.config = merged(self.config, changes)
        self.config_file.write_text(yaml.safe_dump(as_tested(self.config)))

    def command(self, *arguments):
        program = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        return [*program, "--configfile", "study.yaml", "--cores", "2", *arguments]

    def environment(self, **extra):
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
        own = {"XDG_CACHE_HOME": str(self.folder / "cache"), "TMPDIR": str(self.temporary)}
        return {**os.environ, **threads, **own, **extra}

    def snakemake(self, *arguments, **extra):
        """Run Snakemake in the study's folder and return what it printed and its exit status."""
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment(**extra),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240,
        )  # fmt: skip

    def planned(self, *arguments):
        """Number of jobs of each rule that a dry-run lists."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M) if rule != "total"}

    def run(self, *arguments):
        """Run the study to its end; the cells that were trained."""
        before = self.trained()
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout
        after = self.trained()
        return {cell for cell in after if after[cell] != before.get(cell)}

    def finish(self, drawn=True):
        """Run the study to its end in this process, each step once and in their order, as Snakemake does in its own; or
        only as far as the table of its cells and its own analyses.
        """
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            _finish(load_config(self.config_file.name), drawn)
        finally:
            os.chdir(before)

    def trained(self):
        """Each cell's file and when it was written."""
        cells = self.results / "cells"
        return {str(path.relative_to(cells)): path.stat().st_mtime_ns for path in cells.rglob("*.h5")}


def _finish(config, drawn=True):
    """Every file of a study, by the steps that the workflow's scripts call."""
    cells, results = cells_of(config), config["results"]
    files = Layout(results).study(config["study"])
    for cell in cells:
        train_cell(cell.spec, config, config["compute"], io.StringIO())
    note_study(files, config, cells)
    steps.note_cells([cell.path(results) for cell in cells], files.trained)
    steps.collect_cells(cells, results, files.cells)
    for name, own in own_analyses(config).items():
        steps.analyse_own(own, files.cells, files.analysis(name))
    if drawn:
        _draw(config, cells, files)


def _draw(config, cells, files):
    """Curves, claims and figures of a study."""
    steps.compute_curves(cells, config, files.cells, map(files.curve, TABLES))
    if config["claims"]:
        steps.analyse_networks(cells, config, files.cells, map(files.analysis, ANALYSES))
        claims = files.claims("csv"), files.claims("html")
        steps.measure_claims(cells, config, files.cells, files.analysis("rotation"), *claims)
        steps.map_locality(files.curve("threshold_times"), map(files.curve, MAPS))
    for figure in figures_of(cells, config["claims"]).values():
        tables, palette = map(files.table, figure.tables), config["curves"]["palette"]
        steps.draw_figure(figure.name, tables, files.figure(figure.name, "png"), palette)
