# The workflow starts here so that `snakemake` runs from the top of a clone.
include: "workflow/Snakefile"
