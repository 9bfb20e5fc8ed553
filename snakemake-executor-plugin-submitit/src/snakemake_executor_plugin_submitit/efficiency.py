"""What tasks used of what they asked for, from Slurm's accounting: a table for whoever writes the next request."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from .commands import at, run, seconds, tasks_of
from .ledger import Task

COLUMNS = (
    *("task", "rules", "jobs", "state", "seconds", "cpus", "cpu_seconds", "cpu_share"),
    *("mem_mb", "used_mb", "mem_share"),
)
_SIZES = {"": 1 / 1024**2, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def write_reports(path: Path, ran: Mapping[str, tuple[Task, str]]) -> int:
    """Write a table for each of Slurm's clusters in which tasks ran (by Slurm's name: the task and its rules), and
    return how many tasks are in them. A cluster other than the default one puts its name into the file's.
    """
    count = 0
    for site in {task.site for task, _ in ran.values()}:
        tasks = {name: (rules, len(task.keys)) for name, (task, rules) in ran.items() if task.site == site}
        count += write_report(path.with_stem(f"{path.stem}-{site}") if site else path, tasks, site)
    return count


def write_report(path: Path, tasks: Mapping[str, tuple[str, int]], site: str = "") -> int:
    """Write a row for each task (by Slurm's name: its rules, and how many jobs it ran) that accounting knows, and
    return how many there are. Shares are of what was allocated; memory is the largest of any process of the task.
    """
    arrays = sorted({name.split("_")[0] for name in tasks})
    form = "JobID,State,ElapsedRaw,AllocCPUS,TotalCPU,MaxRSS,ReqMem"
    answer = run("sacct", *at(site), "--noheader", "--parsable2", f"--format={form}", f"--jobs={','.join(arrays)}")
    rows: dict[str, list[str]] = {}
    used: dict[str, float] = {}
    for line in answer.stdout.splitlines():
        name, *values = line.split("|")
        task = name.split(".")[0]
        if "." in name:
            used[task] = max(used.get(task, 0.0), megabytes(values[4]))
        elif tasks_of(name) == [name] and name in tasks:
            rows[name] = values
    with open(path, "w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(COLUMNS)
        for name, (state, elapsed, cpus, cpu, _, asked) in rows.items():
            had, memory, peak = float(elapsed or 0) * float(cpus or 0), megabytes(asked), used.get(name, 0.0)
            if re.search(r"\d[KMGT]?c$", asked):  # for each CPU, in earlier versions of Slurm
                memory *= float(cpus or 1)
            shares = (round(seconds(cpu) / had, 3) if had else "", round(peak / memory, 3) if memory else "")
            told = (name, *tasks[name], state.split()[0], elapsed, cpus, seconds(cpu), shares[0])
            table.writerow((*told, round(memory), round(peak), shares[1]))
    return len(rows)


def megabytes(text: str) -> float:
    """Megabytes (of 2**20 bytes) of Slurm's sizes: ``1024K``, ``2.5G``, ``4000Mn``; 0 of anything else."""
    found = re.match(r"([\d.]+)([KMGT]?)", text)
    return float(found[1]) * _SIZES[found[2]] if found else 0.0
