"""Put all cells of the study into one table."""

from lmrnn.cli.exits import logged
from lmrnn.steps import collect_cells
from lmrnn.study.record import read_study

with logged(snakemake.log[0]):
    study = read_study(snakemake.input.study)
    collect_cells(study.cells, study.config["results"], snakemake.output[0])
