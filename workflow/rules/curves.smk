# From the cells to one table, from the table to curves, from the curves to figures.
TABLES = (
    "training_speed",
    "threshold_times",
    "steps_to_threshold",
    "data_efficiency",
    "trials_to_threshold",
    "task_accuracy",
)
# figure: the table it shows
FIGURES = {
    "training_speed": "training_speed",
    "steps_to_threshold": "steps_to_threshold",
    "data_efficiency": "data_efficiency",
    "trials_to_threshold": "trials_to_threshold",
    "task_accuracy": "task_accuracy",
}


rule collect_cells:
    input:
        CELL_FILES,
    output:
        report(f"{FOLDER}/cells.csv", caption="../report/cells.rst", category="Cells"),
    log:
        f"{RESULTS}/logs/{STUDY['study']}/collect_cells.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/collect_cells.tsv"
    params:
        cells=list(CELLS),
    resources:
        mem_mb=1000,
        runtime=30,
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
    params:
        cells=list(CELLS),
        thresholds=STUDY["curves"]["thresholds"],
        bootstrap=STUDY["curves"]["bootstrap"],
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/compute_curves.py"


rule draw_figure:
    input:
        table=lambda wildcards: f"{FOLDER}/curves/{FIGURES[wildcards.figure]}.csv",
    output:
        png=report(
            f"{FOLDER}/figures/{{figure}}.png",
            caption="../report/{figure}.rst",
            category="Curves",
            labels={"figure": "{figure}"},
        ),
        svg=f"{FOLDER}/figures/{{figure}}.svg",
    log:
        f"{RESULTS}/logs/{STUDY['study']}/draw_{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{STUDY['study']}/draw_{{figure}}.tsv"
    params:
        palette=STUDY["curves"]["palette"],
    wildcard_constraints:
        figure="|".join(FIGURES),
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/draw_figure.py"


def study_outputs():
    """What the study leaves for its reader."""
    return [
        f"{FOLDER}/cells.csv",
        *expand(f"{FOLDER}/curves/{{table}}.csv", table=TABLES),
        *expand(f"{FOLDER}/figures/{{figure}}.{{ending}}", figure=FIGURES, ending=("png", "svg")),
    ]
