"""The executor against Snakemake's stock one for Slurm, on the same Slurm and the same workflow, in turns.

Jobs of a second and jobs of 20 seconds: wall-clock, calls of sbatch, sacct and squeue, CPU seconds of the driver, files
left. Each is measured a job a task, where the stock executor submits by itself and with its arrays, and with eight jobs
in a task, which is `pack` here and a group there. Both look at the cluster after ten seconds. A job asks for four CPUs,
so that 16 at a time start Snakemake on the tests' cluster, whose 64 CPUs are pretended.
snakemake-executor-plugin-slurm is installed into a folder of its own under .lmrnn/ on the first run. Needs the tests'
Slurm (tests/slurm/start.sh); without one there are no rows. `make bench BENCH=dispatch` prints them too.

    python -m benchmarks.executors [JOBS OF A SECOND] [JOBS OF 20 SECONDS]
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STOCK = ROOT / ".lmrnn" / "bench-slurm"
PACKAGES = ("snakemake-executor-plugin-slurm==2.8.0", "snakemake-executor-plugin-slurm-jobstep==0.6.1")
COMMANDS = ("sbatch", "sacct", "squeue")
SECONDS, FILES = ("wall-clock", "CPU of the driver"), "files left"
WORKFLOW = """
rule all:
    input: expand("out/{i}.txt", i=range(int(config["jobs"])))
rule wait:
    output: "out/{i}.txt"
    threads: 4
    resources: mem_mb=300, runtime=30
    shell: "sleep {config[seconds]}; touch {output}"
"""
STOCK_EXECUTOR = ("--executor", "slurm", "--slurm-init-seconds-before-status-checks", "10")
GROUPS = ("--groups", "wait=g", "--group-components")
# Where an array's commands exceed 128 KiB, some 90 jobs here, version 2.8.0 writes a script that runs the first of them
# in the place of all.
ARRAYS = ("--slurm-array-jobs=all", "--slurm-array-limit=50")
PACK = "8"


def executors(packed: bool) -> dict[str, tuple[str, ...]]:
    """Words for Snakemake of each that is compared, ours first."""
    ours = ("--executor", "submitit", "--submitit-poll-interval", "10")
    if packed:
        return {"ours": (*ours, "--submitit-pack", PACK), "stock with groups": (*STOCK_EXECUTOR, *GROUPS, f"g={PACK}")}
    return {"ours": ours, "stock": STOCK_EXECUTOR, "stock with arrays": (*STOCK_EXECUTOR, *ARRAYS)}


def stock_packages() -> Path:
    """Folder with the stock executor; made when it is missing or unfinished."""
    if not (STOCK / "finished").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", str(STOCK)]
        subprocess.run([*command, *PACKAGES], check=True)
        (STOCK / "finished").touch()
    return STOCK


def run(executor: tuple[str, ...], jobs: int, seconds: int) -> dict[str, float]:
    """One run: wall and CPU seconds, calls of Slurm's commands, files left beside results and Snakemake's notes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(WORKFLOW)
        shims = folder / "shims"
        shims.mkdir()
        for command in COMMANDS:
            (shims / command).write_text(
                f'#!/bin/bash\necho x >> {shims}/{command}.calls\nexec {shutil.which(command)} "$@"\n'
            )
            (shims / command).chmod(0o755)
        environment = {**os.environ, "PATH": f"{shims}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = str(stock_packages())
        command = [sys.executable, "-m", "snakemake", *executor, "--jobs", "1000", "--latency-wait", "20"]
        command += ["--max-jobs-per-timespan", "100000/1s", "--config", f"jobs={jobs}", f"seconds={seconds}"]
        before, started = cpu_of_children(), time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        took = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"{' '.join(executor)} failed:\n{done.stderr[-3000:]}")
        calls = {
            one: len((shims / f"{one}.calls").read_text()) // 2 for one in COMMANDS if (shims / f"{one}.calls").exists()
        }
        kept = [
            path for path in folder.rglob("*") if path.is_file() and not set(path.parts) & {"out", "shims", "metadata"}
        ]
        return {**dict(zip(SECONDS, (took, cpu_of_children() - before), strict=True)), **calls, FILES: len(kept)}


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def slurm_is_up() -> bool:
    """Whether a Slurm answers."""
    return shutil.which("sbatch") is not None and subprocess.run(["sinfo"], capture_output=True).returncode == 0


def rows(quick: bool = False, short: int = 300, long: int = 30) -> Iterator[dict]:
    """Measure, row by row; nothing where there is no Slurm."""
    if not slurm_is_up():
        return
    short, long = (short // 10, long // 6) if quick else (short, long)
    for jobs, seconds, packed in ((short, 1, False), (short, 1, True), (long, 20, False)):
        (_, ours_with), *others = executors(packed).items()
        ours = run(ours_with, jobs, seconds)
        for name, theirs_with in others:
            theirs = run(theirs_with, jobs, seconds)
            for what in (*SECONDS, *COMMANDS, FILES):
                question = f"{jobs} jobs of {seconds} s, {PACK if packed else 1} in a task: {what}, against {name}"
                values = {"ours": ours.get(what, 0), "theirs": theirs.get(what, 0)}
                yield {"question": question, **values, "unit": "s" if what in SECONDS else ""}


def main() -> int:
    """Print the rows."""
    for row in rows(False, *map(int, sys.argv[1:])):
        print(f"{row['question']}: {row['ours']:.1f} against {row['theirs']:.1f} {row['unit']}".strip(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
