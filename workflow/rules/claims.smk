# The paper's claims, the map of where locality helps, and a look into the trained networks.
rule analyse_networks:
    input:
        study=asked("study"),
        table=str(FILES.cells),
    output:
        [str(FILES.analysis(table)) for table in ANALYSES],
    log:
        str(FILES.log("analyse_networks")),
    benchmark:
        str(FILES.benchmark("analyse_networks"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    script:
        "../scripts/analyse_networks.py"


# What the study's plugins look for, in every cell: one rule each, made anew when its own file changes.
for analysis in OWN_ANALYSES:

    rule:
        name:
            f"own_analysis_{analysis}"
        input:
            study=asked("study"),
            asked=asked(f"{ANALYSIS}{analysis}"),
            table=str(FILES.cells),
        output:
            str(FILES.analysis(analysis)),
        log:
            str(FILES.log(f"own_analysis_{analysis}")),
        benchmark:
            str(FILES.benchmark(f"own_analysis_{analysis}"))
        conda:
            "../envs/lmrnn.yaml"
        resources:
            mem_mb=4000,
            runtime=STUDY["compute"]["runtime_minutes"],
        params:
            analysis=analysis,
        script:
            "../scripts/analyse_own.py"


rule measure_claims:
    input:
        study=asked("study"),
        asked=asked("curves"),
        table=str(FILES.cells),
        rotation=str(FILES.analysis("rotation")),
    output:
        claims=str(FILES.claims("csv")),
        page=report(str(FILES.claims("html")), caption="../report/claims.rst", category=CHAPTERS.get("Claims")),
    log:
        str(FILES.log("measure_claims")),
    benchmark:
        str(FILES.benchmark("measure_claims"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/measure_claims.py"


rule map_locality:
    input:
        str(FILES.curve("threshold_times")),
    output:
        [str(FILES.curve(table)) for table in MAPS],
    log:
        str(FILES.log("map_locality")),
    benchmark:
        str(FILES.benchmark("map_locality"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/map_locality.py"
