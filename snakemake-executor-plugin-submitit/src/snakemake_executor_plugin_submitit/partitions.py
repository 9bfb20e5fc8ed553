"""The partition that fits a task best, from a file that says what each partition allows.

The file is that of Snakemake's stock executor for Slurm: `partitions:`, and below it for each name its limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from .resources import Request, gpus

_UNITS = {"d": 1440, "h": 60, "m": 1, "min": 1, "s": 1 / 60}
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?")


@dataclass
class Partition:
    """A partition and what it allows; what is not said is not limited, but for GPUs, of which there are none. Times are
    in minutes, or texts like 4h and 2-00:00:00.
    """

    name: str
    cluster: str | None = None
    max_runtime: float | str | None = None
    max_mem_mb: float | None = None
    max_mem_mb_per_cpu: float | None = None
    max_cpus_per_task: float | None = None
    max_threads: float | None = None
    max_nodes: float | None = None
    max_tasks: float | None = None
    max_tasks_per_node: float | None = None
    max_gpu: float = 0
    max_cpus_per_gpu: float | None = None
    max_mpi_tasks: float | None = None
    supports_mpi: bool = True
    available_gpu_models: list[str] | None = None
    available_constraints: list[str] | None = None

    def __post_init__(self) -> None:
        self.max_runtime = minutes(self.max_runtime) if self.max_runtime is not None else None

    def limits(self, asked: Request) -> list[tuple[str, float, float]]:
        """What is asked and limited: the limit's name, what is asked, what is allowed."""
        tasks = _number(asked.get("ntasks", 1))
        wanted = {
            "max_runtime": asked.get("time"),
            "max_mem_mb": asked.get("mem"),
            "max_mem_mb_per_cpu": asked.get("mem-per-cpu"),
            "max_cpus_per_task": asked.get("cpus-per-task"),
            "max_threads": asked.get("cpus-per-task"),
            "max_nodes": asked.get("nodes"),
            "max_tasks": tasks,
            "max_tasks_per_node": asked.get("ntasks-per-node"),
            "max_cpus_per_gpu": asked.get("cpus-per-gpu"),
            "max_mpi_tasks": tasks if asked.get("mpi") else None,
            "max_gpu": gpus(asked)[0] or None,
        }
        there = ((name, value, getattr(self, name)) for name, value in wanted.items() if value is not None)
        return [(name, _number(value), float(limit)) for name, value, limit in there if limit is not None]

    def lacks(self, asked: Request) -> str:
        """Why a task cannot run here, in a few words; empty if it can."""
        if (asked.get("clusters") or None) != self.cluster:
            return f"is of cluster {self.cluster}"
        over = [f"{name} is {limit:g}, not {value:g}" for name, value, limit in self.limits(asked) if value > limit]
        model = gpus(asked)[1]
        if model and self.available_gpu_models is not None and model not in self.available_gpu_models:
            over.append(f"it has no {model}")
        wanted = set(re.findall(r"[\w.-]+", asked.get("constraint", "")))
        if self.available_constraints is not None and wanted - set(self.available_constraints):
            over.append(f"it has no {', '.join(sorted(wanted - set(self.available_constraints)))}")
        if asked.get("mpi") and not self.supports_mpi:
            over.append("it takes no MPI")
        return ", ".join(over)


def minutes(value: float | str) -> float:
    """A time in minutes, from a number of them, a text like 4h or 90m, or Slurm's days-hours:minutes:seconds. Raises
    ValueError on another text.
    """
    text = str(value).strip().lower()
    if clock := _CLOCK.fullmatch(text):
        days, *rest = (int(part or 0) for part in clock.groups())
        return days * 1440 + rest[0] * 60 + rest[1] + rest[2] / 60
    parts = re.findall(r"([\d.]+)\s*([a-z]*)", text)
    if not parts or any(unit and unit not in _UNITS for _, unit in parts):
        raise ValueError(f"a time is written like 90, 4h, 2d or 1-12:00:00, not {value!r}")
    return sum(float(number) * _UNITS.get(unit, 1) for number, unit in parts)


def _number(value: Any) -> float:
    """A count as a number; of a range like 2-4 its upper end."""
    return float(str(value).rpartition("-")[2])


def read_partitions(path: Path) -> list[Partition]:
    """Partitions that a file describes. Raises ValueError, with the file and what is allowed, on anything else."""
    known = {field.name for field in fields(Partition)} - {"name"}
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))["partitions"]
        made = []
        for name, limits in described.items():
            if unknown := set(limits or {}) - known:
                raise ValueError(
                    f"{name}: no such limit: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
                )
            made.append(Partition(str(name), **(limits or {})))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a file of partitions (`partitions:`, names, limits): {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return made


def best(partitions: list[Partition], asked: Request) -> str:
    """Name of the partition whose limits a request comes closest to among those that allow it, so that large partitions
    stay free for large jobs. Raises ValueError with each partition's reason when none does.
    """
    reasons = {partition.name: partition.lacks(asked) for partition in partitions}
    fitting = [partition for partition in partitions if not reasons[partition.name]]
    if not fitting:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(f"no partition of the file allows this job ({told})")
    return max(fitting, key=lambda one: sum(value / limit for _, value, limit in one.limits(asked) if limit)).name
