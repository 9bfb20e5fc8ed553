"""The executor: takes ready jobs from Snakemake, hands them on in arrays, and reports what becomes of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from lmrnn.ledger import DONE, FAILED, INTERRUPTED, OPEN, Ledger, Task
from snakemake_executor_plugin_submitit.clusters import make_cluster
from snakemake_executor_plugin_submitit.events import read_events
from snakemake_executor_plugin_submitit.outcome import RUNNING, Judge, Outcome
from snakemake_executor_plugin_submitit.packing import PackBuilder, grouped, job_key, requested
from snakemake_executor_plugin_submitit.pruning import prune_all, prune_task
from snakemake_executor_plugin_submitit.resources import parameters
from snakemake_executor_plugin_submitit.slurm import RefusedError

TICK_SECONDS = 0.5
# Jobs that become ready within this time of each other go out together.
GATHER_SECONDS = 1.0
LARGEST_ARRAY = 1000


@dataclass
class Flight:
    """A job that was handed to the cluster.

    Parameters
    ----------
    job : JobExecutorInterface
        Snakemake's job.
    key : str
        Its name in the ledger.
    task : Task
        Where it runs.
    attached : bool
        Taken over from an earlier driver and not yet looked at.
    """

    job: JobExecutorInterface
    key: str
    task: Task
    attached: bool = False


class Executor(RemoteExecutor):
    """Submits in rounds from the thread that also asks for states, so that one round's jobs go out as one array."""

    def __post_init__(self) -> None:
        """Read the ledger; called by Snakemake's base class at the end of its constructor."""
        settings = self.workflow.executor_settings
        self.settings = settings
        self.base = Path(settings.folder).absolute()
        self.ledger = Ledger(self.base)
        self.cluster = make_cluster(settings.cluster, settings.requeues)
        self.judge = Judge(settings.grace, self.workflow.execution_settings.latency_wait)
        self.builder: PackBuilder | None = None
        self.next_seconds_between_status_checks = TICK_SECONDS
        self.waiting: list[JobExecutorInterface] = []
        self.last_arrival = self.last_poll = 0.0
        self.flights: dict[str, Flight] = {}
        self.interruptions: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.cancelled = False
        self.submitting = threading.RLock()
        self.limit = 0
        self.rounds = 0
        self._read_ledger()

    def _read_ledger(self) -> None:
        """Learn what an earlier driver left on the cluster, and clear away what it finished."""
        entries, submissions = self.ledger.replay()
        self.open = {}
        for folder, tasks in submissions.items():
            keys = {key for task in tasks for key in task.keys}
            ours = any(entries[key].outcome == OPEN and entries[key].task.folder == folder for key in keys)
            if ours and tasks[0].cluster == self.cluster.name and not tasks[0].job_id:
                self._adopt(folder, tasks)
        for key, entry in entries.items():
            if entry.outcome == OPEN and entry.task.job_id and entry.task.cluster == self.cluster.name:
                self.open[key] = entry.task
        prune_all(self.base, entries, submissions)

    def _adopt(self, folder: str, tasks: list[Task]) -> None:
        """Complete a submission in whose middle the driver died."""
        names = self.cluster.adopt(self.base / folder, len(tasks))
        if names:
            self.ledger.append("ids", folder=folder, ids=names)
            for task, name in zip(tasks, names, strict=True):
                task.job_id = name

    # Called by Snakemake's scheduler, in its thread.

    def run_job(self, job: JobExecutorInterface) -> None:
        """Take one job.

        Parameters
        ----------
        job : JobExecutorInterface
            Ready to run.
        """
        self.run_jobs([job])

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Take all jobs of a scheduling round; they go out with the next round of the other thread.

        Parameters
        ----------
        jobs : list of JobExecutorInterface
            Ready to run.
        """
        for job in jobs:
            self.run_job_pre(job)
        with self.submitting:
            self.waiting.extend(jobs)
            self.last_arrival = time.monotonic()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Leave nothing on the cluster.

        Parameters
        ----------
        active_jobs : list of SubmittedJobInfo
            Not used: the base class empties its list during a round.
        """
        self.cancelled = True
        with self.submitting:
            names = {flight.task.job_id for flight in self.flights.values() if flight.task.job_id}
            arrays = {name.split("_")[0] for name in names} if self.cluster.name == "slurm" else names
            self.cluster.cancel(arrays)
            if arrays:
                self.logger.info(f"submitit: cancelled {self.cluster.name} {' '.join(sorted(arrays))}")
            for flight in self.flights.values():
                self._note_end(flight, Outcome(INTERRUPTED, "cancelled, because the workflow was stopped"))
            self.flights.clear()

    def shutdown(self) -> None:
        """Stop the other thread and clear away what finished late."""
        super().shutdown()
        prune_all(self.base, *self.ledger.replay())

    # Called in the thread that watches the cluster.

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """One tick: submit what has gathered, and look at the cluster when it is time to.

        Parameters
        ----------
        active_jobs : list of SubmittedJobInfo
            Handed to the cluster and not yet reported.

        Yields
        ------
        SubmittedJobInfo
            Those that go on.
        """
        with self.submitting:
            if self.waiting and time.monotonic() - self.last_arrival > GATHER_SECONDS and not self.cancelled:
                jobs, self.waiting = self.waiting, []
                self._submit_or_attach(jobs)
        due = time.monotonic() - self.last_poll >= self.settings.poll_interval
        if not active_jobs or not due or self.cancelled:
            for info in active_jobs:
                yield info
            return
        outcomes = self._look(active_jobs)
        for info in active_jobs:
            flight: Flight = info.aux["flight"]
            outcome = outcomes[flight.key]
            if self.cancelled or outcome.kind == RUNNING:
                yield info
            else:
                self._settle(info, flight, outcome)

    def _look(self, active_jobs: list[SubmittedJobInfo]) -> dict[str, Outcome]:
        """Ask the cluster once for all tasks, read their events, judge every cell."""
        started = time.monotonic()
        self.last_poll, self.rounds = started, self.rounds + 1
        flights = [info.aux["flight"] for info in active_jobs]
        tasks = {flight.task.job_id: flight.task for flight in flights}
        states = self.cluster.states(tasks)
        changed = {job_id: state for job_id, state in states.items() if self.states.get(job_id) != state}
        if changed:
            self.states |= changed
            self.ledger.append("states", states=changed)
        events = {
            job_id: read_events(task.path(self.base)) if states[job_id] != "PENDING" else {}
            for job_id, task in tasks.items()
        }
        outcomes = {}
        for flight in flights:
            job_id, key = flight.task.job_id, flight.key
            ended = (DONE, FAILED)
            settled = all(events[job_id].get(other, ("", ""))[0] in ended for other in flight.task.keys)
            event = events[job_id].get(key, ("", ""))
            outcomes[key] = self.judge.judge(flight.task.path(self.base), states[job_id], event, settled)
        self.logger.debug(f"submitit: looked at {len(tasks)} tasks in {time.monotonic() - started:.2f} s")
        return outcomes

    def _settle(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome) -> None:
        """Report a cell that has ended, or send it on its way again."""
        attached, flight.attached = flight.attached, False
        self.flights.pop(flight.key, None)
        if outcome.kind == INTERRUPTED or (attached and outcome.kind == FAILED):
            self._again(info, flight, outcome, counts=not attached)
            return
        self._note_end(flight, outcome)
        if outcome.kind == DONE:
            self._prune(flight.task)
            self.report_job_success(info)
        else:
            self._report_failure(info, flight, outcome.reason)

    def _again(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome, counts: bool) -> None:
        """Submit a cell anew, unless it has been cut short too often."""
        self._note_end(flight, Outcome(INTERRUPTED, outcome.reason))
        times = self.interruptions.get(flight.key, 0) + counts
        self.interruptions[flight.key] = times
        if times > self.settings.requeues:
            reason = f"cut short {times} times, more often than --submitit-requeues allows"
            self._note_end(flight, Outcome(FAILED, reason))
            self._report_failure(info, flight, reason)
            return
        self.logger.info(f"submitit: {flight.key} goes on in a new task ({outcome.reason or 'it was cut short'})")
        with self.submitting:
            self.waiting.append(flight.job)
            self.last_arrival = time.monotonic()

    def _report_failure(self, info: SubmittedJobInfo, flight: Flight, reason: str) -> None:
        logs = sorted(str(path) for path in flight.task.path(self.base).glob("*_log.out"))
        message = f"{self.cluster.name} task {flight.task.job_id}: {reason}. "
        self.report_job_error(info, msg=message, aux_logs=logs)

    def _note_end(self, flight: Flight, outcome: Outcome) -> None:
        self.ledger.append(
            "end",
            folder=flight.task.folder,
            index=flight.task.index,
            key=flight.key,
            outcome=outcome.kind,
            reason=outcome.reason,
        )

    def _prune(self, task: Task) -> None:
        """Clear a task's folder away when this was the last of its cells and all are done."""
        if any(flight.task is task for flight in self.flights.values()):
            return
        if all(read_events(task.path(self.base)).get(key, ("", ""))[0] == DONE for key in task.keys):
            prune_task(self.base, task)

    # Submission.

    def _submit_or_attach(self, jobs: list[JobExecutorInterface]) -> None:
        """Send out a round's jobs, except those that an earlier driver left on the cluster."""
        fresh = []
        for job in jobs:
            task = self.open.pop(job_key(job), None)
            if task is None:
                fresh.append(job)
            else:
                self.logger.info(f"submitit: {job_key(job)} is already on the cluster as {task.job_id}: taken over")
                self._fly(Flight(job, job_key(job), task, attached=True))
        if fresh and not self.limit:
            self.limit = self._array_limit()
        for packs in grouped(fresh, self.settings.pack):
            for start in range(0, len(packs), self.limit):
                self._submit(packs[start : start + self.limit])

    def _array_limit(self) -> int:
        try:
            limit = self.cluster.array_limit()
        except RuntimeError as error:
            raise WorkflowError(f"submitit: {error}. Without Slurm: --submitit-cluster local") from error
        return max(1, min(self.settings.array_size, limit, LARGEST_ARRAY))

    def _submit(self, packs: list[list[JobExecutorInterface]]) -> None:
        """Submit one array."""
        if self.builder is None:
            self.builder = PackBuilder(self.workflow, self.get_snakefile(), self.common_settings)
        folder = self._new_folder()
        largest = packs[0]
        keys = [[self._cell_line(job) for job in pack] for pack in packs]
        self.ledger.append("submit", folder=folder, cluster=self.cluster.name, tasks=keys)
        tasks = [Task(folder, i, tuple(c["key"] for c in cells), self.cluster.name) for i, cells in enumerate(keys)]
        try:
            threads = [max(1, int(job.resources.get("_cores", 1))) for job in largest]
            asked = parameters(requested(largest[0]), threads, self.settings)
            # Cells get most of the time between the signal and the limit to save their state.
            grace = max(5.0, 0.75 * asked["signal_delay_s"])
            folders = [str(task.path(self.base)) for task in tasks]
            work = [self.builder.build(pack, one, grace) for pack, one in zip(packs, folders, strict=True)]
            names = self.cluster.submit(self.base / folder, work, asked)
        except (RefusedError, ValueError) as error:
            self._refused(folder, tasks, packs, str(error))
            return
        self.ledger.append("ids", folder=folder, ids=names)
        for pack, task, name in zip(packs, tasks, names, strict=True):
            task.job_id = name
            for job in pack:
                self._fly(Flight(job, job_key(job), task))
        shown = ", ".join(f"{key}={value}" for key, value in asked.items())
        self.logger.info(f"submitit: {sum(map(len, packs))} jobs in {len(packs)} tasks as {names[0]} ... ({shown})")

    def _refused(self, folder: str, tasks: list[Task], packs: list[list[JobExecutorInterface]], message: str) -> None:
        """Fail the jobs that the cluster does not take."""
        reason = f"submission refused: {' '.join(message.split())}"
        self.ledger.append("refused", folder=folder, reason=reason)
        for job in (job for pack in packs for job in pack):
            self.report_job_error(SubmittedJobInfo(job), msg=f"{reason}. ")

    def _fly(self, flight: Flight) -> None:
        self.flights[flight.key] = flight
        self.report_job_submission(SubmittedJobInfo(flight.job, flight.task.job_id, {"flight": flight}))

    def _new_folder(self) -> str:
        """Name of a submission's folder, unique also among drivers; days keep the folder of folders small."""
        self.submissions = getattr(self, "submissions", 0) + 1
        now = time.strftime("%Y%m%d-%H%M%S")
        folder = f"{now[:8]}/{now}-{os.getpid()}-{self.submissions}"
        (self.base / folder).mkdir(parents=True)
        return folder

    @staticmethod
    def _cell_line(job: JobExecutorInterface) -> dict[str, str]:
        rules = ",".join(sorted(str(rule) for rule in job.rules))
        return {"key": job_key(job), "rule": rules, "log": next((str(path) for path in job.log), "")}
