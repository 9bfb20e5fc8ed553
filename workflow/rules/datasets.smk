# Trials into HDF5, one file per data seed and size for training, one each for validation and test.


rule generate_dataset:
    # update: a finished file is recognised and kept when a run was killed before it could note the end
    output:
        update(f"{RESULTS}/datasets/{{dataset}}.h5"),
    log:
        f"{RESULTS}/logs/datasets/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/datasets/{{dataset}}.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=dataset_memory_mb,
        runtime=30,
    params:
        spec=lambda wildcards: DATASETS[wildcards.dataset].to_json(),
    script:
        "../scripts/generate_dataset.py"
