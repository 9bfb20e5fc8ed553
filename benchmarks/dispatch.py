"""What does the dispatch cost: planning, submitting, polling, and starting a cell in a task?

Planning is a dry run of the real workflow on studies of 1,000 and 10,000 cells. The rest needs the tests' Slurm
(tests/slurm/start.sh) and is left out, with a word, where there is none: 1,000 stand-in cells are submitted and held,
the held tasks are asked for, and 64 cells run in packs of 8, whose CPU seconds Slurm's accounting counts (the driver's
share is added; the stand-in's own start of Python is counted in). `make bench BENCH=dispatch` then puts the
executor beside Snakemake's stock one (benchmarks/executors.py).

    python -m benchmarks.dispatch
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml
from snakemake_executor_plugin_submitit.commands import cancel, seconds, states
from snakemake_executor_plugin_submitit.events import Event, read_events, write_event
from snakemake_executor_plugin_submitit.ledger import DEFAULT_FOLDER, Ledger
from snakemake_executor_plugin_submitit.outcome import Judge

from benchmarks import executors
from benchmarks.executors import cpu_of_children, slurm_is_up

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = ROOT / "snakemake-executor-plugin-submitit" / "tests" / "workflow" / "Snakefile"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PACK = 8


def row(question: str, ours: float, goal: float, unit: str) -> dict:
    """One result; the goal is an upper bound."""
    return {"question": question, "ours": ours, "goal": goal, "unit": unit, "better": "lower"}


def snakemake(folder: Path, *arguments: str) -> list[str]:
    """Command line of a run of the stand-in sweep in a folder."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(STAND_IN), "--configfile", "config.yaml"),
        *("--executor", "submitit", "--jobs", "10000", "--max-jobs-per-timespan", "100000/1s"),
        *("--scheduler", "greedy", "--submitit-poll-interval", "1"),
        *arguments,
    ]


def write_cells(folder: Path, count: int, **resources: object) -> None:
    """Configuration of a stand-in sweep."""
    cells = {f"c{index}": {"steps": 1, "seconds": 0} for index in range(count)}
    (folder / "config.yaml").write_text(yaml.safe_dump({"cells": cells, "resources": resources}))


