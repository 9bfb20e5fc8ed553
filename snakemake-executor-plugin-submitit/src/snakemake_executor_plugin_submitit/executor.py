"""The executor: takes ready jobs from Snakemake, hands them on in arrays, and reports what becomes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from .clusters import make_cluster
from .efficiency import write_reports
from .errors import LimitedError, RefusedError, UnansweredError
from .events import DONE, FAILED, INTERRUPTED, NOTHING, read_events
from .identity import job_key, rules_of, shown
from .interrupts import Patience
from .ledger import Task
from .outcome import RUNNING, Judge, Outcome
from .packing import Jobs, PackBuilder
from .pruning import prune_task
from .states import UNKNOWN, Phase, is_dead, meaning
from .submission import Submitter
from .waiting import Reasons

TICK_SECONDS = 0.5
# No job waits longer than this for company.
LONGEST_GATHER_SECONDS = 10.0
# Where a limit of jobs is reached, room is looked for when one has ended, or after this time.
ROOM_SECONDS = 30.0
# Tasks whose jobs are done get this long to end, so that their folders can go.
ENDING_SECONDS = 5.0


@dataclass
class Flight:
    """A job that was handed to the cluster: its key in the ledger, the task it runs in, whether its rule asks to go on
    after an interruption. `attached` says that it was taken over from an earlier driver and not yet seen alive: what
    has failed meanwhile is submitted anew.
    """

    job: JobExecutorInterface
    key: str
    task: Task
    resumable: bool
    attached: bool = False


class Executor(RemoteExecutor):
    """Submits in rounds from the thread that also asks for states, so that one round's jobs go out as one array."""

    def __post_init__(self) -> None:
        """Read the ledger; called by Snakemake's base class at the end of its constructor."""
        self.settings = self.workflow.executor_settings
        if self.workflow.remote_execution_settings.immediate_submit:
            raise WorkflowError("submitit: --immediate-submit is not possible: jobs go out in arrays as they get ready")
        self.cluster = make_cluster(self.settings, self.get_python_executable())
        triggers = [trigger.item_to_choice() for trigger in self.workflow.rerun_triggers]
        self.submitter = Submitter(self.cluster, self.settings, triggers)
        self.base, self.ledger = self.submitter.base, self.submitter.ledger
        if self.ledger.skipped:
            self.logger.warning(f"submitit: {self.ledger.skipped} lines of {self.ledger.path} cannot be read; left out")
        self.judge = Judge(self.settings.grace, self.workflow.execution_settings.latency_wait)
        self.reasons = Reasons(self.cluster)
        self.builder: PackBuilder | None = None
        self.next_seconds_between_status_checks = TICK_SECONDS
        self.waiting: Jobs = []
        self.first_arrival = self.last_arrival = self.last_poll = self.full_until = 0.0
        self.flights: dict[str, Flight] = {}
        self.ran: dict[str, tuple[Task, str]] = {}  # tasks of this run and their rules, by Slurm's name
        self.ending: dict[str, Task] = {}  # all of their jobs are done, but they have not ended yet
        self.interruptions: dict[str, int] = {}
        self.states: dict[str, str] = {}
        self.settled = False  # whether any job has ended yet
        self.submitting = threading.RLock()
        self.patience = Patience(self.logger)

    # Called by Snakemake's scheduler, in its thread.

    def run_job(self, job: JobExecutorInterface) -> None:
        """Take one job that is ready to run."""
        self.run_jobs([job])

    def run_jobs(self, jobs: Jobs) -> None:
        """Take all jobs of a scheduling round; they go out with the next round of the other thread."""
        for job in jobs:
            self.run_job_pre(job)
        self._wait_for_company(jobs)

    def _wait_for_company(self, jobs: Jobs) -> None:
        """Gather what becomes ready at about the same time."""
        with self.submitting:
            now = time.monotonic()
            self.first_arrival = self.first_arrival if self.waiting else now
            self.last_arrival = now
            self.waiting.extend(jobs)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Leave nothing of this workflow on the cluster; the base class empties `active_jobs` during a round."""
        self.patience.heard = True
        self.cluster.stop.set()
        with self.submitting:
            tasks = self.submitter.give_up_left_behind()
            tasks |= {key: flight.task for key, flight in self.flights.items()}
            for site in {task.site for task in tasks.values()}:
                self._cancel({key: task for key, task in tasks.items() if task.site == site}, site)
            self.flights.clear()
        self.patience.over()

    def _cancel(self, tasks: dict[str, Task], site: str) -> None:
        names = sorted({task.job_id for task in tasks.values()})
        if not self.cluster.cancel(names, site):
            # They stay open in the ledger.
            self.logger.error(
                f"submitit: {self.cluster.name} does not answer; {len(names)} tasks may go on ({names[0]} ...). "
                "The same command will take them over; scancel stops them"
            )
            return
        self.logger.info(f"submitit: cancelled {len(names)} tasks on {self.cluster.name}")
        for key, task in tasks.items():
            done = read_events(task.path(self.base)).get(key, NOTHING).kind == DONE
            stopped = Outcome(INTERRUPTED, "cancelled, because the workflow was stopped")
            self.submitter.note_end(task, key, Outcome(DONE) if done else stopped)

    def shutdown(self) -> None:
        """Stop the other thread and clear away what finished late."""
        super().shutdown()
        end = time.monotonic() + ENDING_SECONDS
        while self.ending and not self.cluster.stop.is_set():
            self._look_at_states(self.ending.values())
            self.ending = {name: task for name, task in self.ending.items() if not is_dead(self.states[name])}
            if time.monotonic() > end:
                break
            time.sleep(TICK_SECONDS)
        self.submitter.close({(task.folder, task.index) for task in self.ending.values()})
        if self.settings.efficiency_report and self.ran and self.cluster.name == "slurm":
            count = write_reports(Path(self.settings.efficiency_report), self.ran)
            told = f"what {count} tasks used of what they asked for: {self.settings.efficiency_report}"
            self.logger.info(f"submitit: {told}")
        self.patience.over()

    # Called in the thread that watches the cluster.

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """One tick: submit what has gathered, look at the cluster when it is time to, and yield the jobs that go on."""
        self.patience.insist()
        with self.submitting:
            if self._is_gathered() and not self.cluster.stop.is_set():
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

    def _is_gathered(self) -> bool:
        """Whether the jobs that wait for company are to go out now."""
        now = time.monotonic()
        pause = self.cluster.gather[self.settled]
        gathered = now - self.last_arrival > pause or now - self.first_arrival > LONGEST_GATHER_SECONDS
        return bool(self.waiting) and gathered and now > self.full_until

    def _look(self, active_jobs: list[SubmittedJobInfo]) -> dict[str, Outcome]:
        """Ask the cluster once for all tasks, read their events, judge every job."""
        self.last_poll = started = time.monotonic()
        flights = [info.aux["flight"] for info in active_jobs]
        tasks = {flight.task.job_id: flight.task for flight in flights}
        self._look_at_states([*tasks.values(), *self.ending.values()])
        for warning in self.reasons.of(tasks.values(), self.states):
            self.logger.warning(f"submitit: {warning}")
        self._clear_away()
        waits = {job_id: meaning(self.states[job_id]).phase == Phase.WAITS for job_id in tasks}
        events = {name: {} if waits[name] else read_events(task.path(self.base)) for name, task in tasks.items()}
        outcomes = {}
        for flight in flights:
            job_id, key = flight.task.job_id, flight.key
            state = self.states[job_id]
            settled = all(events[job_id].get(other, NOTHING).kind in (DONE, FAILED) for other in flight.task.keys)
            event = events[job_id].get(key, NOTHING)
            folder = flight.task.path(self.base)
            outcomes[key] = self.judge.judge(folder, key, state, event, settled, flight.resumable)
            if outcomes[key].kind == RUNNING and not is_dead(state) and state != UNKNOWN:
                flight.attached = False
        self.logger.debug(f"submitit: looked at {len(tasks)} tasks in {time.monotonic() - started:.2f} s")
        return outcomes

    def _look_at_states(self, tasks: Iterable[Task]) -> None:
        """Ask for the states of tasks, and note in the ledger what has changed."""
        tasks = list(tasks)
        for site in {task.site for task in tasks}:
            found = self.cluster.states({task.job_id for task in tasks if task.site == site}, site)
            changed = {job_id: state for job_id, state in found.items() if self.states.get(job_id) != state}
            if changed:
                self.states |= changed
                self.ledger.append("states", states=changed, site=site)

    def _clear_away(self) -> None:
        """Remove the folders of tasks that have ended with all of their jobs done."""
        for name, task in list(self.ending.items()):
            if is_dead(self.states[name]):
                prune_task(self.base, task, self.settings.keep_logs)
                del self.ending[name]

    def _settle(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome) -> None:
        """Report a job that has ended, or send it on its way again."""
        self.flights.pop(flight.key, None)
        self.settled, self.full_until = True, 0.0
        if outcome.kind == DONE:
            self.submitter.note_end(flight.task, flight.key, outcome)
            self._note_done(flight.task)
            self.report_job_success(info)
        elif outcome.kind == INTERRUPTED:
            self._again(info, flight, outcome)
        elif flight.attached or self._may_try_alone(flight, outcome):
            if outcome.alone:
                self.submitter.alone.add(flight.key)
            self._again(info, flight, outcome, counts=False)
        else:
            self._fail(info, flight, outcome)

    def _may_try_alone(self, flight: Flight, outcome: Outcome) -> bool:
        """Whether a job of a task that died gets one more, without neighbours.

        One of those may have brought the task down; and a task can die before it has begun, of a signal to make room
        that comes before anything could heed it.
        """
        blameless = len(flight.task.keys) > 1 or not outcome.begun
        return outcome.alone and blameless and flight.key not in self.submitter.alone

    def _again(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome, counts: bool = True) -> None:
        """Submit a job anew, unless it has been cut short too often."""
        times = self.interruptions.get(flight.key, 0) + counts
        self.interruptions[flight.key] = times
        if times > self.settings.requeues:
            why = f"cut short {times} times, more often than --submitit-requeues allows"
            self._fail(info, flight, Outcome(FAILED, why, status=outcome.status, signal=outcome.signal))
            return
        reason = outcome.reason or "it was cut short"
        self.submitter.note_end(flight.task, flight.key, Outcome(INTERRUPTED, reason, False, True, outcome.status))
        self.logger.info(f"submitit: {shown(flight.key)} goes on in a new task ({reason})")
        self._wait_for_company([flight.job])

    def _fail(self, info: SubmittedJobInfo, flight: Flight, outcome: Outcome) -> None:
        self.submitter.note_end(flight.task, flight.key, outcome)
        logs = sorted(str(path) for path in flight.task.path(self.base).glob("*_log.out"))
        message = f"{self.cluster.name} task {flight.task.job_id}: {outcome.reason}. "
        self.report_job_error(info, msg=message, aux_logs=logs)

    def _note_done(self, task: Task) -> None:
        """A task whose last job is done is cleared away once it has ended."""
        if any(flight.task is task for flight in self.flights.values()):
            return
        events = read_events(task.path(self.base))
        if all(events.get(key, NOTHING).kind == DONE for key in task.keys):
            self.submitter.note_unclaimed(task)
            self.ending[task.job_id] = task
            self._clear_away()

    # Submission.

    def _submit_or_attach(self, jobs: Jobs) -> None:
        """Send out a round's jobs, except those that an earlier driver left on the cluster."""
        fresh = []
        for job in jobs:
            task = self.submitter.take_over(job)
            if task is not None:
                key = job_key(job)
                self.logger.info(f"submitit: {shown(key)} is already on the cluster as {task.job_id}: taken over")
                self._fly(Flight(job, key, task, self.submitter.ask(job)["resumable"], attached=True))
            elif (why := self.submitter.objection(job)) is not None:
                self.report_job_error(SubmittedJobInfo(job), msg=f"{shown(job_key(job))}: {why}. ")
            else:
                fresh.append(job)
        for packs in self.submitter.arrays(fresh):
            if not self.cluster.stop.is_set():
                self._submit(packs)

    def _submit(self, packs: list[Jobs]) -> None:
        """Submit one array; where the cluster has no room for it, a part of it, and the rest later."""
        if time.monotonic() < self.full_until:
            self.waiting += [job for pack in packs for job in pack]
            return
        if self.builder is None:
            python = self.get_python_executable()
            self.builder = PackBuilder(self.workflow, self.get_snakefile(), python, self.common_settings)
        try:
            tasks, asked = self.submitter.submit(packs, self.builder)
        except LimitedError as error:
            self._submit_less(packs, error)
            return
        except RefusedError as error:
            self._refuse(packs, error)
            return
        except UnansweredError:  # the workflow was stopped meanwhile; the next driver will ask what came of it
            return
        for pack, task in zip(packs, tasks, strict=True):
            for job in pack:
                self._fly(Flight(job, job_key(job), task, asked["resumable"]))
        told = ", ".join(f"{name}={value}" for name, value in asked.items() if value not in ((), False))
        count = sum(map(len, packs))
        self.logger.info(f"submitit: {count} jobs in {len(packs)} tasks as {tasks[0].job_id} ... ({told})")

    def _refuse(self, packs: list[Jobs], error: RefusedError) -> None:
        """An array was refused: what asks for less than its largest is submitted apart, else its jobs have failed."""
        parts = self.submitter.apart(packs)
        if len(parts) > 1:
            for part in parts:
                self._submit(part)
            return
        for job in (job for pack in packs for job in pack):
            self.report_job_error(SubmittedJobInfo(job), msg=f"{error}. ")

    def _submit_less(self, packs: list[Jobs], error: LimitedError) -> None:
        """A limit of jobs is reached: try half, down to a single task; then wait until something has ended."""
        if len(packs) > 1:
            half = len(packs) // 2
            self._submit(packs[:half])
            self._submit(packs[half:])
            return
        reason = " ".join(str(error).split())
        self.logger.info(f"submitit: {self.cluster.name} takes no more jobs for now ({reason}); the rest waits")
        self.full_until = time.monotonic() + ROOM_SECONDS
        self.waiting += packs[0]

    def _fly(self, flight: Flight) -> None:
        self.flights[flight.key] = flight
        self.ran[flight.task.job_id] = flight.task, rules_of(flight.job)
        self.report_job_submission(SubmittedJobInfo(flight.job, flight.task.job_id, {"flight": flight}))
