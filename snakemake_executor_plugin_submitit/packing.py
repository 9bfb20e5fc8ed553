"""From ready jobs to packs: which jobs share a task, which tasks share an array, and what a task runs."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.utils import encode_target_jobs_cli_args, format_cli_arg, join_cli_args

from snakemake_executor_plugin_submitit.task import CellJob, Pack

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

# Resources that say nothing about what a task needs.
_NOT_REQUESTED = {"_nodes", "tmpdir", "pack", "attempt", "mem", "mem_mib", "disk", "disk_mb", "disk_mib"}


def job_key(job: JobExecutorInterface) -> str:
    """Name of a job in the ledger.

    Parameters
    ----------
    job : JobExecutorInterface
        A job of the driver.

    Returns
    -------
    str
        Its first output; where it has none, its rule.
    """
    outputs = [str(path) for path in job.output]
    # The jobs of a group have no order.
    return min(outputs, default=job.name) if job.is_group() else next(iter(outputs), job.name)


def fingerprint(job: JobExecutorInterface) -> str:
    """What a job is made of: a restarted driver takes a task over only if this is still the same.

    Parameters
    ----------
    job : JobExecutorInterface
        A job of the driver.

    Returns
    -------
    str
        A short hash of rules, inputs, outputs and params.
    """
    parts = sorted(
        f"{one.rule.name} {list(one.input)} {list(one.output)} {list(one.params.items())} {list(one.params)}"
        for one in (job.jobs if job.is_group() else [job])
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def requested(job: JobExecutorInterface) -> dict[str, Any]:
    """Resources of a job that matter to a cluster.

    Parameters
    ----------
    job : JobExecutorInterface
        A job of the driver.

    Returns
    -------
    dict
        Numbers and texts only; ``_cores`` is its threads.
    """
    items = job.resources.items()
    asked = {key: value for key, value in items if isinstance(value, (int, str)) and key not in _NOT_REQUESTED}
    if asked.get("mem_mb"):
        asked["mem_mb"] = memory_class(int(asked["mem_mb"]))
    return asked


def memory_class(megabytes: int) -> int:
    """Memory rounded up, so that cells that differ by a few megabytes share an array and its packs.

    Parameters
    ----------
    megabytes : int
        What a job needs, > 0.

    Returns
    -------
    int
        Next multiple of a quarter of the power of two below it; at least of 128.

    Examples
    --------
    >>> memory_class(60), memory_class(468), memory_class(1100), memory_class(9000)
    (128, 512, 1280, 10240)
    """
    step = max(128, 2 ** (megabytes.bit_length() - 1) // 4)
    return math.ceil(megabytes / step) * step


def pack_size(job: JobExecutorInterface, default: int, alone: Container[str] = ()) -> int:
    """How many jobs like this one share a task.

    Parameters
    ----------
    job : JobExecutorInterface
        A job of the driver.
    default : int
        The setting.
    alone : container of str
        Keys of jobs that get a task of their own.

    Returns
    -------
    int
        >= 1; a group of jobs is a task of its own.
    """
    if job.is_group() or job_key(job) in alone:
        return 1
    return max(1, int(job.resources.get("pack", default)))


def grouped(
    jobs: Iterable[JobExecutorInterface], default_pack: int, alone: Container[str] = ()
) -> list[list[list[JobExecutorInterface]]]:
    """Arrays of packs of jobs.

    Parameters
    ----------
    jobs : iterable of JobExecutorInterface
        All that is ready.
    default_pack : int
        Jobs per task where no resource says otherwise.
    alone : container of str
        Keys of jobs that get a task of their own.

    Returns
    -------
    list of list of list of JobExecutorInterface
        One list per array; in it, one list per task. Packs of an array differ in size by one job at most.
    """
    alike: dict[tuple[str, int], list[JobExecutorInterface]] = {}
    for job in jobs:
        asked = json.dumps([requested(job), job.attempt], sort_keys=True, default=str)
        alike.setdefault((asked, pack_size(job, default_pack, alone)), []).append(job)
    arrays = []
    for (_, size), members in alike.items():
        tasks = math.ceil(len(members) / size)
        arrays.append([members[i::tasks] for i in range(tasks)])
    return arrays


class PackBuilder:
    """Makes packs for one workflow.

    Parameters
    ----------
    workflow : WorkflowExecutorInterface
        The driver's workflow.
    snakefile : str
        Its Snakefile.
    common_settings : CommonSettings
        The executor's.
    """

    def __init__(self, workflow: WorkflowExecutorInterface, snakefile: str, common_settings: Any) -> None:
        factory = workflow.spawned_job_args_factory
        variables = " ".join(f"{name}={value!r}" for name, value in factory.envvars().items())
        precommand = factory.precommand(executor_common_settings=common_settings)
        self.dag, self.workdir = workflow.dag, str(workflow.workdir_init)
        self.prefix = join_cli_args(
            [
                f"{precommand} &&" if precommand else "",
                f"exec env {variables}",
                sys.executable,
                "-m snakemake_executor_plugin_submitit.nested",
                format_cli_arg("--snakefile", str(snakefile)),
            ]
        )
        self.suffix = join_cli_args(
            [
                factory.general_args(executor_common_settings=common_settings),
                # One cell's failure must not keep its neighbours from starting.
                "--keep-going",
                "--mode remote",
            ]
        )

    def build(
        self, jobs: list[JobExecutorInterface], folder: str, grace: float, earlier: dict[str, tuple[str, bool]]
    ) -> Pack:
        """One task's work.

        Parameters
        ----------
        jobs : list of JobExecutorInterface
            Run side by side.
        folder : str
            The task's folder.
        grace : float
            Seconds that cells get to save their state.
        earlier : dict of str to (str, bool)
            Folder of the task in which a job was before, and whether it was the same job, by key.

        Returns
        -------
        Pack
            To be pickled.
        """
        cells = tuple(self.cell(job, *earlier.get(job_key(job), ("", True))) for job in jobs)
        first = jobs[0]
        shared = join_cli_args(
            [
                format_cli_arg("--attempt", first.attempt),
                format_cli_arg("--force-use-threads", not first.is_group()),
                format_cli_arg("--local-groupid", first.jobid, skip=not first.is_group()),
            ]
        )
        return Pack(cells, self.prefix, f"{shared} {self.suffix}", self.workdir, folder, grace)

    def cell(self, job: JobExecutorInterface, earlier: str, same: bool) -> CellJob:
        """One job as the nested Snakemake needs to know it.

        Parameters
        ----------
        job : JobExecutorInterface
            A job of the driver.
        earlier : str
            Folder of the task in which it was before.
        same : bool
            Whether it was the same job.

        Returns
        -------
        CellJob
            Without any reference to the driver's objects.
        """
        unneeded = list(self.dag.get_unneeded_temp_files(job))
        targets = format_cli_arg("--target-jobs", encode_target_jobs_cli_args(job.get_target_spec()))
        members = list(job.jobs) if job.is_group() else [job]
        return CellJob(
            key=job_key(job),
            target=targets.removeprefix("--target-jobs "),
            rules=tuple(sorted(str(rule) for rule in job.rules)),
            inputs=tuple(str(path) for path in job.get_wait_for_files()),
            arguments=format_cli_arg("--unneeded-temp-files", unneeded, skip=not unneeded),
            threads=max(1, int(job.resources.get("_cores", 1))),
            outputs=tuple(job_key(one) for one in members),
            earlier=earlier,
            same=same,
            results=tuple(
                str(Path(path).absolute()) for one in members for path in one.output if path not in one.temp_output
            ),
        )
