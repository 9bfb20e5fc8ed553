# The study: its checked configuration, its cells, and the names of its files.
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lmrnn.config import validate_config
from lmrnn.errors import LmrnnError
from lmrnn.sweep import cells_of

try:
    STUDY = validate_config(config)
    CELLS = {cell.stem: cell for cell in cells_of(STUDY)}
except LmrnnError as error:
    raise WorkflowError(str(error))

RESULTS = STUDY["results"]
FOLDER = f"{RESULTS}/{STUDY['study']}"
SPLITS = ("train", "validation", "test")


def dataset_name(cell, split):
    """Path of one of a cell's datasets below the folder of datasets, without its ending."""
    path = cell.dataset(split).path(RESULTS)
    return str(path.relative_to(Path(RESULTS) / "datasets").with_suffix(""))


def datasets_of_study():
    """Every dataset that the study's cells need, by name."""
    return {dataset_name(cell, split): cell.dataset(split) for cell in CELLS.values() for split in SPLITS}


DATASETS = datasets_of_study()
CELL_FILES = [f"{RESULTS}/cells/{stem}.h5" for stem in CELLS]


wildcard_constraints:
    cell=r".+/seed\d+-[0-9a-f]{8}",
    dataset=r".+",
