"""What has become of one job, from its own events and its task's state.

The rules, in their order: a job that reported success is done, whatever Slurm says. A job that reported failure has
failed. One that was shot down waits for what Slurm says of its task, which may die of the same. While the task is
alive, or nobody knows, the job goes on. Once the task is dead, a job that was interrupted goes on in a new task if its
rule asks for that; of any other the task's state is the reason of its failure. A state that nobody knows is never
success.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from .events import DONE, FAILED, INTERRUPTED, KILLED, LOST, Event
from .states import Phase, is_dead, meaning

RUNNING = "running"
# Slurm needs a few seconds to end a task after the first of its processes was killed.
KILL_SECONDS = 10.0
_KILLED = re.compile(r"exceeded memory limit|oom[-_ ]kill|out of memory|DUE TO|CANCELLED AT", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job so far: ``running``, ``done``, ``failed`` or ``interrupted`` (to be submitted again), with the
    reason of a failure for people and the exit status or signal of its command. `alone` says that the job was no more
    to blame than its neighbours, because the whole task died, so that it may try again without them; `begun` whether it
    may have started before the task died.
    """

    kind: str
    reason: str = ""
    alone: bool = False
    begun: bool = True
    status: int | None = None
    signal: int | None = None


class Judge:
    """Decides on outcomes; remembers since when a dead task's report is awaited. `grace` are the seconds for which
    Slurm may still requeue a task after a lost node or a preemption, `latency` those that a file may take to show up
    here.
    """

    def __init__(self, grace: float, latency: float) -> None:
        self.grace, self.latency = grace, latency
        self._since: dict[tuple[str, str], float] = {}

    def judge(self, task: Path, job: str, state: str, event: Event, settled: bool, resumable: bool = True) -> Outcome:
        """Outcome of one job (its key) from its task's folder and state and its last event. `settled` says whether the
        task has nothing more to do for other jobs than to end, `resumable` whether the rule asks to go on after an
        interruption.
        """
        dead = is_dead(state)
        if event.kind == DONE:
            # Waiting for the task's end lets its folder be cleared away at once.
            long = self._waited(task, "end") > min(self.latency, 5.0)
            return Outcome(DONE if dead or long or not settled else RUNNING)
        if event.kind in (FAILED, LOST):
            return _failed(event, event.reason, alone=event.kind == LOST)
        if event.kind == KILLED:
            return self._after_a_kill(task, job, state, event, resumable)
        if not dead:
            self._since.pop((str(task), "dead"), None)
            return Outcome(RUNNING)
        return self._after_death(task, state, event, resumable)

    def _after_a_kill(self, task: Path, job: str, state: str, event: Event, resumable: bool) -> Outcome:
        """Outcome of a job that was shot down, perhaps with its whole task, of which Slurm will then say why."""
        row = meaning(state)
        if row.phase == Phase.WAITS:  # requeued: the job starts again there
            self._since.pop((str(task), f"kill of {job}"), None)
            return Outcome(RUNNING)
        if row.phase == Phase.RUNS:
            by_itself = self._waited(task, f"kill of {job}") > KILL_SECONDS
            return _failed(event, event.reason, alone=True) if by_itself else Outcome(RUNNING)
        if row.phase == Phase.MAY_COME_BACK:
            return Outcome(INTERRUPTED, event.reason) if resumable else self._after_death(task, state, event, False)
        if not row.wanted and self._waited(task, "dead") <= self.latency:
            return Outcome(RUNNING)  # like its neighbours that did not live to report: all go on together
        why = f"; Slurm's state {state}: {row.advice}" if row.advice else ""
        return _failed(event, f"{event.reason}{why}{log_hint(task)}", alone=not row.wanted)

    def _after_death(self, task: Path, state: str, event: Event, resumable: bool) -> Outcome:
        """Outcome of a job whose task is dead, once it has been so for long enough."""
        row, waited = meaning(state), self._waited(task, "dead")
        may_come_back = row.phase == Phase.MAY_COME_BACK
        if may_come_back and waited <= self.grace:
            return Outcome(RUNNING)
        if event.kind == INTERRUPTED and resumable and not row.wanted:
            return Outcome(INTERRUPTED, event.reason)
        if not may_come_back and not row.wanted and waited <= self.latency:
            return Outcome(RUNNING)  # its report may still be on its way through a slow file system
        if resumable and (may_come_back or state == "BOOT_FAIL"):
            return Outcome(INTERRUPTED, row.advice)
        whole = f"Slurm's state {state}: {row.advice or 'it left no report'}{log_hint(task)}"
        return _failed(event, whole, alone=not may_come_back and not row.wanted, begun=bool(event.kind))

    def _waited(self, task: Path, what: str) -> float:
        """Seconds since something was first seen of a task."""
        now = time.monotonic()
        return now - self._since.setdefault((str(task), what), now)


def _failed(event: Event, reason: str, alone: bool, begun: bool = True) -> Outcome:
    return Outcome(FAILED, reason, alone, begun, event.status, event.signal)


def log_hint(task: Path) -> str:
    """What the logs in a task's folder say about its end: the line in which Slurm says why it killed it, or nothing."""
    for log in task.glob("*_log.out"):
        with open(log, "rb") as handle:
            handle.seek(max(0, log.stat().st_size - 20_000))
            tail = handle.read().decode(errors="replace")
        lines = [line.strip() for line in tail.splitlines() if _KILLED.search(line)]
        if lines:
            return f" ({lines[-1]})"
    return ""
