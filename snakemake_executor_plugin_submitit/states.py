"""Slurm's states, asked for at most once a round for all tasks together."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable

from submitit.slurm.slurm import SlurmInfoWatcher

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL", "REVOKED"})
# After these Slurm may start the task again: they are final only if they last.
PERHAPS_FINAL = frozenset({"NODE_FAIL", "PREEMPTED"})
# Neither sacct nor squeue knows the task, and squeue did answer.
GONE = "GONE"
UNKNOWN = "UNKNOWN"
# A cancelled task gets this long to save its state and leave the queue, a silent controller to answer.
CANCEL_SECONDS = 60.0
# What Slurm sets in a job. A driver that runs inside one must not hand it on to its tasks, where it would contradict
# what they ask for; SLURM_CONF and the like are the user's.
_OWN_JOB = ("SLURM_", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES")
_USERS = ("SLURM_CONF", "SLURM_CLUSTERS")


def states(job_ids: Iterable[str]) -> dict[str, str]:
    """States of tasks.

    Parameters
    ----------
    job_ids : iterable of str
        Slurm's names for them, e.g. ``123_0``.

    Returns
    -------
    dict of str to str
        Every task's state: Slurm's word for it, ``GONE`` or ``UNKNOWN``.
    """
    wanted = set(job_ids)
    if not wanted:
        return {}
    known = {job_id: state for job_id, state in _sacct(wanted).items() if job_id in wanted}
    missing = wanted - set(known)
    if missing:
        # No accounting, accounting that is down, or a task so new that it is not yet recorded.
        queued = _squeue()
        fallback = UNKNOWN if queued is None else GONE
        known |= {job_id: (queued or {}).get(job_id, fallback) for job_id in missing}
    return known


def first_word(state: str) -> str:
    """Slurm's word for a state, without what may follow it.

    Parameters
    ----------
    state : str
        E.g. ``CANCELLED by 0`` or ``COMPLETED+``.

    Returns
    -------
    str
        E.g. ``CANCELLED``.
    """
    return (state.split() or [UNKNOWN])[0].rstrip("+")


def is_dead(state: str) -> bool:
    """Whether a task in this state does nothing any more, for now at least.

    Parameters
    ----------
    state : str
        Slurm's word, ``GONE`` or ``UNKNOWN``.

    Returns
    -------
    bool
        False where nobody knows.
    """
    return state in FINAL or state in PERHAPS_FINAL or state == GONE


def run(*command: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands.

    Parameters
    ----------
    *command : str
        Its words.
    timeout : float
        Seconds after which it counts as failed.

    Returns
    -------
    subprocess.CompletedProcess
        A status of 124 when it took too long, 127 when it is not there.
    """
    try:
        # In a session of its own: Ctrl-C in the terminal is the driver's, and must not cut a submission short.
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=_environment(),
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} did not answer within {timeout:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: no such command")


def _environment() -> dict[str, str]:
    """Environment for Slurm's commands."""
    kept = dict(os.environ)
    if "SLURM_JOB_ID" in kept:
        kept = {name: value for name, value in kept.items() if name in _USERS or not name.startswith(_OWN_JOB)}
    return {**kept, "SLURM_BITSTR_LEN": "0"}  # else long lists of array tasks are cut short


def _sacct(job_ids: set[str]) -> dict[str, str]:
    """What the accounting knows; nothing when it does not answer."""
    arrays = sorted({job_id.split("_")[0] for job_id in job_ids})
    answer = run("sacct", "--allocations", "--parsable2", "--format=JobID,State,NodeList", f"--jobs={','.join(arrays)}")
    if answer.returncode:
        return {}
    rows = SlurmInfoWatcher().read_info(answer.stdout)
    return {job_id: first_word(row["State"]) for job_id, row in rows.items()}


def _squeue() -> dict[str, str] | None:
    """What the controller has in memory: all that waits or runs, and what ended in the last minutes."""
    answer = run("squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i|%T")
    if answer.returncode:
        return None
    return dict(line.strip().split("|", 1) for line in answer.stdout.splitlines() if "|" in line)


def array_limit() -> int:
    """Most tasks in one array.

    Returns
    -------
    int
        From Slurm's configuration; the largest index is one less than MaxArraySize.

    Raises
    ------
    RuntimeError
        When Slurm does not answer.
    """
    answer = run("scontrol", "show", "config")
    for line in answer.stdout.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            return max(1, int(value) - 1)
    raise RuntimeError(f"Slurm does not answer: {answer.stderr.strip() or answer.stdout.strip() or 'no reason given'}")


def arrays_by_comment() -> dict[str, str] | None:
    """Arrays that Slurm knows, by the comment they were submitted with.

    Returns
    -------
    dict of str to str, or None
        Comment to array id; None when Slurm does not answer.
    """
    answer = run("squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%F|%k")
    if answer.returncode:
        return None
    pairs = (line.strip().split("|", 1) for line in answer.stdout.splitlines() if "|" in line)
    return {comment: array for array, comment in pairs}


def cancel(job_ids: Iterable[str]) -> bool:
    """Cancel whole arrays, and wait until they have left the queue.

    Parameters
    ----------
    job_ids : iterable of str
        Slurm's names for tasks or arrays.

    Returns
    -------
    bool
        Whether Slurm took it. A second Ctrl-C ends the wait.
    """
    arrays = {job_id.split("_")[0] for job_id in job_ids}
    end = time.monotonic() + CANCEL_SECONDS
    taken = False
    try:
        while True:
            queued = run("squeue", "--noheader", f"--user={os.getuid()}", "--format=%F")
            left = sorted(arrays.intersection(queued.stdout.split()) if queued.returncode == 0 else arrays)
            if not left:
                return True
            if not taken:
                answers = [run("scancel", *some) for some in _slices(left, 200)]
                taken = not any(answer.returncode for answer in answers)
            if time.monotonic() > end:
                return taken
            time.sleep(0.5)
    except KeyboardInterrupt:
        return taken


def _slices(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
