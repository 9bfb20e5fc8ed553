"""Map where locality helps: by learning rate and threshold, and at equal synapses."""

from lmrnn.cli.exits import logged
from lmrnn.steps import map_locality

with logged(snakemake.log[0]):
    map_locality(snakemake.input[0], [str(path) for path in snakemake.output])
