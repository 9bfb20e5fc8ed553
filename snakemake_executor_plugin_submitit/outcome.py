"""What has become of one cell, from its own events and its task's state.

The rules, in their order: a cell that reported success is done, whatever Slurm says. A cell that reported failure has
failed. One that was shot down waits for what Slurm says of its task, which may die of the same. While the task is
alive, or nobody knows, the cell goes on. Once the task is dead, a cell that was interrupted goes on in a new task; of
any other the task's state is the reason of its failure. A state that nobody knows is never success.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_submitit.events import DONE, FAILED, INTERRUPTED, KILLED, LOST
from snakemake_executor_plugin_submitit.states import FINAL, GONE, PERHAPS_FINAL, is_dead

RUNNING = "running"
# Slurm needs a few seconds to end a task after the first of its processes was killed.
KILL_SECONDS = 10.0
_CANCELLED = frozenset({"CANCELLED", "REVOKED", "DEADLINE"})
_ADVICE = {
    "TIMEOUT": "the time limit came before the work was done or could be saved; raise `runtime`",
    "OUT_OF_MEMORY": "more memory was used than `mem_mb` asked for",
    "CANCELLED": "the task was cancelled",
    "NODE_FAIL": "the node was lost",
    "PREEMPTED": "the task was preempted and not requeued",
    "FAILED": "the task was killed or ended with an error; its log may say why",
    GONE: "Slurm no longer knows the task",
}
_KILLED = re.compile(r"exceeded memory limit|oom[-_ ]kill|out of memory|DUE TO|CANCELLED AT", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a cell so far.

    Parameters
    ----------
    kind : str
        ``running``, ``done``, ``failed`` or ``interrupted`` (to be submitted again).
    reason : str
        Of a failure.
    alone : bool
        The cell was no more to blame than its neighbours: the whole task died. It may try again without them.
    begun : bool
        Whether it may have started before the task died.
    """

    kind: str
    reason: str = ""
    alone: bool = False
    begun: bool = True


class Judge:
    """Decides on outcomes; remembers since when a dead task's report is awaited.

    Parameters
    ----------
    grace : float
        Seconds for which Slurm may still requeue a task after a lost node or a preemption.
    latency : float
        Seconds that a file may take to show up on this machine.
    """

    def __init__(self, grace: float, latency: float) -> None:
        self.grace, self.latency = grace, latency
        self._since: dict[tuple[str, str], float] = {}

    def judge(self, task: Path, cell: str, state: str, event: tuple[str, str], settled: bool) -> Outcome:
        """Outcome of one cell.

        Parameters
        ----------
        task : Path
            Its task's folder.
        cell : str
            Its key.
        state : str
            Its task's state.
        event : (str, str)
            Its last event and reason; empty while there is none.
        settled : bool
            Whether the task has nothing more to do for other cells than to end.

        Returns
        -------
        Outcome
            So far.
        """
        kind, reason = event
        dead = is_dead(state)
        if kind == DONE:
            # Waiting for the task's end lets its folder be cleared away at once.
            long = self._waited(task, "end") > min(self.latency, 5.0)
            return Outcome(DONE if dead or long or not settled else RUNNING)
        if kind in (FAILED, LOST):
            return Outcome(FAILED, reason, alone=kind == LOST)
        if kind == KILLED:
            return self._after_a_kill(task, cell, state, reason)
        if not dead:
            self._since.pop((str(task), "dead"), None)
            return Outcome(RUNNING)
        waited = self._waited(task, "dead")
        if state in FINAL:
            return self._after_death(task, state, kind, reason, waited > self.latency)
        return self._after_death(task, state, kind, reason, True) if waited > self.grace else Outcome(RUNNING)

    def _after_a_kill(self, task: Path, cell: str, state: str, reason: str) -> Outcome:
        """Outcome of a cell that was shot down, perhaps with its whole task, of which Slurm will then say why."""
        if not is_dead(state):
            by_itself = self._waited(task, f"kill of {cell}") > KILL_SECONDS
            return Outcome(FAILED, reason, alone=True) if by_itself else Outcome(RUNNING)
        if state in PERHAPS_FINAL:
            return Outcome(INTERRUPTED, reason)
        if state not in _CANCELLED and self._waited(task, "dead") <= self.latency:
            return Outcome(RUNNING)  # like its neighbours that did not live to report: all go on together
        why = f"; Slurm's state {state}: {_ADVICE[state]}" if state in _ADVICE else ""
        return Outcome(FAILED, f"{reason}{why}{log_hint(task)}", alone=state not in _CANCELLED)

    def _after_death(self, task: Path, state: str, kind: str, reason: str, waited: bool) -> Outcome:
        """Outcome of a cell whose task is dead for good."""
        if kind == INTERRUPTED and state not in _CANCELLED:
            return Outcome(INTERRUPTED, reason)
        if not waited and state not in _CANCELLED:
            return Outcome(RUNNING)  # its report may still be on its way through a slow file system
        if state in PERHAPS_FINAL or state == "BOOT_FAIL":
            return Outcome(INTERRUPTED, _ADVICE.get(state, ""))
        said = _ADVICE.get(state, "it left no report")
        whole = f"Slurm's state {state}: {said}{log_hint(task)}"
        return Outcome(FAILED, whole, alone=state not in _CANCELLED, begun=bool(kind))

    def _waited(self, task: Path, what: str) -> float:
        """Seconds since something was first seen of a task."""
        now = time.monotonic()
        return now - self._since.setdefault((str(task), what), now)


def log_hint(task: Path) -> str:
    """What the task's log says about its end.

    Parameters
    ----------
    task : Path
        The task's folder.

    Returns
    -------
    str
        The line in which Slurm says why it killed the task; empty if there is none.
    """
    for log in task.glob("*_log.out"):
        tail = log.read_text(encoding="utf-8", errors="replace")[-20_000:]
        lines = [line.strip() for line in tail.splitlines() if _KILLED.search(line)]
        if lines:
            return f" ({lines[-1]})"
    return ""
