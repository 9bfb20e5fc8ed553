# Trials into HDF5, one file per data seed and size for training, one each for validation and test.


rule generate_dataset:
    # update: a finished file is recognised and kept when a run was killed before it could note the end
    output:
        update(str(LAYOUT.dataset_named("{dataset}"))),
    log:
        str(LAYOUT.dataset_log("{dataset}")),
    benchmark:
        str(LAYOUT.dataset_benchmark("{dataset}"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=dataset_memory_mb,
        runtime=30,
    params:
        spec=lambda wildcards: DATASETS[wildcards.dataset].to_json(),
    script:
        "../scripts/generate_dataset.py"