def dry_run_seconds(cells: int, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a dry run of the real workflow."""
    study = {
        "study": "many",
        "grid": {
            "connectivity": ["autapse", {"kind": "local", "radius": [2, 3, 5]}, "full"],
            "tasks": [20],
            "trials_per_task": [32, 128],
            "seed": list(range(cells // 10)),
        },
        "data_seed": "shared",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1"]
    command += ["--configfile", str(folder / "study.yaml"), "--directory", str(folder)]
    start, before = time.perf_counter(), cpu_of_children()
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
    return time.perf_counter() - start, cpu_of_children() - before


def planning_rows() -> list[dict]:
    """Dry runs."""
    made = []
    for cells, goal in ((1_000, 5), (10_000, 30)):
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = dry_run_seconds(cells, Path(folder))
        made.append(row(f"dry run of {cells:,} cells of the real workflow ({cpu:.1f} s of CPU)", wall, goal, "s"))
    return made


def submission_rows(cells: int = 1_000) -> list[dict]:
    """Submit cells that are held, ask for them, cancel them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cells(folder, cells)
        driver = subprocess.Popen(
            snakemake(folder, "--submitit-extra=--hold"),
            cwd=folder,
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        ready = None
        try:
            for line in driver.stdout:
                if line.startswith("Execute"):
                    ready = time.perf_counter()
                if line.startswith("submitit: ") and "jobs in" in line:
                    break
            submitted = time.perf_counter() - ready
        finally:
            # The held tasks stay for the polls below; the driver is of no more use.
            driver.kill()
            driver.communicate()
        base = folder / DEFAULT_FOLDER
        submissions = Ledger(base).replay()[1]
        tasks = [task for tasks in submissions.values() for task in tasks]
        try:
            poll = poll_seconds(base, tasks)
        finally:
            cancel({task.job_id.split("_")[0] for task in tasks})
        largest = max(Counter(path.parent for path in base.rglob("*")).values())
    return [
        row(f"from {cells:,} ready cells to {cells:,} tasks in Slurm's queue", submitted, 5, "s"),
        row(f"a poll of {cells:,} tasks, each with a report to read", poll, 1, "s"),
        row("sbatch calls for them", len(submissions), 1, ""),
        row("entries in the fullest folder", largest, 1_000, ""),
    ]


def poll_seconds(base: Path, tasks: list) -> float:
    """Wall seconds of one round: Slurm's answer, every task's report, every cell's outcome."""
    for task in tasks:
        write_event(task.path(base), task.keys[0], Event("started"))
    judge = Judge(60, 60)
    start = time.perf_counter()
    known = states({task.job_id for task in tasks})
    for task in tasks:
        key = task.keys[0]
        judge.judge(task.path(base), key, known[task.job_id], read_events(task.path(base))[key], settled=False)
    return time.perf_counter() - start


def cpu_rows(cells: int = 64) -> list[dict]:
    """CPU seconds and files of cells that run in packs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pack = min(PACK, cpus_of_a_node())
        write_cells(folder, cells, pack=pack)
        before = cpu_of_children()
        with (folder / "driver.log").open("w+") as log:
            done = subprocess.run(snakemake(folder), cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log)
            log.seek(0)
            if done.returncode:
                raise RuntimeError(f"the sweep to be measured failed:\n{log.read()[-5000:]}")
        driver = cpu_of_children() - before
        base = folder / DEFAULT_FOLDER
        arrays = {task.job_id.split("_")[0] for tasks in Ledger(base).replay()[1].values() for task in tasks}
        time.sleep(2)  # the accounting of the last steps is written after their end
        in_tasks = total_cpu(arrays)
        left = sum(path.is_file() for path in base.rglob("*")) - 1  # the ledger is one file for all
        snakemakes = sum(1 for _ in (folder / ".snakemake" / "metadata").iterdir())
        outputs = sum(path.is_file() for place in ("out", "logs") for path in (folder / place).iterdir())
    return [
        row(f"CPU seconds of the dispatch per cell, {pack} in a task", (driver + in_tasks) / cells, 1, "s"),
        row("files per finished cell (result, log, Snakemake's note)", (left + snakemakes + outputs) / cells, 5, ""),
    ]


def cpus_of_a_node() -> int:
    """CPUs of the largest node: a pack takes one for each of its cells."""
    nodes = subprocess.run(["sinfo", "--noheader", "--format=%c"], capture_output=True, text=True, check=True).stdout
    return max(int(cpus.rstrip("+")) for cpus in nodes.split())


def total_cpu(arrays: set[str]) -> float:
    """CPU seconds of all steps of some arrays, from Slurm's accounting."""
    command = ["sacct", "--noheader", "--parsable2", "--format=JobID,TotalCPU", "--jobs", ",".join(arrays)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (line.split("|") for line in answer.splitlines())
    return sum(seconds(cpu) for job, cpu in lines if "." in job)  # the steps; the line of the whole job adds them up


def own_rows() -> list[dict]:
    """What the project's dispatch costs; rows that need a Slurm are missing where there is none."""
    return [*planning_rows(), *(submission_rows() + cpu_rows() if slurm_is_up() else [])]


def rows(quick: bool = False) -> Iterator[dict]:
    """Measure the dispatch by itself, and beside Snakemake's stock executor."""
    yield from own_rows()
    yield from executors.rows(quick)


def main() -> int:
    """Print the rows; status 1 when a goal is missed."""
    measured = own_rows()
    for one in measured:
        print(f"{one['question']}: {one['ours']:.2f} {one['unit']} (goal: at most {one['goal']} {one['unit']})".strip())
    if not slurm_is_up():
        print("submission, polling and starts were not measured: no Slurm answers (tests/slurm/start.sh starts one)")
    return 0 if all(one["ours"] <= one["goal"] for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
