"""Handing packs of jobs to the cluster, and finding again what an earlier driver has handed to it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from .clusters import Cluster
from .errors import LimitedError, RefusedError
from .events import DONE, INTERRUPTED, NOTHING, read_events
from .identity import description, fingerprint, is_same, job_key, rules_of, uncarried
from .ledger import OPEN, Entry, Ledger, Task, folder_in_use
from .outcome import Outcome
from .packing import Jobs, PackBuilder, grouped, threads_of
from .partitions import Partition, best, read_partitions
from .pruning import prune_all
from .resources import Request, alike, packed, request, together
from .settings import ExecutorSettings

LARGEST_ARRAY = 1000
LONGEST_COMMENT = 200


class Submitter:
    """Writes every submission into the ledger before the cluster hears of it. `triggers` are Snakemake's rerun triggers
    in force. Raises WorkflowError when a name of the ledger's folder would mislead the cluster.
    """

    def __init__(self, cluster: Cluster, settings: ExecutorSettings, triggers: Iterable[str]) -> None:
        self.cluster, self.settings, self.triggers = cluster, settings, frozenset(triggers)
        self.base = folder_in_use(settings.folder)
        self.workflow = os.getcwd()
        self.ledger = Ledger(self.base)
        for character, what in (("%", "a percent sign"), ("\\", "a backslash"), ("\n", "a line break")):
            if character in str(self.base):
                why = f"its name holds {what}, to which Slurm and submitit give a meaning"
                raise WorkflowError(f"submitit: cannot use the folder {self.base}: {why}. Another: --submitit-folder")
        self.partitions = _partitions(settings)
        self.largest = 0  # tasks in one array; 0 while Slurm has not been asked
        self._limit = 0
        self._time_limits: dict[str, list[float]] = {}  # of partitions, in minutes, by the cluster's name
        self._numbers = itertools.count(1)
        self.alone: set[str] = set()  # jobs that try again without neighbours in their task
        self._left_behind: dict[str, Entry] = {}
        self._latest: dict[str, Entry] = {}
        self._read_ledger()

    def _read_ledger(self) -> None:
        """Learn what an earlier driver of this workflow left on the cluster, and clear away what it finished."""
        entries, submissions = self.ledger.replay()
        for folder, tasks in submissions.items():
            keys = {key for task in tasks for key in task.keys}
            open_here = any(entries[key].outcome == OPEN and entries[key].task.folder == folder for key in keys)
            if open_here and self._is_ours(tasks[0]) and not tasks[0].job_id:
                self._adopt(folder, tasks)
        self._latest = {key: entry for key, entry in entries.items() if entry.outcome != DONE}
        self._left_behind = {
            key: entry
            for key, entry in entries.items()
            if entry.outcome == OPEN and entry.task.job_id and self._is_ours(entry.task)
        }
        open_tasks = {(entry.task.folder, entry.task.index) for entry in entries.values() if entry.outcome == OPEN}
        prune_all(self.base, entries, submissions, open_tasks, self.settings.keep_logs)

    def _is_ours(self, task: Task) -> bool:
        """Whether a task is this workflow's, on this kind of cluster, and no living driver looks after it."""
        return task.workflow == self.workflow and task.cluster == self.cluster.name and not is_alive(task.driver)

    def _adopt(self, folder: str, tasks: list[Task]) -> None:
        """Complete a submission in whose middle the driver died."""
        try:
            names = self.cluster.adopt(self.base / folder, len(tasks), tasks[0].site)
        except RefusedError as error:
            raise WorkflowError(f"submitit: cannot ask what became of {folder}: {error}. Try again later") from error
        if names:
            self._note_ids(tasks, names)

    def _note_ids(self, tasks: Sequence[Task], names: list[str]) -> None:
        self.ledger.append("ids", folder=tasks[0].folder, ids=names)
        for task, name in zip(tasks, names, strict=True):
            task.job_id = name

    def take_over(self, job: JobExecutorInterface) -> Task | None:
        """Task in which an earlier driver left a job; None without one, or where the job has become another."""
        entry = self._left_behind.pop(job_key(job), None)
        return entry.task if entry is not None and is_same(job, entry.made, self.triggers) else None

    def give_up_left_behind(self) -> dict[str, Task]:
        """Tasks of an earlier driver that nobody has asked for yet, by job; they are not taken over any more."""
        left, self._left_behind = self._left_behind, {}
        return {key: entry.task for key, entry in left.items()}

    def close(self, alive: Container[tuple[str, int]]) -> None:
        """Note what ended well unasked, and clear away what is finished but for tasks `alive` (folder and index)."""
        for task in {entry.task.job_id: entry.task for entry in self._left_behind.values()}.values():
            self.note_unclaimed(task)
        prune_all(self.base, *self.ledger.replay(), alive, self.settings.keep_logs)

    def note_unclaimed(self, task: Task) -> None:
        """Note the jobs of an earlier driver's task that ended well but that this workflow does not ask for."""
        events = read_events(task.path(self.base))
        for key in task.keys:
            if key in self._left_behind and events.get(key, NOTHING).kind == DONE:
                self.note_end(self._left_behind.pop(key).task, key, Outcome(DONE))

    def note_end(self, task: Task, key: str, outcome: Outcome) -> None:
        """Write down what became of a job that was in a task."""
        told = {"outcome": outcome.kind, "reason": outcome.reason, "status": outcome.status, "signal": outcome.signal}
        self.ledger.append("end", folder=task.folder, index=task.index, key=key, **told)

    def ask(self, job: JobExecutorInterface) -> Request:
        """What a job asks of the cluster. Raises ValueError on resources that contradict each other."""
        return request(dict(job.resources.items()), threads_of(job), self.settings)

    def place(self, asked: Request) -> Request:
        """A request with the partition that fits best where it names none. Raises ValueError when none fits."""
        if not self.partitions or "partition" in asked:
            return asked
        return {**asked, "partition": best(self.partitions, asked)}

    def objection(self, job: JobExecutorInterface) -> str | None:
        """Why a job cannot be handed on whole; None if it can."""
        try:
            self.place(self.ask(job))
        except ValueError as error:
            return str(error)
        lost = uncarried(job)
        return lost and f"Snakemake cannot hand this job on to a node: {lost}"

    def arrays(self, jobs: Jobs) -> Iterator[list[Jobs]]:
        """Arrays of all jobs that are ready, as few as Slurm's limits allow; each is a list of jobs for every task."""
        if jobs and not self._limit:
            self._limit = self.largest = self._array_limit()
        for packs in grouped(jobs, self._kind, self.settings.pack or 1, self.alone):
            start = 0
            while start < len(packs):
                size = self.largest  # may change with each submission
                yield packs[start : start + size]
                start += size

    def _kind(self, job: JobExecutorInterface) -> tuple[Any, ...]:
        """What a job has in common with all that may share an array with it."""
        asked = self.ask(job)
        site = asked.get("clusters", "")
        if site not in self._time_limits:
            self._time_limits[site] = sorted(self.cluster.time_limits(site))
        return alike(asked, self._time_limits[site])

    def apart(self, packs: Sequence[Jobs]) -> list[list[Jobs]]:
        """The packs of an array that was refused, sorted by what exactly they ask for; their jobs are, where all packs
        ask for the same. One list if nothing can be told apart.
        """
        parts: dict[Any, list[Jobs]] = {}
        for pack in packs:
            parts.setdefault(self._exactly(pack), []).append(pack)
        if len(parts) == 1:
            parts = {}
            for job in (job for pack in packs for job in pack):
                parts.setdefault(self._exactly([job]), []).append([job])
        return list(parts.values())

    def _exactly(self, jobs: Jobs) -> tuple[Any, ...]:
        return tuple(sorted(together([self.ask(job) for job in jobs]).items()))

    def _array_limit(self) -> int:
        try:
            limit = self.cluster.array_limit()
        except RuntimeError as error:
            raise WorkflowError(f"submitit: {error}. Without Slurm: --submitit-cluster local") from error
        return max(1, min(self.settings.array_size or LARGEST_ARRAY, limit, LARGEST_ARRAY))

    def submit(self, packs: Sequence[Jobs], builder: PackBuilder) -> tuple[list[Task], Request]:
        """Submit one array of one task per pack: the tasks, and what was asked of the cluster for each. Raises
        RefusedError with the cluster's reason, LimitedError when it takes no more for now (the next array is smaller),
        both noted; and UnansweredError when the workflow is stopped before Slurm has answered.
        """
        overhead = self.settings.memory_overhead or 0
        one = together([self.ask(job) for pack in packs for job in pack])
        try:
            asked = self.place(packed(one, max(len(pack) for pack in packs), overhead))
        except ValueError as error:
            raise RefusedError(str(error)) from error
        folder = self._new_folder()
        lines = [[self._line(job) for job in pack] for pack in packs]
        shared: dict[str, Any] = {"cluster": self.cluster.name, "site": str(asked.get("clusters", ""))}
        shared |= {"workflow": self.workflow, "driver": this_driver()}
        self.ledger.append("submit", folder=folder, **shared, tasks=lines)
        tasks = [Task(folder, i, tuple(job["key"] for job in jobs), **shared) for i, jobs in enumerate(lines)]
        earlier = self._note_latest(tasks, lines)
        # Jobs get most of the time between the signal and the limit to save their state.
        grace = max(5.0, 0.75 * (self.settings.signal_delay or 0))
        folders = [str(task.path(self.base)) for task in tasks]
        resumable = asked["resumable"]
        work = [builder.build(pack, one, grace, resumable, earlier) for pack, one in zip(packs, folders, strict=True)]
        try:
            names = self.cluster.submit(self.base / folder, work, asked, *self._names(packs))
        except RefusedError as error:
            reason = f"submission refused: {' '.join(str(error).split())}"
            self.ledger.append("refused", folder=folder, reason=reason)
            raise RefusedError(reason) from error
        except LimitedError as error:
            self._withdraw(folder, tasks, str(error))
            raise
        self.largest = min(self._limit, max(self.largest, 2 * len(packs)))
        self._note_ids(tasks, names)
        return tasks, asked

    def _withdraw(self, folder: str, tasks: list[Task], reason: str) -> None:
        """Undo a submission for which there is no room now."""
        self.largest = max(1, len(tasks) // 2)
        for task in tasks:
            for key in task.keys:
                self.note_end(task, key, Outcome(INTERRUPTED, f"waits for room: {' '.join(reason.split())}"))
                self._latest.pop(key, None)
        shutil.rmtree(self.base / folder, ignore_errors=True)

    def _names(self, packs: Sequence[Jobs]) -> tuple[str, str]:
        """Name and comment of an array, for people who look at the queue."""
        first = packs[0][0]
        others = sum(map(len, packs)) - 1
        comment = description(first)[:LONGEST_COMMENT] + (f" and {others} more" if others else "")
        return rules_of(first).replace(",", "+")[:60] or "snakemake", " ".join(comment.split())

    def _note_latest(self, tasks: list[Task], lines: list[list[dict[str, str]]]) -> dict[str, tuple[str, bool]]:
        """Where each job was before: what is still alive there must end before the job starts here."""
        earlier = {}
        for task, jobs in zip(tasks, lines, strict=True):
            for job in jobs:
                entry = self._latest.get(job["key"])
                if entry is not None:
                    earlier[job["key"]] = str(entry.task.path(self.base)), entry.made in ("", job["made"])
                self._latest[job["key"]] = Entry(job["key"], job["log"], task, made=job["made"])
        return earlier

    def _new_folder(self) -> str:
        """Name of a submission's folder, unique also among drivers; days keep the folder of folders small."""
        now = time.strftime("%Y%m%d-%H%M%S")
        folder = f"{now[:8]}/{now}-{os.getpid()}-{next(self._numbers)}"
        (self.base / folder).mkdir(parents=True)
        return folder

    def _line(self, job: JobExecutorInterface) -> dict[str, str]:
        log = next((os.path.abspath(path) for path in job.log), "")
        return {"key": job_key(job), "rule": rules_of(job), "log": log, "made": fingerprint(job, self.triggers)}


def _partitions(settings: ExecutorSettings) -> list[Partition]:
    """Partitions that the user's file describes; none without one."""
    if not settings.partition_config:
        return []
    try:
        return read_partitions(Path(settings.partition_config))
    except ValueError as error:
        raise WorkflowError(f"submitit: {error}") from error


def this_driver() -> dict[str, Any]:
    """What tells this process from every other: its machine, its number, and when it began."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def is_alive(driver: dict[str, Any]) -> bool:
    """Whether a driver other than this process is still at work on this machine; nobody knows of another machine."""
    pid, started = driver.get("pid"), driver.get("started")
    if driver.get("host") != socket.gethostname() or type(pid) is not int or pid in (os.getpid(), 0):
        return False
    try:
        process = psutil.Process(pid)
        same = isinstance(started, (int, float)) and abs(process.create_time() - started) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):
        return False
