# The paper's claims, the map of where locality helps, and a look into the trained networks.
rule analyse_networks:
    input:
        table=f"{FOLDER}/cells.csv",
        cells=CELL_FILES,
    output:
        expand(f"{FOLDER}/analysis/{{table}}.csv", table=ANALYSES),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/analyse_networks.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/analyse_networks.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        cells=list(CELLS),
    script:
        "../scripts/analyse_networks.py"


rule measure_claims:
    input:
        table=f"{FOLDER}/cells.csv",
        rotation=f"{FOLDER}/analysis/rotation.csv",
        cells=CELL_FILES,
    output:
        claims=f"{FOLDER}/claims.csv",
        page=report(f"{FOLDER}/claims.html", caption="../report/claims.rst", category=CHAPTERS.get("Claims")),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/measure_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/measure_claims.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        cells=list(CELLS),
        thresholds=STUDY["curves"]["thresholds"],
    script:
        "../scripts/measure_claims.py"


rule map_locality:
    input:
        f"{FOLDER}/curves/threshold_times.csv",
    output:
        expand(f"{FOLDER}/curves/{{table}}.csv", table=MAPS),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/map_locality.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/map_locality.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/map_locality.py"
