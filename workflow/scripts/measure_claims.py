"""Measure the paper's claims on the study's cells."""

from lmrnn.cli.exits import logged
from lmrnn.steps import measure_claims
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    tables = snakemake.input.table, snakemake.input.rotation
    measure_claims(cells_of(study), study, *tables, snakemake.output.claims, snakemake.output.page)
