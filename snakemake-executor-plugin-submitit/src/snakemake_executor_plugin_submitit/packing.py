"""From ready jobs to packs: which jobs share a task, which tasks share an array, and what a task runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.utils import encode_target_jobs_cli_args

from .identity import job_key, members, rules_of
from .task import Pack, PackedJob
from .words import words

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

Jobs = list["JobExecutorInterface"]


def pack_size(job: JobExecutorInterface, default: int, alone: Container[str] = ()) -> int:
    """How many jobs like this one share a task: its resource `pack`, or the default. One for a group of jobs, for those
    that are to be `alone` (their keys), and for shadow and run rules, which need a process to themselves; one for jobs
    whose outputs go to a storage, which are stored when their Snakemake ends.
    """
    if job.is_group() or job_key(job) in alone or job.is_shadow or job.is_run or is_stored(job):
        return 1
    return max(1, int(job.resources.get("pack", default)))


def is_stored(job: JobExecutorInterface) -> bool:
    """Whether some of a job's outputs go to a storage."""
    return any(path.is_storage for one in members(job) for path in one.output)


def threads_of(job: JobExecutorInterface) -> int:
    """Threads of a job, at least 1."""
    return max(1, int(job.resources.get("_cores", 1)))


def grouped(
    jobs: Iterable[JobExecutorInterface],
    kind: Callable[[JobExecutorInterface], Hashable],
    default_pack: int,
    alone: Container[str] = (),
) -> Iterator[list[Jobs]]:
    """Arrays of packs of jobs: one list per array, in it one list per task. Jobs of the same rules share an array if
    they are of one `kind`: ask the cluster for about the same, whatever other resources they have; packs of an array
    differ in size by one job at most.
    """
    sorted_out: dict[Any, Jobs] = {}
    for job in jobs:
        size = pack_size(job, default_pack, alone)
        sorted_out.setdefault((rules_of(job), job.attempt, kind(job), size), []).append(job)
    for (*_, size), alikes in sorted_out.items():
        tasks = math.ceil(len(alikes) / size)
        yield [alikes[i::tasks] for i in range(tasks)]


class PackBuilder:
    """Makes packs for one workflow, with the executor's common settings."""

    def __init__(self, workflow: WorkflowExecutorInterface, snakefile: str, python: str, common_settings: Any) -> None:
        factory = workflow.spawned_job_args_factory
        self.variables = dict(factory.envvars())
        self.precommand = factory.precommand(executor_common_settings=common_settings)
        self.dag, self.workdir = workflow.dag, str(workflow.workdir_init)
        self.program = (python, "-m", "snakemake_executor_plugin_submitit.nested")
        general = words(factory.general_args(executor_common_settings=common_settings))
        # All of a task's jobs fit into it: there is nothing to be solved, and solvers take time to start.
        self.arguments = ("--snakefile", str(snakefile), *general, "--mode", "remote", "--scheduler", "greedy")

    def build(
        self, jobs: Jobs, folder: str, grace: float, resumable: bool, earlier: dict[str, tuple[str, bool]]
    ) -> Pack:
        """One task's work in its folder. `grace` are the seconds that resumable jobs get to save their state; `earlier`
        says by key in which task's folder a job was before, and whether it was the same job.
        """
        first = jobs[0]
        own = ["--attempt", str(first.attempt)]
        if first.is_group():
            own += ["--local-groupid", str(first.jobid)]
        # Else Snakemake starts another one for a run rule, through a shell. Only shadow rules side by side need that:
        # the working directory is one for all threads.
        if not (first.is_group() and any(one.is_shadow for one in members(first))):
            own.append("--force-use-threads")
        if len(jobs) > 1:
            own.append("--keep-going")  # one job's failure must not keep its neighbours from starting
        packed = tuple(self.job(job, *earlier.get(job_key(job), ("", True))) for job in jobs)
        arguments = (*own, *self.arguments)
        return Pack(
            packed, self.program, arguments, self.variables, self.precommand, self.workdir, folder, grace, resumable
        )

    def job(self, job: JobExecutorInterface, earlier: str, same: bool) -> PackedJob:
        """One job as the nested Snakemake needs to know it, without any reference to the driver's objects."""
        specs = job.get_target_spec()
        unneeded = [str(path) for path in self.dag.get_unneeded_temp_files(job)]
        return PackedJob(
            key=job_key(job),
            members=tuple((rule, dict(wildcards)) for rule, wildcards in specs),
            targets=tuple(encode_target_jobs_cli_args(specs)),
            rules=tuple(sorted({str(rule) for rule in job.rules})),
            inputs=tuple(str(path) for path in job.get_wait_for_files()),
            arguments=("--unneeded-temp-files", *unneeded) if unneeded else (),
            threads=threads_of(job),
            results=tuple(
                str(Path(path).absolute()) for one in members(job) for path in one.output if path not in one.temp_output
            ),
            earlier=earlier,
            same=same,
            stored=is_stored(job),
        )
