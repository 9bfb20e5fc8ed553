# One job per cell of the sweep.
from lmrnn.cells import canonical_json
from lmrnn.limits import cell_memory_mb


def cell_data(wildcards):
    """The cell's datasets. ancient: their content is named by their path, so their age says nothing."""
    cell = CELLS[wildcards.cell]
    return {split: ancient(f"{RESULTS}/datasets/{dataset_name(cell, split)}.h5") for split in SPLITS}


def memory_of_cell(wildcards):
    """Memory of one training: interpreter and torch, its datasets, its network."""
    return cell_memory_mb(CELLS[wildcards.cell])


rule train_cell:
    # update: a finished file is recognised and kept when a run was killed before it could note the end
    input:
        unpack(cell_data),
    output:
        update(f"{RESULTS}/cells/{{cell}}.h5"),
    log:
        f"{RESULTS}/logs/cells/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/cells/{{cell}}.tsv"
    params:
        spec=lambda wildcards: canonical_json(CELLS[wildcards.cell].spec),
    threads: STUDY["compute"]["threads"]
    resources:
        mem_mb=memory_of_cell,
        runtime=STUDY["compute"]["runtime_minutes"],
    script:
        "../scripts/train_cell.py"
