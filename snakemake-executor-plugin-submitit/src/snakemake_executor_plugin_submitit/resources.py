"""From a rule's resources to what is asked of the cluster."""

from __future__ import annotations

import math
import re
import shlex
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import ExecutorSettings

# resource of a rule (several names for the same) -> option of sbatch, and the setting that stands in
_NAMED = (
    (("slurm_partition", "partition"), "partition", "partition"),
    (("slurm_account", "account"), "account", "account"),
    (("slurm_qos", "qos"), "qos", "qos"),
    (("constraint", "slurm_constraint"), "constraint", "constraint"),
    (("slurm_reservation", "reservation"), "reservation", "reservation"),
    (("slurm_nodelist", "nodelist"), "nodelist", None),
    (("slurm_exclude", "exclude"), "exclude", None),
    (("clusters", "cluster", "slurm_cluster"), "clusters", "clusters"),
    (("nodes",), "nodes", None),
    (("tasks", "ntasks"), "ntasks", None),
    (("tasks_per_node", "ntasks_per_node"), "ntasks-per-node", None),
    (("cpus_per_gpu",), "cpus-per-gpu", None),
)
# These say where a task's files lie and how it is found again: the executor could not follow its tasks without them.
_REFUSED = ("array", "comment", "output", "error", "parsable", "wait", "wrap", "test-only", "-a", "-o", "-e", "-W")
_GPUS = re.compile(r"[\w.-]+")
_GRES = re.compile(r"[\w./-]+(:[\w.-]+)?(:\d+)?(,[\w./-]+(:[\w.-]+)?(:\d+)?)*")
# A task needs some time before it can save anything, and Slurm may send its signal up to a minute early.
START_SECONDS = 120
Request = dict[str, Any]


def request(resources: dict[str, Any], threads: int, settings: ExecutorSettings) -> Request:
    """What one job asks of the cluster by the names of sbatch's options: minutes under ``time``, megabytes under
    ``mem`` or ``mem-per-cpu``, words that the user wrote himself under ``extra``; what a rule does not say is left to
    the settings and then to Slurm. `resumable` says whether it goes on after an interruption. Raises ValueError on what
    contradicts itself.
    """
    asked: Request = {"cpus-per-task": _number(resources, "cpus_per_task") or threads}
    if (minutes := resources.get("runtime")) is not None and minutes != 0:
        asked["time"] = max(1, math.ceil(float(minutes)))
    if (each := _number(resources, "mem_mb_per_cpu")) is not None:
        asked["mem-per-cpu"] = each
    elif (memory := _number(resources, "mem_mb")) is not None:
        asked["mem"] = memory + (settings.memory_overhead or 0) if memory else 0
    asked |= _gpus(resources, settings)
    if shared := _number(resources, "pack_cpus_per_gpu"):
        asked["pack-cpus-per-gpu"] = shared
    for names, option, setting in _NAMED:
        value = next((resources[name] for name in names if resources.get(name)), None)
        value = value or (setting and getattr(settings, setting))
        if value:
            asked[option] = str(value)
    asked["extra"] = (*parse_extra(settings.extra), *parse_extra(resources.get("slurm_extra")))
    asked["requeue"] = bool(settings.requeue)
    asked["resumable"] = bool(_number(resources, "resumable"))
    asked["mpi"] = bool(resources.get("mpi")) or int(asked.get("ntasks", 1)) > 1
    return asked


def _number(resources: dict[str, Any], name: str) -> int | None:
    value = resources.get(name)
    if value is None:
        return None
    try:
        return math.ceil(float(value))
    except (TypeError, ValueError):
        raise ValueError(f"resource {name} is a number, not {value!r}") from None


def _gpus(resources: dict[str, Any], settings: ExecutorSettings) -> Request:
    """Request for GPUs; `gpu` is the name that Snakemake's own Slurm executor uses."""
    count = _number(resources, "gpus") or _number(resources, "gpu") or 0
    if resources.get("gres"):
        gres = str(resources["gres"])
        if count:
            raise ValueError(f"a job asks for gres ({gres}) and for gpus ({count}): one of them is enough")
        if not _GRES.fullmatch(gres):
            raise ValueError(f"resource gres is written name:count or name:type:count, e.g. gpu:a100:1, not {gres!r}")
        return {"gres": gres}
    model = resources.get("gpu_model")
    if model and not count:
        raise ValueError(f"resource gpu_model ({model}) goes with gpus, e.g. gpus=1")
    kind = model or settings.gpu_type
    if kind and not _GPUS.fullmatch(str(kind)):
        raise ValueError(f"a model of GPU is a name like a100 or 1g.5gb, not {kind!r}")
    if not count:
        return {}
    return {"gpus-per-node": f"{kind}:{count}" if kind else str(count)}


