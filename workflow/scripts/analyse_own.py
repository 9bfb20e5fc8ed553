"""Look into every cell as a file of the study's own does."""

from lmrnn.cli.exits import logged
from lmrnn.steps import analyse_own
from lmrnn.study.config import own_analyses
from lmrnn.study.record import read_study

with logged(snakemake.log[0]):
    study = read_study(snakemake.input.study)
    own = own_analyses(study.config)[snakemake.params.analysis]
    analyse_own(own, snakemake.input.table, snakemake.output[0])
