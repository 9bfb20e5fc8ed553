"""Slurm's states: one table says what each means for a job, and what to tell its user."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    """What a task in some state is about to do: wait for its start, run, perhaps start again, or nothing any more."""

    WAITS = "waits"
    RUNS = "runs"
    MAY_COME_BACK = "may come back"
    OVER = "over"


class State(NamedTuple):
    """A row: its phase, advice for a job that did not end well in it, whether somebody ended the task on purpose."""

    phase: Phase
    advice: str = ""
    wanted: bool = False


# Neither sacct nor squeue knows the task, and squeue did answer; nobody answered.
GONE, UNKNOWN = "GONE", "UNKNOWN"
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_RUNNING = ("RUNNING", "COMPLETING", "EXPEDITING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED")
STATES = {
    **dict.fromkeys((*_WAITING, "POWER_UP_NODE"), State(Phase.WAITS)),
    **dict.fromkeys((*_RUNNING, "UPDATE_DB", UNKNOWN), State(Phase.RUNS)),
    # After these Slurm may start the task again: they are final only if they last.
    "NODE_FAIL": State(Phase.MAY_COME_BACK, "the node was lost"),
    "PREEMPTED": State(Phase.MAY_COME_BACK, "the task was preempted and not requeued"),
    "COMPLETED": State(Phase.OVER),
    "FAILED": State(Phase.OVER, "the task was killed or ended with an error; its log may say why"),
    "TIMEOUT": State(Phase.OVER, "the time limit came before the work was done or could be saved; raise `runtime`"),
    "OUT_OF_MEMORY": State(Phase.OVER, "more memory was used than `mem_mb` asked for"),
    "BOOT_FAIL": State(Phase.OVER, "the node did not start"),
    "LAUNCH_FAILED": State(Phase.OVER, "Slurm could not start the task"),
    "RECONFIG_FAIL": State(Phase.OVER, "Slurm could not set the node up"),
    "CANCELLED": State(Phase.OVER, "the task was cancelled", wanted=True),
    "REVOKED": State(Phase.OVER, "another cluster took the task", wanted=True),
    "DEADLINE": State(Phase.OVER, "the deadline passed", wanted=True),
    GONE: State(Phase.OVER, "Slurm no longer knows the task"),
}


def meaning(state: str) -> State:
    """Row of a state; one that nobody knows goes on, and is never success."""
    return STATES.get(state, State(Phase.RUNS))


def is_dead(state: str) -> bool:
    """Whether a task in this state does nothing any more, for now at least."""
    return meaning(state).phase in (Phase.OVER, Phase.MAY_COME_BACK)


def first_word(state: str) -> str:
    """Slurm's word for a state, without what may follow it: ``CANCELLED`` of ``CANCELLED by 0``."""
    return (state.split() or [UNKNOWN])[0].rstrip("+")
