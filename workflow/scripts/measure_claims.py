"""Measure the paper's claims on the study's cells."""

from lmrnn.cli.exits import logged
from lmrnn.steps import measure_claims
from lmrnn.study.record import read_study

with logged(snakemake.log[0]):
    study = read_study(snakemake.input.study)
    tables = snakemake.input.table, snakemake.input.rotation
    measure_claims(study.cells, study.config, *tables, snakemake.output.claims, snakemake.output.page)
