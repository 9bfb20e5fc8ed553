"""Draw one of the study's figures."""

from lmrnn.cli.exits import logged
from lmrnn.steps import draw_figure

with logged(snakemake.log[0]):
    draw_figure(snakemake.params.figure, snakemake.input.tables, snakemake.output.png, snakemake.params.palette)
