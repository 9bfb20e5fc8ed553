"""Slurm's commands, called with words and never through a shell; one call a round for all tasks."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable

from .states import GONE, UNKNOWN, first_word

ANSWER_SECONDS = 60  # for each command
# A cancelled task gets this long to save its state and leave the queue, a silent controller to answer.
CANCEL_SECONDS = 60.0
# What Slurm sets in a job. A driver that runs inside one, or in a shell that did, must not hand it on to its tasks,
# where it would contradict what they ask for; these few are the user's own settings.
_OF_A_JOB = ("SLURMD_", "SRUN_", "SBATCH_CPU_BIND", "SBATCH_MEM_BIND", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
_OF_A_JOB += ("ROCR_VISIBLE_DEVICES",)
_OF_A_USER = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_CONF_SERVER", "SLURM_TIME_FORMAT", "SLURM_EXITERROR")
# A user's settings of what these commands show and ask would hide tasks, or make them wait for an answer.
_OF_A_TERMINAL = ("SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_", "SCONTROL_")
# 12, 12_3 or, for the tasks of an array that wait, 12_[3-5,8%2]
_TASKS = re.compile(r"(\d+)(?:_(\d+)|_\[([\d,-]+)(?:%\d+)?\])?")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands, given as its words. A status of 124 means that it did not answer within
    `ANSWER_SECONDS`, 127 that it could not be started.
    """
    try:
        # In a session of its own: Ctrl-C in the terminal is the driver's, and must not cut a submission short.
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            env=environment(),
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} did not answer within {ANSWER_SECONDS} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} cannot be started: {error}")


def environment() -> dict[str, str]:
    """Environment for Slurm's commands: this one, without what belongs to a job that it was inherited from, or to a
    person at a terminal. SBATCH_* are a site's or a user's own defaults and stay, but for the export of the
    environment, which tasks need whole, and for waiting until they end.
    """
    foreign = ("SLURM_", *_OF_A_TERMINAL, *(_OF_A_JOB if "SLURM_JOB_ID" in os.environ else ()))
    kept = {name: value for name, value in os.environ.items() if name in _OF_A_USER or not name.startswith(foreign)}
    for name in ("SBATCH_EXPORT", "SBATCH_WAIT"):
        kept.pop(name, None)
    return {**kept, "SLURM_BITSTR_LEN": "0"}  # else long lists of array tasks are cut short


def at(site: str) -> list[str]:
    """Words that send a command to another cluster of a multi-cluster Slurm; none for the default one."""
    return [f"--clusters={site}"] if site else []


def states(job_ids: Iterable[str], site: str = "") -> dict[str, str]:
    """State of every task by Slurm's name for it (``123_0``): Slurm's word, ``GONE`` or ``UNKNOWN``. One call of sacct;
    squeue is asked only for what accounting does not know.
    """
    wanted = set(job_ids)
    if not wanted:
        return {}
    known = {job_id: state for job_id, state in _sacct(wanted, site).items() if job_id in wanted}
    missing = wanted - set(known)
    if missing:
        # No accounting, accounting that is down, or a task so new that it is not yet recorded.
        queued = _squeue("%i|%T", site, "--array")
        fallback = UNKNOWN if queued is None else GONE
        known |= {job_id: first_word((queued or {}).get(job_id, fallback)) for job_id in missing}
    return known


def _sacct(job_ids: set[str], site: str) -> dict[str, str]:
    """What the accounting knows; nothing when it does not answer."""
    arrays = sorted({job_id.split("_")[0] for job_id in job_ids})
    asked = ("--noheader", "--allocations", "--parsable2", "--format=JobID,State")
    answer = run("sacct", *at(site), *asked, f"--jobs={','.join(arrays)}")
    if answer.returncode:
        return {}
    known = {}
    for line in answer.stdout.splitlines():
        name, _, state = line.partition("|")
        known |= dict.fromkeys(tasks_of(name), first_word(state))
    return known


