"""Put all cells of the study into one table."""

from lmrnn.command import logged
from lmrnn.config import validate_config
from lmrnn.pipeline import collect_cells
from lmrnn.sweep import cells_of

with logged(snakemake.log[0]):
    study = validate_config(snakemake.config)
    collect_cells(cells_of(study), study["results"], snakemake.output[0])
