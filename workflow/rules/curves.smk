# From the cells to one table, from the table to curves, from the curves to figures.


rule collect_cells:
    input:
        CELL_FILES,
    output:
        report(f"{FOLDER}/cells.csv", caption="../report/cells.rst", category="5 Cells and provenance"),
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


# Chapters of the report, which lists them by name: numbers give the order in which they are to be read.
CHAPTERS = {"rate_threshold_map": "3 Heat maps", "task_accuracy": "3 Heat maps"} | {
    figure: "4 Networks" for figure in ANALYSIS_FIGURES
}

# One rule for each figure, because a caption belongs to a rule.
for figure, tables in FIGURES.items():

    rule:
        name:
            f"draw_{figure}"
        input:
            [f"{FOLDER}/{table}.csv" for table in tables],
        output:
            png=report(
                f"{FOLDER}/figures/{figure}.png",
                caption=f"../report/{figure}.rst",
                category=CHAPTERS.get(figure, "2 Curves"),
            ),
            svg=f"{FOLDER}/figures/{figure}.svg",
        log:
            f"{RESULTS}/logs/{STUDY['study']}/draw_{figure}.log",
        benchmark:
            f"{RESULTS}/benchmarks/{STUDY['study']}/draw_{figure}.tsv"
        conda:
            "../envs/lmrnn.yaml"
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            figure=figure,
            palette=STUDY["curves"]["palette"],
        script:
            "../scripts/draw_figure.py"
