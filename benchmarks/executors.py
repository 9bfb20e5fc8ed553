"""The executor against Snakemake's stock one for Slurm, on the same Slurm and the same workflow, in turns.

Jobs of a second and jobs of 20 seconds: wall-clock, calls of sbatch, sacct and squeue, CPU seconds of the driver, files
left. snakemake-executor-plugin-slurm is installed into a folder of its own under .lmrnn/ on the first run. Needs the
tests' Slurm (tests/slurm/start.sh); without one there are no rows.

    python -m benchmarks.executors [JOBS OF A SECOND] [JOBS OF 20 SECONDS]
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STOCK = ROOT / ".lmrnn" / "bench-slurm"
PACKAGES = ("snakemake-executor-plugin-slurm==2.8.0", "snakemake-executor-plugin-slurm-jobstep==0.6.1")
COMMANDS = ("sbatch", "sacct", "squeue")
WORKFLOW = """
rule all:
    input: expand("out/{i}.txt", i=range(int(config["jobs"])))
rule wait:
    output: "out/{i}.txt"
    resources: mem_mb=300, runtime=5
    shell: "sleep {config[seconds]}; touch {output}"
"""
OURS = ("--executor", "submitit", "--submitit-pack")
THEIRS = {
    "the stock executor": ("--executor", "slurm"),
    "the stock executor with arrays": ("--executor", "slurm", "--slurm-array-jobs=all"),
}


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
        return {"wall-clock": took, "CPU of the driver": cpu_of_children() - before, **calls, "files left": len(kept)}


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rows(quick: bool = False, short: int = 300, long: int = 30) -> list[dict]:
    """Measure; empty where there is no Slurm."""
    if shutil.which("sbatch") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        return []
    short, long = (short // 10, long // 6) if quick else (short, long)
    made = []
    for jobs, seconds, pack in ((short, 1, 1), (short, 1, 8), (long, 20, 1)):
        ours = run((*OURS, str(pack)), jobs, seconds)
        for name, executor in THEIRS.items():
            theirs = run(executor, jobs, seconds)
            for what in ours.keys() | theirs.keys():
                question = f"{jobs} jobs of {seconds} s, {pack} in a task: {what}, against {name}"
                unit = "s" if what in ("wall-clock", "CPU of the driver") else ""
                made.append(
                    {"question": question, "ours": ours.get(what, 0), "theirs": theirs.get(what, 0), "unit": unit}
                )
    return sorted(made, key=lambda row: row["question"])


def main() -> int:
    """Print the rows."""
    for row in rows(False, *map(int, sys.argv[1:])):
        print(f"{row['question']}: {row['ours']:.1f} against {row['theirs']:.1f} {row['unit']}".strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
