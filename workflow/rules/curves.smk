# From the cells to one table, from the table to curves, from the curves to figures. Every rule has study.json as an
# input, which it reads, and of its parts those that make what it has made stale (lmrnn/study/record.py).


# One small file stands for all cells: what gathers them, maybe on a cluster, has one input instead of thousands.
rule note_cells:
    input:
        asked=asked("cells"),
        cells=CELL_FILES,
    output:
        str(FILES.trained),
    log:
        str(FILES.log("note_cells")),
    conda:
        "../envs/lmrnn.yaml"
    script:
        "../scripts/note_cells.py"


rule collect_cells:
    input:
        study=asked("study"),
        cells=str(FILES.trained),
    output:
        report(str(FILES.cells), caption="../report/cells.rst", category=CHAPTERS["Cells and provenance"]),
    log:
        str(FILES.log("collect_cells")),
    benchmark:
        str(FILES.benchmark("collect_cells"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    script:
        "../scripts/collect_cells.py"


rule compute_curves:
    input:
        study=asked("study"),
        asked=asked("curves"),
        table=str(FILES.cells),
    output:
        [str(FILES.curve(table)) for table in TABLES],
    log:
        str(FILES.log("compute_curves")),
    benchmark:
        str(FILES.benchmark("compute_curves"))
    conda:
        "../envs/lmrnn.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/compute_curves.py"


# One rule for each figure, because a caption belongs to a rule.
for figure in FIGURES.values():

    rule:
        name:
            f"draw_{figure.name}"
        input:
            study=asked("study"),
            asked=asked("drawing"),
            tables=[str(FILES.table(table)) for table in figure.tables],
        output:
            png=report(
                str(FILES.figure(figure.name, "png")),
                caption="../report/figure.rst",
                category=CHAPTERS[figure.chapter],
            ),
            svg=str(FILES.figure(figure.name, "svg")),
        log:
            str(FILES.log(f"draw_{figure.name}")),
        benchmark:
            str(FILES.benchmark(f"draw_{figure.name}"))
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
