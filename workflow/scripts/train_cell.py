"""Train one cell of the sweep."""

import json

from lmrnn.command import logged
from lmrnn.config import validate_config
from lmrnn.pipeline import run_cell
from lmrnn.sweep import Cell

with logged(snakemake.log[0]) as log:
    study = validate_config(snakemake.config)
    run_cell(Cell(json.loads(snakemake.params.spec)), study["results"], study["compute"], log)
