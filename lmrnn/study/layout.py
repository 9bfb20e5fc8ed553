"""Where every file of a folder of results lies; no other place makes such a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lmrnn.datasets import DatasetSpec
from lmrnn.files.removal import TRASH

STUDY_FILE = "study.json"
_CHECKPOINTS = "checkpoints"
# folders of results/ that belong to all studies, so that no study can have such a name
SHARED = ("datasets", "cells", _CHECKPOINTS, "ends", "logs", "benchmarks", TRASH)


@dataclass(frozen=True)
class Study:
    """Files of one study, in `folder`; its logs and benchmarks lie in the folders that all studies share."""

    folder: Path

    @property
    def file(self) -> Path:
        """What was asked for: the complete configuration and the cells (`lmrnn.study.record`)."""
        return self.folder / STUDY_FILE

    def part(self, name: str) -> Path:
        """One part of what was asked for, whose time says when it last changed."""
        return self.folder / "inputs" / f"{name}.json"

    @property
    def trained(self) -> Path:
        """Size and time of every cell's file: it stands for all of them."""
        return self.folder / "inputs" / "trained.tsv"

    @property
    def lock(self) -> Path:
        """Shared by the processes that run the study."""
        return self.folder / "inputs" / "running.lock"

    @property
    def cells(self) -> Path:
        """The table of the cells."""
        return self.folder / "cells.csv"

    def curve(self, table: str) -> Path:
        """A table of curves."""
        return self.folder / "curves" / f"{table}.csv"

    def analysis(self, table: str) -> Path:
        """A table of the look into the networks."""
        return self.folder / "analysis" / f"{table}.csv"

    def table(self, name: str) -> Path:
        """A table by its name in the list of figures, e.g. ``curves/training_speed``."""
        return self.folder / f"{name}.csv"

    def claims(self, ending: str) -> Path:
        """The claims as ``csv`` or ``html``."""
        return self.folder / f"claims.{ending}"

    def figure(self, name: str, ending: str) -> Path:
        """A figure as ``png`` or ``svg``."""
        return self.folder / "figures" / f"{name}.{ending}"

    def log(self, rule: str) -> Path:
        """Log of one of the study's own rules."""
        return self.folder.parent / "logs" / self.folder.name / f"{rule}.log"

    def logs(self) -> list[Path]:
        """The logs of its own rules that there are, sorted."""
        return sorted(self.log("*").parent.glob("*.log"))

    def benchmark(self, rule: str) -> Path:
        """Snakemake's measure of one of the study's own rules."""
        return self.folder.parent / "benchmarks" / self.folder.name / f"{rule}.tsv"


@dataclass(frozen=True)
class Layout:
    """Files below a folder of results; cells go by their stem, datasets by their spec or their name."""

    results: Path

    def __init__(self, results: Path | str) -> None:
        object.__setattr__(self, "results", Path(results))

    @classmethod
    def around(cls, checkpoint: Path | str) -> Layout:
        """The folder of results of a checkpoint, or the checkpoint's own folder where it lies in none."""
        path = Path(checkpoint)
        return cls(next((one.parent for one in path.parents if one.name == _CHECKPOINTS), path.parent))

    @property
    def cells(self) -> Path:
        """Folder of the results of all cells."""
        return self.results / "cells"

    def cell(self, stem: str) -> Path:
        """A cell's result."""
        return self.cells / f"{stem}.h5"

    def checkpoint(self, stem: str) -> Path:
        """A cell's saved state; apart from the results, because Snakemake removes outputs of failed jobs."""
        return self.results / _CHECKPOINTS / f"{stem}.h5"

    def end(self, stem: str) -> Path:
        """A cell's state at the end of its training, from which one of more steps goes on."""
        return self.results / "ends" / f"{stem}.h5"

    def lock(self, stem: str) -> Path:
        """Held by the process that is at work on a cell."""
        return self.results / _CHECKPOINTS / f"{stem}.lock"

    def cell_log(self, stem: str) -> Path:
        """What a cell's training says to people."""
        return self.results / "logs" / "cells" / f"{stem}.log"

    def cell_csv(self, stem: str) -> Path:
        """The evaluations of a cell's training, where they are written as a table."""
        return self.results / "logs" / "cells" / f"{stem}.csv"

    def cell_events(self, stem: str) -> Path:
        """Folder of the event files of a cell's training, where they are written."""
        return self.results / "logs" / "tensorboard" / stem

    def dataset(self, spec: DatasetSpec) -> Path:
        """A dataset, the same for equal specs."""
        return spec.path(self.results / "datasets")

    def dataset_name(self, spec: DatasetSpec) -> str:
        """A dataset's path below the folder of datasets, without its ending."""
        return str(self.dataset(spec).relative_to(self.results / "datasets").with_suffix(""))

    def dataset_named(self, name: str) -> Path:
        """A dataset by its name."""
        return self.results / "datasets" / f"{name}.h5"

    def dataset_log(self, name: str) -> Path:
        """Log of a dataset's generation."""
        return self.results / "logs" / "datasets" / f"{name}.log"

    def dataset_benchmark(self, name: str) -> Path:
        """Snakemake's measure of a dataset's generation."""
        return self.results / "benchmarks" / "datasets" / f"{name}.tsv"

    @property
    def trash(self) -> Path:
        """Where removed files go first."""
        return self.results / TRASH

    def study(self, name: str) -> Study:
        """Files of one study."""
        return Study(self.results / name)

    def study_files(self) -> list[Path]:
        """The study.json of every study that has one, sorted."""
        return sorted(self.results.glob(f"*/{STUDY_FILE}"))
