"""Handing packs of jobs to the cluster, and finding again what an earlier driver has handed to it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from lmrnn.ledger import DONE, OPEN, Entry, Ledger, Task
from snakemake_executor_plugin_submitit.clusters import Cluster
from snakemake_executor_plugin_submitit.events import read_events
from snakemake_executor_plugin_submitit.packing import PackBuilder, fingerprint, grouped, job_key, requested
from snakemake_executor_plugin_submitit.pruning import prune_all
from snakemake_executor_plugin_submitit.resources import parameters
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_executor_plugin_submitit.slurm import RefusedError

LARGEST_ARRAY = 1000
Jobs = list[JobExecutorInterface]


class Submitter:
    """Writes every submission into the ledger before the cluster hears of it.

    Parameters
    ----------
    ledger : Ledger
        The dispatch's record.
    cluster : Cluster
        Where tasks run.
    settings : ExecutorSettings
        The user's.

    Raises
    ------
    WorkflowError
        When a name of the ledger's folder would mislead the cluster.
    """

    def __init__(self, ledger: Ledger, cluster: Cluster, settings: ExecutorSettings) -> None:
        self.ledger, self.cluster, self.settings = ledger, cluster, settings
        self.base = Path(settings.folder or ".").absolute()
        if "%" in str(self.base):
            what = "its name holds a percent sign, to which Slurm and submitit give a meaning"
            raise WorkflowError(f"submitit: cannot use the folder {self.base}: {what}. Another: --submitit-folder")
        self._limit = 0
        self._numbers = itertools.count(1)
        # cells that try again without neighbours
        self.alone: set[str] = set()
        self.left_behind: dict[str, Entry] = {}
        self.latest: dict[str, Entry] = {}
        self._read_ledger()

    def _read_ledger(self) -> None:
        """Learn what an earlier driver left on the cluster, and clear away what it finished."""
        entries, submissions = self.ledger.replay()
        for folder, tasks in submissions.items():
            keys = {key for task in tasks for key in task.keys}
            ours = any(entries[key].outcome == OPEN and entries[key].task.folder == folder for key in keys)
            if ours and tasks[0].cluster == self.cluster.name and not tasks[0].job_id:
                self._adopt(folder, tasks)
        self.latest = {key: entry for key, entry in entries.items() if entry.outcome != DONE}
        self.left_behind = {
            key: entry
            for key, entry in entries.items()
            if entry.outcome == OPEN and entry.task.job_id and entry.task.cluster == self.cluster.name
        }
        prune_all(self.base, entries, submissions)

    def _adopt(self, folder: str, tasks: list[Task]) -> None:
        """Complete a submission in whose middle the driver died."""
        try:
            names = self.cluster.adopt(self.base / folder, len(tasks))
        except RefusedError as error:
            raise WorkflowError(f"submitit: cannot ask what became of {folder}: {error}. Try again later") from error
        if names:
            self.ledger.append("ids", folder=folder, ids=names)
            for task, name in zip(tasks, names, strict=True):
                task.job_id = name

    def take_over(self, job: JobExecutorInterface) -> Task | None:
        """Task in which an earlier driver left a job.

        Parameters
        ----------
        job : JobExecutorInterface
            Ready to run.

        Returns
        -------
        Task or None
            None where there is none, or where the job is made of something else by now.
        """
        entry = self.left_behind.pop(job_key(job), None)
        return entry.task if entry is not None and entry.made in ("", fingerprint(job)) else None

    def close(self) -> None:
        """Note what ended well without being asked for any more, and clear away all that is finished."""
        for task in {entry.task.job_id: entry.task for entry in self.left_behind.values()}.values():
            self.note_unclaimed(task)
        prune_all(self.base, *self.ledger.replay())

    def note_unclaimed(self, task: Task) -> None:
        """Note the cells of a task that ended well but that this workflow does not ask for.

        Parameters
        ----------
        task : Task
            Of an earlier driver.
        """
        events = read_events(task.path(self.base))
        for key in task.keys:
            if key in self.left_behind and events.get(key, ("", ""))[0] == DONE:
                self.note_end(self.left_behind.pop(key).task, key, DONE)

    def note_end(self, task: Task, key: str, outcome: str, reason: str = "") -> None:
        """Write down what became of a cell.

        Parameters
        ----------
        task : Task
            In which it was.
        key : str
            The cell.
        outcome, reason : str
            See `lmrnn.ledger.Entry`.
        """
        self.ledger.append("end", folder=task.folder, index=task.index, key=key, outcome=outcome, reason=reason)

    def arrays(self, jobs: Jobs) -> Iterator[list[Jobs]]:
        """Packs of jobs, in as few arrays as Slurm's limits allow.

        Parameters
        ----------
        jobs : list of JobExecutorInterface
            All that is ready.

        Yields
        ------
        list of list of JobExecutorInterface
            One array: one list per task.
        """
        if jobs and not self._limit:
            self._limit = self._array_limit()
        for packs in grouped(jobs, self.settings.pack or 1, self.alone):
            for start in range(0, len(packs), self._limit):
                yield packs[start : start + self._limit]

    def _array_limit(self) -> int:
        try:
            limit = self.cluster.array_limit()
        except RuntimeError as error:
            raise WorkflowError(f"submitit: {error}. Without Slurm: --submitit-cluster local") from error
        return max(1, min(self.settings.array_size or LARGEST_ARRAY, limit, LARGEST_ARRAY))

    def submit(self, packs: Sequence[Jobs], builder: PackBuilder) -> tuple[list[Task], dict[str, Any]]:
        """Submit one array.

        Parameters
        ----------
        packs : sequence of list of JobExecutorInterface
            One per task.
        builder : PackBuilder
            Makes their work.

        Returns
        -------
        tasks : list of Task
            One per pack.
        asked : dict
            What was asked of the cluster for each.

        Raises
        ------
        RefusedError
            With the cluster's reason; it is noted.
        UnansweredError
            When the workflow is stopped before Slurm has answered.
        """
        folder = self._new_folder()
        lines = [[_cell_line(job) for job in pack] for pack in packs]
        self.ledger.append("submit", folder=folder, cluster=self.cluster.name, tasks=lines)
        tasks = [Task(folder, i, tuple(c["key"] for c in cells), self.cluster.name) for i, cells in enumerate(lines)]
        earlier = self._note_latest(tasks, lines)
        try:
            threads = [max(1, int(job.resources.get("_cores", 1))) for job in packs[0]]  # the largest pack
            asked = parameters(requested(packs[0][0]), threads, self.settings)
            # Cells get most of the time between the signal and the limit to save their state.
            grace = max(5.0, 0.75 * asked["signal_delay_s"])
            folders = [str(task.path(self.base)) for task in tasks]
            work = [builder.build(pack, one, grace, earlier) for pack, one in zip(packs, folders, strict=True)]
            names = self.cluster.submit(self.base / folder, work, asked)
        except (RefusedError, ValueError) as error:
            reason = f"submission refused: {' '.join(str(error).split())}"
            self.ledger.append("refused", folder=folder, reason=reason)
            raise RefusedError(reason) from error
        self.ledger.append("ids", folder=folder, ids=names)
        for task, name in zip(tasks, names, strict=True):
            task.job_id = name
        return tasks, asked

    def _note_latest(self, tasks: list[Task], lines: list[list[dict[str, str]]]) -> dict[str, tuple[str, bool]]:
        """Where each cell was before: what is still alive there must end before the cell starts here."""
        earlier = {}
        for task, cells in zip(tasks, lines, strict=True):
            for cell in cells:
                entry = self.latest.get(cell["key"])
                if entry is not None:
                    earlier[cell["key"]] = str(entry.task.path(self.base)), entry.made in ("", cell["made"])
                self.latest[cell["key"]] = Entry(cell["key"], cell["rule"], cell["log"], task, made=cell["made"])
        return earlier

    def _new_folder(self) -> str:
        """Name of a submission's folder, unique also among drivers; days keep the folder of folders small."""
        now = time.strftime("%Y%m%d-%H%M%S")
        folder = f"{now[:8]}/{now}-{os.getpid()}-{next(self._numbers)}"
        (self.base / folder).mkdir(parents=True)
        return folder


def _cell_line(job: JobExecutorInterface) -> dict[str, str]:
    rules = ",".join(sorted(str(rule) for rule in job.rules))
    log = next((str(path) for path in job.log), "")
    return {"key": job_key(job), "rule": rules, "log": log, "made": fingerprint(job)}
