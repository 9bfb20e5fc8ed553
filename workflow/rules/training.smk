# One job per cell of the sweep. Its seconds and memory stand in its result, so that it has no benchmark of its own.


rule train_cell:
    # update: a finished file is recognised and kept when a run was killed before it could note the end
    input:
        unpack(cell_data),
    output:
        update(str(LAYOUT.cell("{cell}"))),
    log:
        str(LAYOUT.cell_log("{cell}")),
    conda:
        "../envs/lmrnn.yaml"
    threads: STUDY["compute"]["threads"]
    resources:
        mem_mb=memory_of_cell,
        runtime=STUDY["compute"]["runtime_minutes"],
        pack_cpus_per_gpu=cpus_of_fleet,
        resumable=1,  # it saves its state when told to make room, and goes on from there
    params:
        spec=lambda wildcards: canonical_json(CELLS[wildcards.cell].spec),
    script:
        "../scripts/train_cell.py"
