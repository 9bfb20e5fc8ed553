"""Look into the best network of each kind."""

from lmrnn.cli.exits import logged
from lmrnn.steps import analyse_networks
from lmrnn.study.record import read_study

with logged(snakemake.log[0]):
    study = read_study(snakemake.input.study)
    analyse_networks(study.cells, study.config, snakemake.input.table, [str(path) for path in snakemake.output])
