"""Look into the best network of each kind."""

from lmrnn.cli.exits import logged
from lmrnn.steps import analyse_networks
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    analyse_networks(cells_of(study), study, snakemake.input.table, [str(path) for path in snakemake.output])
