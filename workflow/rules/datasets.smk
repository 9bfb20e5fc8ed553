# Trials into HDF5, one file per data seed and size for training, one each for validation and test.
from lmrnn.datasets import dataset_bytes


def dataset_memory_mb(wildcards):
    """One task's trials are in memory at a time; the interpreter takes the rest."""
    spec = DATASETS[wildcards.dataset]
    return 400 + 4 * dataset_bytes(spec) // len(spec.tasks) // 1_000_000


rule generate_dataset:
    # update: a finished file is recognised and kept when a run was killed before it could note the end
    output:
        update(f"{RESULTS}/datasets/{{dataset}}.h5"),
    log:
        f"{RESULTS}/logs/datasets/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/datasets/{{dataset}}.tsv"
    params:
        spec=lambda wildcards: DATASETS[wildcards.dataset].to_json(),
    resources:
        mem_mb=dataset_memory_mb,
        runtime=30,
    script:
        "../scripts/generate_dataset.py"
