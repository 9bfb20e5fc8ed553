"""Compute the study's curves from its cells."""

from lmrnn.cli.exits import logged
from lmrnn.steps import compute_curves
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    compute_curves(cells_of(study), study, snakemake.input.table, [str(path) for path in snakemake.output])
