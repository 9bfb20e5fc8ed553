"""Put all cells of the study into one table."""

from lmrnn.cli.exits import logged
from lmrnn.steps import collect_cells
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    collect_cells(cells_of(study), study["results"], snakemake.output[0])
