"""Train one cell of the sweep."""

import json

from lmrnn.cli.exits import logged
from lmrnn.study.config import validate_config
from lmrnn.study.grid import Cell
from lmrnn.training.run import run_cell

with logged(snakemake.log[0]) as log:
    study = validate_config(snakemake.config)
    compute = {**study["compute"], "threads": snakemake.threads}  # fewer than asked for where there are fewer cores
    run_cell(Cell(json.loads(snakemake.params.spec)), study["results"], compute, log)
