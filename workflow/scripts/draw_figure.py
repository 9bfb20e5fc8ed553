"""Draw one of the study's figures."""

from lmrnn.command import logged
from lmrnn.pipeline import draw_figure

with logged(snakemake.log[0]):
    draw_figure(snakemake.params.figure, snakemake.input, snakemake.output.png, snakemake.params.palette)
