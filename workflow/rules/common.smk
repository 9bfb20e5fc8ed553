# The study: its checked configuration, its cells, and the names of its files.
import json
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lmrnn.study.cells import canonical_json
from lmrnn.study.config import own_analyses, resolve_config
from lmrnn.datasets import SPLITS, dataset_bytes
from lmrnn.cli.exits import explained_as
from lmrnn.study.requirements import CUDA_MB, cell_memory_mb, check_folder, check_limits, memory_mb
from lmrnn.files.locks import take_part
from lmrnn.analysis import TABLES as ANALYSES
from lmrnn.curves.maps import MAPS
from lmrnn.curves.tables import TABLES
from lmrnn.figures.registry import chapters, figures_of
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.settled import remarks
from lmrnn.study.old_names import take_over
from lmrnn.training.fleet.devices import fleet_cpus, led

with explained_as(WorkflowError):
    # read anew: Snakemake takes keys that stand twice, 010 for 8 and several files for one
    STUDY = resolve_config(workflow.configfiles, workflow.config_settings.config_args, config)
    if workflow.is_main_process and config.get("results", STUDY["results"]) != STUDY["results"]:
        # jobs are told the folder that $SCRATCH or ~ stands for here: where they run, it may stand for another
        told = f"results={json.dumps(STUDY['results'])}"
        workflow.config_settings.config_args = [*(workflow.config_settings.config_args or ()), told]
    config |= {key: STUDY[key] for key in ("grid", "plugins")}  # what scripts are given: with absolute paths
    CELLS = {cell.stem: cell for cell in cells_of(STUDY)}
    check_folder(f"{STUDY['results']}/{STUDY['study']}", CELLS.values())
    if workflow.is_main_process:
        print(
            *(f"note: {line}" for line in remarks(STUDY)), sep="\n", end="\n" if remarks(STUDY) else "", file=sys.stderr
        )
        take_over(CELLS.values(), STUDY["results"], sys.stderr)

# The same command goes on after a kill -9 or a power cut, which leave Snakemake's locks behind.
if workflow.is_main_process:
    with explained_as(WorkflowError):
        DRIVER, cleared = take_part(".lmrnn/drivers.lock", ".snakemake/locks")
    if cleared:
        print("an earlier run was killed: its locks are cleared away", file=sys.stderr)

config.clear()
config.update(STUDY)  # for the scripts of the jobs
LAYOUT = Layout(STUDY["results"])
FILES = LAYOUT.study(STUDY["study"])


# Here, cells run side by side for as long as there are cores; memory limits them, too. --resources mem_mb=... overrides.
if workflow.is_main_process and workflow.local_exec and "mem_mb" not in workflow.global_resources:
    workflow.register_resource("mem_mb", int(memory_mb()))


def check_machine():
    """Say what this machine lacks before the first job runs, with the numbers."""
    at_once = max(1, (workflow.cores or 1) // STUDY["compute"]["threads"]) if workflow.local_exec else len(CELLS)
    with explained_as(WorkflowError):
        check_limits(CELLS.values(), STUDY, local=workflow.local_exec, at_once=at_once)


@cache
def dataset_name(spec):
    """Name of a dataset. Thousands of cells ask for the same few."""
    return LAYOUT.dataset_name(spec)


def datasets_of_study():
    """Every dataset that the study's cells need, by name."""
    specs = dict.fromkeys(cell.dataset(split) for cell in CELLS.values() for split in SPLITS)
    return {dataset_name(spec): spec for spec in specs}


OWN_ANALYSES = own_analyses(STUDY)
DATASETS = datasets_of_study()
CELL_FILES = [str(LAYOUT.cell(stem)) for stem in CELLS]
FIGURES = figures_of(list(CELLS.values()), STUDY["claims"])
CHAPTERS = chapters(FIGURES, STUDY["claims"])


def dataset_memory_mb(wildcards):
    """One task's trials are in memory at a time; the interpreter takes the rest."""
    spec = DATASETS[wildcards.dataset]
    return 400 + 4 * dataset_bytes(spec) // len(spec.tasks) // 1_000_000


def cell_data(wildcards):
    """The cell's datasets. ancient: their content is named by their path, so their age says nothing."""
    cell = CELLS[wildcards.cell]
    return {split: ancient(str(LAYOUT.dataset_named(dataset_name(cell.dataset(split))))) for split in SPLITS}


def memory_of_cell(wildcards):
    """Memory of one training: interpreter and torch, its datasets, its network; on a GPU, what CUDA takes of the host."""
    return cell_memory_mb(CELLS[wildcards.cell]) + (0 if STUDY["compute"]["device"] == "cpu" else CUDA_MB)


def cpus_of_fleet(wildcards):
    """CPUs for each GPU that trainings share where one of them leads a fleet; 0 where each has its own."""
    together = led(CELLS[wildcards.cell].spec, STUDY["compute"])
    return fleet_cpus(STUDY["compute"]["threads"]) if together else 0


wildcard_constraints:
    cell=r".+/seed\d+-[0-9a-f]{16}",
    dataset=r".+",