def tasks_of(name: str) -> list[str]:
    """Names of the tasks that one line of Slurm's stands for; none where it is no task's.

    Examples
    --------
    >>> tasks_of("12_[3-5,8%2]"), tasks_of("12_0"), tasks_of("12.batch")
    (['12_3', '12_4', '12_5', '12_8'], ['12_0'], [])
    """
    found = _TASKS.fullmatch(name.strip())
    if not found or not found[3]:
        return [name.strip()] if found else []
    ranges = (part.partition("-") for part in found[3].split(",") if part)
    return [f"{found[1]}_{index}" for first, _, last in ranges for index in range(int(first), int(last or first) + 1)]


def _squeue(form: str, site: str, *options: str, states: str = "all") -> dict[str, str] | None:
    """What the controller has in memory: all that waits or runs, and what ended in the last minutes. The first of the
    two columns is the key; None when it does not answer.
    """
    whose = ("--noheader", f"--states={states}", f"--user={os.getuid()}")
    answer = run("squeue", *at(site), *whose, f"--format={form}", *options)
    if answer.returncode:
        return None
    return dict(line.strip().split("|", 1) for line in answer.stdout.splitlines() if "|" in line)


def pending_reasons(site: str = "") -> dict[str, str]:
    """Why Slurm lets each waiting array wait, by the array's id; empty when it does not answer."""
    return _squeue("%F|%r", site, states="pending") or {}


def array_limit() -> int:
    """Most tasks in one array; the largest index is one less than MaxArraySize. Raises RuntimeError when Slurm does not
    answer.
    """
    answer = run("scontrol", "show", "config")
    if found := re.search(r"^\s*MaxArraySize\s*=\s*(\d+)", answer.stdout, re.MULTILINE):
        return max(1, int(found[1]) - 1)
    raise RuntimeError(f"Slurm does not answer: {answer.stderr.strip() or answer.stdout.strip() or 'no reason given'}")


def time_limits(site: str = "") -> set[float]:
    """Time limits of the partitions in minutes; empty when Slurm does not answer, without those that have none."""
    answer = run("sinfo", *at(site), "--noheader", "--format=%l")
    return {seconds(word) / 60 for word in answer.stdout.split() if re.fullmatch(r"(\d+-)?[\d:]+", word)}


def seconds(text: str) -> float:
    """Seconds of Slurm's days-hours:minutes:seconds.

    Examples
    --------
    >>> seconds("1-02:03:04.5"), seconds("00:07"), seconds("")
    (93784.5, 7.0, 0.0)
    """
    days, _, clock = text.rpartition("-")
    parts = [float(part or 0) for part in clock.split(":")]
    return 86400 * int(days or 0) + sum(part * 60**power for power, part in enumerate(reversed(parts)))


def arrays_by_mark(site: str = "") -> dict[str, str] | None:
    """Arrays that Slurm knows, by the mark with which their comment begins; None when Slurm does not answer."""
    answer = _squeue("%F|%k", site)
    if answer is None:
        return None
    return {comment.split()[0]: array for array, comment in answer.items() if comment.split()}


def cancel(job_ids: Iterable[str], site: str = "") -> bool:
    """Cancel whole arrays and wait until they have left the queue; whether Slurm took it. Ctrl-C ends the wait."""
    arrays = {job_id.split("_")[0] for job_id in job_ids}
    end = time.monotonic() + CANCEL_SECONDS
    taken = False
    try:
        while True:
            queued = run("squeue", *at(site), "--noheader", f"--user={os.getuid()}", "--format=%F")
            left = sorted(arrays.intersection(queued.stdout.split()) if queued.returncode == 0 else arrays)
            if not left:
                return True
            if not taken:
                slices = [left[start : start + 200] for start in range(0, len(left), 200)]
                taken = not any(run("scancel", *at(site), *some).returncode for some in slices)
            if time.monotonic() > end:
                return taken
            time.sleep(0.5)
    except KeyboardInterrupt:
        return taken
