"""What a user can set on the command line or in a profile."""

from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


def _setting(default: Any, text: str, **more: Any) -> Any:
    """One setting. Help texts hold no percent sign: argparse would take it for a placeholder."""
    kind = str if default is None else type(default)
    # a yes or no is a flag, which takes no value and has no type
    return field(default=default, metadata={"help": text, **({} if kind is bool else {"type": kind}), **more})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the executor; resources of a rule with the same meaning go before them."""

    cluster: str | None = _setting(
        "slurm",
        "Where tasks run: slurm; local (processes of this machine, through submitit); debug (one after the other "
        "inside a thread of Snakemake).",
        choices=["slurm", "local", "debug"],
    )
    folder: str | None = _setting(
        None,
        "Folder of the ledger and of the tasks' logs and pickles, on a file system that all nodes share. Default: "
        ".snakemake/submitit in the working directory.",
    )
    array_size: int | None = _setting(1000, "Most tasks in one Slurm array, at most 1000 and Slurm's own MaxArraySize.")
    array_parallelism: int | None = _setting(256, "Most tasks of one array that run at the same time.")
    pack: int | None = _setting(
        1,
        "Jobs of equal resources that one array task runs side by side. CPUs and memory are added up, a GPU is shared. "
        "A rule's resource `pack` goes before it.",
    )
    partition: str | None = _setting(None, "Partition, where a rule's resource slurm_partition names none.")
    account: str | None = _setting(None, "Account, where a rule's resource slurm_account names none.")
    qos: str | None = _setting(None, "Quality of service, where a rule's resource qos names none.")
    reservation: str | None = _setting(None, "Reservation, where a rule's resource slurm_reservation names none.")
    constraint: str | None = _setting(None, "Node features, where a rule's resource constraint names none.")
    clusters: str | None = _setting(
        None, "Cluster of a multi-cluster Slurm, where a rule's resource clusters names none."
    )
    gpu_type: str | None = _setting(
        None, "Model of GPU, as in gres gpu:a100:1, for rules with the resource gpus (or gpu) but no gpu_model."
    )
    extra: str | None = _setting(
        None,
        "Further sbatch options for every task, e.g. '--nice=100 --mail-type=END'. They go before all others; a rule's "
        "resource slurm_extra goes before them.",
    )
    partition_config: str | None = _setting(
        None,
        "YAML file with the limits of each partition (as for Snakemake's stock Slurm executor): where neither rule nor "
        "setting names a partition, the one that fits best is taken.",
    )
    requeue: bool = _setting(
        False, "Let Slurm start tasks again by itself after a lost node or a preemption, for every rule."
    )
    keep_logs: bool = _setting(False, "Keep the logs of tasks that ended well too.")
    efficiency_report: str | None = _setting(
        None, "File (CSV) for a table of what each task used of the CPUs, memory and time that it asked for."
    )
    signal_delay: int | None = _setting(
        120,
        "Seconds before the time limit at which a task of a rule with the resource resumable=1 is told to save its "
        "state and make room. Slurm may do so up to 60 seconds earlier.",
    )
    requeues: int | None = _setting(
        20, "How often a task of a rule with resumable=1 that was cut short (time limit, lost node) continues."
    )
    poll_interval: float | None = _setting(10.0, "Seconds between two looks at the cluster.")
    grace: float | None = _setting(
        60.0,
        "Seconds for which Slurm may still requeue a task after a lost node or a preemption, and after which a task "
        "that Slurm no longer knows counts as gone.",
    )
    memory_overhead: int | None = _setting(
        0, "Megabytes added to a task's mem_mb, once for a whole pack, for Python and Snakemake in the task."
    )
