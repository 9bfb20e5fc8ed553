"""Compute the study's curves from its cells."""

from lmrnn.command import logged
from lmrnn.config import validate_config
from lmrnn.pipeline import compute_curves
from lmrnn.sweep import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    compute_curves(cells_of(study), study, snakemake.input.table, [str(path) for path in snakemake.output])