def gpus(asked: Request) -> tuple[int, str]:
    """Number and model of the GPUs that a request is for; the model is empty where none is named."""
    text = asked.get("gpus-per-node") or asked.get("gres", "").removeprefix("gpu").removeprefix(":")
    if not text or (asked.get("gres") and not asked["gres"].startswith("gpu")):
        return 0, ""
    model, _, count = text.rpartition(":")
    return (int(count), model) if count.isdigit() else (1, text)


def parse_extra(text: object) -> list[str]:
    """Words of further sbatch options as a user writes them, e.g. ``--nice=100 -p long``. Raises ValueError where one
    is the executor's own, or is no option.
    """
    found = shlex.split(str(text or ""))
    if found and not found[0].startswith("-"):
        raise ValueError(f"sbatch options begin with a hyphen, e.g. --nice=100, not {found[0]!r}")
    for word in found:
        name = word.partition("=")[0]
        if name.removeprefix("--") in _REFUSED or name in _REFUSED:
            raise ValueError(f"{name} is what the executor follows its tasks by; leave it out of the extra options")
    return found


def together(requests: Sequence[Request]) -> Request:
    """One request for all tasks of an array: the first, with the longest time and the largest memory among them."""
    return {**requests[0], **{name: max(one[name] for one in requests) for name in _LARGEST if name in requests[0]}}


_LARGEST = ("time", "mem", "mem-per-cpu")


def alike(asked: Request, time_limits: Sequence[float] = ()) -> tuple[Any, ...]:
    """What two jobs have in common that may share an array: all they ask for, time and memory to within a class. Each
    class spans a factor of two of time, and a quarter of a power of two of memory. `time_limits` of partitions (in
    minutes, ascending) end a class: a job beyond one would have its neighbours wait for ever.
    """
    rest = {name: value for name, value in asked.items() if name not in _LARGEST}
    time = (asked["time"].bit_length(), bisect_left(time_limits, asked["time"])) if "time" in asked else None
    memory = [memory_class(asked[name]) if name in asked else None for name in _LARGEST[1:]]
    return (tuple(sorted(rest.items())), time, *memory)


def memory_class(megabytes: int) -> int:
    """Upper end of the class of a memory: the next multiple of a quarter of the power of two below it, at least of 128.

    Examples
    --------
    >>> memory_class(60), memory_class(468), memory_class(1100), memory_class(9000)
    (128, 512, 1280, 10240)
    """
    step = max(128, 2 ** (max(1, megabytes).bit_length() - 1) // 4)
    return math.ceil(megabytes / step) * step


def packed(asked: Request, jobs: int, overhead: int) -> Request:
    """Request of a task that runs several such jobs side by side: CPUs and memory are added up, a GPU is shared, and
    the overhead for Python and Snakemake counts once. Where one job computes for all that share its GPU, they say how
    many CPUs each GPU takes (``pack-cpus-per-gpu``).
    """
    one = {name: value for name, value in asked.items() if name != "pack-cpus-per-gpu"}
    if jobs == 1:
        return one
    each, shared = asked["cpus-per-task"], gpus(asked)[0] * asked.get("pack-cpus-per-gpu", 0)
    one["cpus-per-task"] = min(each * jobs, max(each, shared)) if shared else each * jobs
    if asked.get("mem"):
        one["mem"] = (asked["mem"] - overhead) * jobs + overhead
    return one


def signal_delay(minutes: int, wanted: int) -> int:
    """Seconds before the time limit (minutes, >= 1) at which a resumable task is told to make room: as wanted, unless
    the signal would then come before the task has come up; at least 1.
    """
    return max(1, min(wanted, minutes * 60 - START_SECONDS))
