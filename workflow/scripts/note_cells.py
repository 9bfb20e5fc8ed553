"""Write what stands for all cells of the study."""

from lmrnn.cli.exits import logged
from lmrnn.steps import note_cells

with logged(snakemake.log[0]):
    note_cells(snakemake.input.cells, snakemake.output[0])
