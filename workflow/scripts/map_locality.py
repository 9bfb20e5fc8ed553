"""Map where locality helps: by learning rate and threshold, and at equal synapses."""

from lmrnn.command import logged
from lmrnn.pipeline import map_locality

with logged(snakemake.log[0]):
    map_locality(snakemake.input[0], [str(path) for path in snakemake.output])
