# The workflow starts here so that `snakemake` runs from the top of a clone.
include: "workflow/Snakefile"


localrules:
    sweep,


# an included file sets no default target
rule sweep:
    default_target: True
    input:
        rules.all.input,
