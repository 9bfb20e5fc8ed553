"""Train one cell of the sweep."""

import json

from lmrnn.cli.exits import logged
from lmrnn.training.cell import train_cell

with logged(snakemake.log[0]) as log:
    study = snakemake.config  # complete and checked, as the rules have put it there
    compute = {**study["compute"], "threads": snakemake.threads}  # fewer than asked for where there are fewer cores
    train_cell(json.loads(snakemake.params.spec), study, compute, log)
