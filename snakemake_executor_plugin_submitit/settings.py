"""What a user can set on the command line or in a profile."""

from dataclasses import dataclass, field

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from lmrnn.ledger import DEFAULT_FOLDER

# Help texts hold no percent sign: argparse would take it for a placeholder and `snakemake --help` would fail.


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the executor; resources of a rule with the same meaning go before them."""

    cluster: str | None = field(
        default="slurm",
        metadata={
            "help": "Where tasks run: slurm; local (processes of this machine, through submitit); "
            "debug (one after the other inside a thread of Snakemake).",
            "choices": ["slurm", "local", "debug"],
            "type": str,
        },
    )
    folder: str | None = field(
        default=str(DEFAULT_FOLDER),
        metadata={
            "help": "Folder of the ledger and of the tasks' logs and pickles, on a file system that all nodes share.",
            "type": str,
        },
    )
    array_size: int | None = field(
        default=1000,
        metadata={"help": "Most tasks in one Slurm array, at most 1000 and Slurm's own MaxArraySize.", "type": int},
    )
    array_parallelism: int | None = field(
        default=256, metadata={"help": "Most tasks of one array that run at the same time.", "type": int}
    )
    pack: int | None = field(
        default=1,
        metadata={
            "help": "Jobs of equal resources that one array task runs side by side. CPUs and memory are added up, "
            "a GPU is shared. A rule's resource `pack` goes before it.",
            "type": int,
        },
    )
    partition: str | None = field(
        default=None, metadata={"help": "Partition, where a rule's resource slurm_partition names none.", "type": str}
    )
    account: str | None = field(
        default=None, metadata={"help": "Account, where a rule's resource slurm_account names none.", "type": str}
    )
    qos: str | None = field(
        default=None, metadata={"help": "Quality of service, where a rule's resource qos names none.", "type": str}
    )
    constraint: str | None = field(
        default=None, metadata={"help": "Node features, where a rule's resource constraint names none.", "type": str}
    )
    gpu_type: str | None = field(
        default=None,
        metadata={
            "help": "Type of GPU, as in gres gpu:a100:1, for rules with the resource gpus (or gpu).",
            "type": str,
        },
    )
    extra: str | None = field(
        default=None,
        metadata={
            "help": "Further sbatch parameters, e.g. '--nice=100 --reservation=lab', for every task. "
            "A rule's resource slurm_extra adds to them.",
            "type": str,
        },
    )
    signal_delay: int | None = field(
        default=120,
        metadata={
            "help": "Seconds before the time limit at which a task is told to save its state and make room. "
            "Slurm may do so up to 60 seconds earlier.",
            "type": int,
        },
    )
    requeues: int | None = field(
        default=20,
        metadata={"help": "How often a task that was cut short (time limit, lost node) continues.", "type": int},
    )
    poll_interval: float | None = field(
        default=10.0, metadata={"help": "Seconds between two looks at the cluster.", "type": float}
    )
    grace: float | None = field(
        default=60.0,
        metadata={
            "help": "Seconds for which Slurm may still requeue a task after a lost node or a preemption, "
            "and after which a task that Slurm no longer knows counts as gone.",
            "type": float,
        },
    )
    memory_overhead: int | None = field(
        default=500,
        metadata={
            "help": "Megabytes added to a task's mem_mb for Python, submitit and Snakemake. mem_mb itself is rounded "
            "up, so that jobs of similar size share an array.",
            "type": int,
        },
    )
