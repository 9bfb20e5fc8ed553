# What the study leaves, and the file that says what was asked for.
from lmrnn.study.record import ANALYSIS, note_study, parts_of
from lmrnn.study.upkeep import lacks_cells, take_up


def study_tables():
    """Every table that the study leaves for its reader, in the order in which they are made."""
    tables = [FILES.cells, *map(FILES.curve, TABLES)]
    if STUDY["claims"]:
        tables += [*map(FILES.analysis, ANALYSES), FILES.claims("csv"), *map(FILES.curve, MAPS)]
    tables += map(FILES.analysis, OWN_ANALYSES)
    return [str(table) for table in tables]


def study_outputs():
    """What the study leaves for its reader; the cells too, so that a deleted one is missed."""
    page = [str(FILES.claims("html"))] if STUDY["claims"] else []
    figures = [str(FILES.figure(figure, ending)) for figure in FIGURES for ending in ("png", "svg")]
    return [*CELL_FILES, *study_tables(), *page, *figures]


def study_files():
    """Every file of the study, in the order in which they are made."""
    datasets = [str(LAYOUT.dataset_named(name)) for name in DATASETS]
    parts = [str(FILES.part(part)) for part in parts_of(STUDY, list(CELLS.values()))]
    return [*datasets, *CELL_FILES, str(FILES.file), *parts, str(FILES.trained), *study_outputs()[len(CELL_FILES) :]]


@cache
def begin():
    """Where the study's file and its parts are, when the DAG is built; a run first puts the study's files in order."""
    cells = list(CELLS.values())
    if not workflow.is_main_process:
        return {"study": FILES.file, **{part: FILES.part(part) for part in parts_of(STUDY, cells)}}
    if workflow.execution_settings is None or workflow.dryrun:
        anew = ["cells"] if lacks_cells(FILES, STUDY, cells) else []
        return note_study(FILES, STUDY, cells, Path(workflow.snakemake_tmp_dir), anew)
    with explained_as(WorkflowError):
        return take_up(FILES, STUDY, cells, study_tables(), study_files())


def asked(part):
    """Input function: study.json, or the part of it whose change makes what a rule has made stale."""
    return lambda wildcards: ancient(str(begin()[part])) if part == "study" else str(begin()[part])
