"""From a rule's resources to what is asked of the cluster."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_executor_plugin_submitit.settings import ExecutorSettings

# resource of a rule (several names for the same) -> parameter of sbatch, and the setting that stands in
_NAMED = (
    (("slurm_partition", "partition"), "partition", "partition"),
    (("slurm_account", "account"), "account", "account"),
    (("qos", "slurm_qos"), "qos", "qos"),
    (("constraint",), "constraint", "constraint"),
    (("nodelist",), "nodelist", None),
    (("exclude",), "exclude", None),
)
DEFAULT_MINUTES = 60
# Slurm may send the signal up to a minute early, and a task needs some time before it can save anything.
START_SECONDS = 120


def parameters(resources: dict[str, Any], threads: list[int], settings: ExecutorSettings) -> dict[str, Any]:
    """What one task of an array asks for.

    Parameters
    ----------
    resources : dict
        Resources of each job of the task (they are equal).
    threads : list of int
        Threads of each job of the task.
    settings : ExecutorSettings
        The user's.

    Returns
    -------
    dict
        Parameters of submitit's Slurm executor: CPUs and memory are sums over the jobs, a GPU is shared.
    """
    minutes = max(1, int(resources.get("runtime", DEFAULT_MINUTES)))
    asked: dict[str, Any] = {
        "cpus_per_task": sum(threads),
        "time": minutes,
        "signal_delay_s": signal_delay(minutes, settings.signal_delay or 0),
        "array_parallelism": max(1, settings.array_parallelism or 1),
    }
    if resources.get("mem_mb"):
        asked["mem"] = f"{int(resources['mem_mb']) * len(threads) + (settings.memory_overhead or 0)}MB"
    asked |= _gpus(resources, settings)
    for names, parameter, setting in _NAMED:
        value = next((resources[name] for name in names if resources.get(name)), None)
        value = value or (setting and getattr(settings, setting))
        if value:
            asked[parameter] = str(value)
    extra = parse_extra(settings.extra) | parse_extra(resources.get("slurm_extra"))
    if extra:
        asked["additional_parameters"] = extra
    return asked


def signal_delay(minutes: int, wanted: int) -> int:
    """Seconds before the time limit at which the task is told to make room.

    Parameters
    ----------
    minutes : int
        Time limit, >= 1.
    wanted : int
        The setting, seconds.

    Returns
    -------
    int
        The setting, unless the signal would then come before the task has come up; at least 1.
    """
    return max(1, min(wanted, minutes * 60 - START_SECONDS))


def _gpus(resources: dict[str, Any], settings: ExecutorSettings) -> dict[str, Any]:
    """Request for GPUs; `gpu` is the name that Snakemake's own Slurm executor uses."""
    if resources.get("gres"):
        return {"gres": str(resources["gres"])}
    count = int(resources.get("gpus") or resources.get("gpu") or 0)
    kind = resources.get("gpu_model") or settings.gpu_type
    if not count:
        return {}
    return {"gpus_per_node": f"{kind}:{count}" if kind else count}


def parse_extra(text: str | None) -> dict[str, Any]:
    """Further sbatch parameters as a user writes them.

    Parameters
    ----------
    text : str or None
        E.g. ``--nice=100 --exclusive``.

    Returns
    -------
    dict
        Name to value; True for those without one.

    Raises
    ------
    ValueError
        When a word is not a parameter.
    """
    extra: dict[str, Any] = {}
    for word in shlex.split(text or ""):
        name, has_value, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ValueError(f"sbatch parameters are written --name=value or --name, not {word!r}")
        extra[name] = value if has_value else True
    return extra
