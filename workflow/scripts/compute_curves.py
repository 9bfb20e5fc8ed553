"""Compute the study's curves from its cells."""

from lmrnn.cli.exits import logged
from lmrnn.steps import compute_curves
from lmrnn.study.record import read_study

with logged(snakemake.log[0]):
    study = read_study(snakemake.input.study)
    compute_curves(study.cells, study.config, snakemake.input.table, [str(path) for path in snakemake.output])
