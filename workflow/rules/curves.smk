# From the cells to one table, from the table to curves, from the curves to figures.


rule collect_cells:
    input:
        CELL_FILES,
    output:
        report(f"{FOLDER}/cells.csv", caption="../report/cells.rst", category=CHAPTERS["Cells and provenance"]),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/collect_cells.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/collect_cells.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        cells=list(CELLS),
    script:
        "../scripts/collect_cells.py"


rule compute_curves:
    input:
        table=f"{FOLDER}/cells.csv",
        cells=CELL_FILES,
    output:
        expand(f"{FOLDER}/curves/{{table}}.csv", table=TABLES),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/compute_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/compute_curves.tsv"
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        cells=list(CELLS),
        thresholds=STUDY["curves"]["thresholds"],
        bootstrap=STUDY["curves"]["bootstrap"],
    script:
        "../scripts/compute_curves.py"


# One rule for each figure, because a caption belongs to a rule.
for figure in FIGURES.values():

    rule:
        name:
            f"draw_{figure.name}"
        input:
            [f"{FOLDER}/{table}.csv" for table in figure.tables],
        output:
            png=report(
                f"{FOLDER}/figures/{figure.name}.png",
                caption="../report/figure.rst",
                category=CHAPTERS[figure.chapter],
            ),
            svg=f"{FOLDER}/figures/{figure.name}.svg",
        log:
            f"{RESULTS}/logs/{STUDY['study']}/draw_{figure.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/{STUDY['study']}/draw_{figure.name}.tsv"
        conda:
            "../envs/lmrnn.yaml"
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            figure=figure.name,
            caption=figure.caption,
            palette=STUDY["curves"]["palette"],
        script:
            "../scripts/draw_figure.py"
