"""The executor: takes ready jobs from Snakemake, hands them on in arrays, and reports what becomes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from lmrnn.ledger import DONE, FAILED, INTERRUPTED, Ledger, Task
from snakemake_executor_plugin_submitit.clusters import make_cluster
from snakemake_executor_plugin_submitit.events import read_events
from snakemake_executor_plugin_submitit.outcome import RUNNING, Judge, Outcome
from snakemake_executor_plugin_submitit.packing import PackBuilder, job_key
from snakemake_executor_plugin_submitit.pruning import prune_task
from snakemake_executor_plugin_submitit.slurm import RefusedError, UnansweredError
from snakemake_executor_plugin_submitit.states import UNKNOWN, is_dead
from snakemake_executor_plugin_submitit.submission import Submitter

TICK_SECONDS = 0.5
# Jobs that become ready within this time of each other go out together; none waits longer for company. Those that
# follow on others trickle in, because Snakemake takes in one by one what has ended.
GATHER_SECONDS, GATHER_LATER_SECONDS, LONGEST_GATHER_SECONDS = 1.0, 3.0, 10.0


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
        Taken over from an earlier driver and not yet seen alive: what has failed meanwhile is submitted anew.
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
        self.cluster = make_cluster(settings.cluster, settings.requeues)
        self.submitter = Submitter(Ledger(Path(settings.folder).absolute()), self.cluster, settings)
        self.base, self.ledger = self.submitter.base, self.submitter.ledger
        self.judge = Judge(settings.grace, self.workflow.execution_settings.latency_wait)
        self.builder: PackBuilder | None = None
        self.next_seconds_between_status_checks = TICK_SECONDS
        self.waiting: list[JobExecutorInterface] = []
        self.first_arrival = self.last_arrival = self.last_poll = 0.0
        self.flights: dict[str, Flight] = {}
        self.interruptions: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.settled = False  # whether any job has ended yet
        self.submitting = threading.RLock()

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
        self._wait_for_company(jobs)

    def _wait_for_company(self, jobs: list[JobExecutorInterface]) -> None:
        """Gather what becomes ready at about the same time."""
        with self.submitting:
            now = time.monotonic()
            self.first_arrival = self.first_arrival if self.waiting else now
            self.last_arrival = now
            self.waiting.extend(jobs)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Leave nothing on the cluster.

        Parameters
        ----------
        active_jobs : list of SubmittedJobInfo
            Not used: the base class empties its list during a round.
        """
        self.cluster.stop.set()
        with self.submitting:
            tasks = {key: entry.task for key, entry in self.submitter.left_behind.items()}
            tasks |= {key: flight.task for key, flight in self.flights.items()}
            names = sorted({task.job_id for task in tasks.values()})
            if names and self.cluster.cancel(names):
                self.logger.info(f"submitit: cancelled {len(names)} tasks on {self.cluster.name}")
                for key, task in tasks.items():
                    done = read_events(task.path(self.base)).get(key, ("", ""))[0] == DONE
                    reason = "" if done else "cancelled, because the workflow was stopped"
                    self.submitter.note_end(task, key, DONE if done else INTERRUPTED, reason)
            elif names:
                # They stay open in the ledger.
                self.logger.error(
                    f"submitit: {self.cluster.name} does not answer; {len(names)} tasks may go on ({names[0]} ...). "
                    "The same command will take them over; scancel stops them"
                )
            self.flights.clear()
            self.submitter.left_behind.clear()

    def shutdown(self) -> None:
        """Stop the other thread and clear away what finished late."""
        super().shutdown()
        self.submitter.close()

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
            now = time.monotonic()
            pause = GATHER_LATER_SECONDS if self.settled else GATHER_SECONDS
            gathered = now - self.last_arrival > pause or now - self.first_arrival > LONGEST_GATHER_SECONDS
            if self.waiting and gathered and not self.cluster.stop.is_set():
                jobs, self.waiting = self.waiting, []
                self._submit_or_attach(jobs)
        due = time.monotonic() - self.last_poll >= self.settings.poll_interval
        if not active_jobs or not due or self.cluster.stop.is_set():
            for info in active_jobs:
                yield info
            return
        outcomes = self._look(active_jobs)
        for info in active_jobs:
            flight: Flight = info.aux["flight"]
            outcome = outcomes[flight.key]
            if self.cluster.stop.is_set() or outcome.kind == RUNNING:
                yield info
            else:
                self._settle(info, flight, outcome)

    def _look(self, active_jobs: list[SubmittedJobInfo]) -> dict[str, Outcome]:
        """Ask the cluster once for all tasks, read their events, judge every cell."""
        self.last_poll = started = time.monotonic()
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
            outcomes[key] = self.judge.judge(flight.task.path(self.base), key, states[job_id], event, settled)
            if outcomes[key].kind == RUNNING and not is_dead(states[job_id]) and states[job_id] != UNKNOWN:
                flight.attached = False
        self.logger.debug(f"submitit: looked at {len(tasks)} tasks in {time.monotonic() - started:.2f} s")
        return outcomes

    def _settle(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome) -> None:
        """Report a cell that has ended, or send it on its way again."""
        self.flights.pop(flight.key, None)
        self.settled = True
        if outcome.kind == DONE:
            self.submitter.note_end(flight.task, flight.key, DONE)
            self._prune(flight.task)
            self.report_job_success(info)
        elif outcome.kind == INTERRUPTED:
            self._again(info, flight, outcome.reason)
        elif flight.attached or self._may_try_alone(flight, outcome):
            if outcome.alone:
                self.submitter.alone.add(flight.key)
            self._again(info, flight, outcome.reason, counts=False)
        else:
            self._fail(info, flight, outcome.reason)

    def _may_try_alone(self, flight: Flight, outcome: Outcome) -> bool:
        """Whether a cell of a task that died gets one more, without neighbours.

        One of those may have brought the task down; and a task can die before it has begun, of a signal to make room
        that comes before anything could heed it.
        """
        blameless = len(flight.task.keys) > 1 or not outcome.begun
        return outcome.alone and blameless and flight.key not in self.submitter.alone

    def _again(self, info: SubmittedJobInfo, flight: Flight, reason: str, counts: bool = True) -> None:
        """Submit a cell anew, unless it has been cut short too often."""
        times = self.interruptions.get(flight.key, 0) + counts
        self.interruptions[flight.key] = times
        if times > self.settings.requeues:
            self._fail(info, flight, f"cut short {times} times, more often than --submitit-requeues allows")
            return
        self.submitter.note_end(flight.task, flight.key, INTERRUPTED, reason)
        self.logger.info(f"submitit: {flight.key} goes on in a new task ({reason or 'it was cut short'})")
        self._wait_for_company([flight.job])

    def _fail(self, info: SubmittedJobInfo, flight: Flight, reason: str) -> None:
        self.submitter.note_end(flight.task, flight.key, FAILED, reason)
        logs = sorted(str(path) for path in flight.task.path(self.base).glob("*_log.out"))
        message = f"{self.cluster.name} task {flight.task.job_id}: {reason}. "
        self.report_job_error(info, msg=message, aux_logs=logs)

    def _prune(self, task: Task) -> None:
        """Clear a task's folder away when this was the last of its cells and all are done."""
        if any(flight.task is task for flight in self.flights.values()):
            return
        if all(read_events(task.path(self.base)).get(key, ("", ""))[0] == DONE for key in task.keys):
            self.submitter.note_unclaimed(task)
            prune_task(self.base, task)

    # Submission.

    def _submit_or_attach(self, jobs: list[JobExecutorInterface]) -> None:
        """Send out a round's jobs, except those that an earlier driver left on the cluster."""
        fresh = []
        for job in jobs:
            task = self.submitter.take_over(job)
            if task is None:
                fresh.append(job)
            else:
                self.logger.info(f"submitit: {job_key(job)} is already on the cluster as {task.job_id}: taken over")
                self._fly(Flight(job, job_key(job), task, attached=True))
        for packs in self.submitter.arrays(fresh):
            if not self.cluster.stop.is_set():
                self._submit(packs)

    def _submit(self, packs: list[list[JobExecutorInterface]]) -> None:
        """Submit one array."""
        if self.builder is None:
            self.builder = PackBuilder(self.workflow, self.get_snakefile(), self.common_settings)
        try:
            tasks, asked = self.submitter.submit(packs, self.builder)
        except RefusedError as error:
            for job in (job for pack in packs for job in pack):
                self.report_job_error(SubmittedJobInfo(job), msg=f"{error}. ")
            return
        except UnansweredError:  # the workflow was stopped meanwhile; the next driver will ask what came of it
            return
        for pack, task in zip(packs, tasks, strict=True):
            for job in pack:
                self._fly(Flight(job, job_key(job), task))
        shown = ", ".join(f"{key}={value}" for key, value in asked.items())
        count = sum(map(len, packs))
        self.logger.info(f"submitit: {count} jobs in {len(packs)} tasks as {tasks[0].job_id} ... ({shown})")

    def _fly(self, flight: Flight) -> None:
        self.flights[flight.key] = flight
        self.report_job_submission(SubmittedJobInfo(flight.job, flight.task.job_id, {"flight": flight}))
