"""Slurm: one array per submission, every task in a folder of its own, its work pickled by submitit and run by it."""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from . import commands
from .errors import LimitedError, RefusedError, UnansweredError
from .resources import Request, signal_delay
from .task import Pack

PENDING_PICKLE = "task.pkl"
SCRIPT = "sbatch.sh"
RETRY_SECONDS = 300.0
# The controller is being restarted, overloaded or cut off: worth another try, unlike a refusal.
_PASSING = re.compile(
    r"unable to contact|timed out|did not answer|connection (refused|reset|closed|failure)|communication connection|"
    r"temporarily un(available|able)|unexpected message|zero bytes|transport endpoint|not responding|standby mode|"
    r"no route to host|network is (unreachable|down)|host is down|broken pipe|try again|"
    r"protocol authentication error|invalid authentication credential|job credential|munge|slurmdbd.*down|"
    r"unable to (connect|resolve|establish)|send/recv|(send|receive|shutdown) failure|header lengths|rate limit|retry|"
    r"i/o error writing|cannot allocate memory|cannot be started: \[Errno (11|12)\]",
    re.IGNORECASE,
)
# A user or an account has as many jobs as it may have: room comes when some have ended. Slurm names the limit, but for
# early versions; its sentence about policies is the same for limits of size and time, for which no waiting helps.
_POLICY = re.compile(r"\b(?:Assoc|QOS)\w*Limit\b")
_OF_JOBS = re.compile(r"\b(Assoc|QOS)\w*(Submit|Jobs)\w*Limit\b")
_LIMITED = re.compile(
    r"job submit limit|MaxSubmit|job limit exceeded|exceeded.*(submit|job) limit|too many jobs", re.IGNORECASE
)
# sbatch --parsable: the array's number, and the cluster's name where there are several
_ARRAY = re.compile(r"^(\d+)(;\S+)?$", re.MULTILINE)


def array_of(answer: str) -> str | None:
    """Slurm's number for an array from the answer of ``sbatch --parsable``, whatever a site prints around it; None
    where no line could be it, or more than one.
    """
    found = {number for number, _ in _ARRAY.findall(answer)}
    return found.pop() if len(found) == 1 else None


def is_limit_of_jobs(message: str) -> bool:
    """Whether sbatch says that there are as many jobs as there may be."""
    return bool(_OF_JOBS.search(message) if _POLICY.search(message) else _LIMITED.search(message))


def options(asked: Request, tasks: int, parallel: int, delay: int) -> list[str]:
    """What a request is in words for sbatch: `tasks` tasks of which at most `parallel` run at a time, told `delay`
    seconds before their limit to make room where they are resumable. The user's own words come last, and win.
    """
    plain = {name: value for name, value in asked.items() if name not in ("extra", "resumable", "requeue", "mpi")}
    units = {"mem": "M", "mem-per-cpu": "M"}
    words = [f"--{name}={value}{units.get(name, '')}" for name, value in sorted(plain.items())]
    words.append(f"--array=0-{tasks - 1}%{min(tasks, parallel)}")
    if asked.get("requeue") or asked.get("resumable"):
        words.append("--requeue")
    if asked.get("resumable"):
        # Slurm tells all processes of the step; where there is no step, the script alone.
        whom = "B:" if asked.get("mpi") else ""
        words.append(f"--signal={whom}USR2@{signal_delay(asked.get('time', 10**6), delay)}")
    return [*words, *asked.get("extra", ())]


def script(folder: Path, python: str, mpi: bool) -> str:
    """Batch script that starts submitit on the pickle in a task's folder (with Slurm's ``%a`` for its number)."""
    # USR2 before submitit has its handler would kill the task: it is ignored until then.
    guard = ["/bin/bash", "-c", 'trap "" USR2; exec "$0" "$@"']
    work = shlex.join([*guard, python, "-u", "-m", "submitit.core._submit", str(folder)])
    # With %t the node writes the log itself; through srun, that would wait for all that outlives the task.
    log = shlex.join(["--output", str(folder / "%A_%a_%t_log.out")])
    # Programs of MPI start their own steps, for which this one must leave room.
    step = f'srun --unbuffered --nodes=1 --ntasks=1 --cpus-per-task="${{SLURM_CPUS_PER_TASK:-1}}" {log} '
    return f"#!/bin/bash\nexport SUBMITIT_EXECUTOR=slurm\nexec {'' if mpi else step}{work}\n"


def place_pickles(folder: Path, array: str, tasks: int) -> list[str]:
    """Give each task's pickle the name that submitit looks for; Slurm's names for the tasks."""
    names = [f"{array}_{index}" for index in range(tasks)]
    for index, name in enumerate(names):
        pending = folder / str(index) / PENDING_PICKLE
        if pending.exists():
            pending.rename(folder / str(index) / f"{name}_submitted.pkl")
    return names


class SlurmCluster:
    """Slurm, one array per submission. `requeues` is how often a resumable task continues, `delay` how many seconds
    before its limit it is told to make room, `parallel` how many tasks of an array run at a time, `python` what starts
    them.
    """

    name = "slurm"
    # Jobs that follow on others trickle in, because Snakemake takes in one by one what has ended.
    gather = (1.0, 3.0)
    array_limit = staticmethod(commands.array_limit)
    time_limits = staticmethod(commands.time_limits)
    states = staticmethod(commands.states)
    reasons = staticmethod(commands.pending_reasons)
    cancel = staticmethod(commands.cancel)

    def __init__(self, requeues: int, delay: int, parallel: int, python: str) -> None:
        self.requeues, self.delay, self.parallel, self.python = requeues, delay, max(1, parallel), python
        self.stop = threading.Event()

    def submit(self, folder: Path, packs: Sequence[Pack], asked: Request, name: str, comment: str) -> list[str]:
        """Submit one array; see `Cluster`. Raises RefusedError with sbatch's message, LimitedError where a limit of
        jobs is reached, and UnansweredError when the workflow is stopped before Slurm has answered.
        """
        command = self._prepare(folder, packs, asked, name, comment)
        site = asked.get("clusters", "")
        deadline = time.monotonic() + RETRY_SECONDS
        pause = 2.0
        while True:
            answer = commands.run(*command)
            array = array_of(answer.stdout) if answer.returncode == 0 else None
            if array:
                return place_pickles(folder, array, len(packs))
            message = answer.stderr.strip() or answer.stdout.strip()
            if answer.returncode and is_limit_of_jobs(message):
                raise LimitedError(message)
            if answer.returncode and message and not _PASSING.search(message):
                raise RefusedError(message)
            # An answer that was lost on its way may hide a submission that was taken.
            if array := self._find(folder, site, deadline, message or "sbatch names no job", pause):
                return place_pickles(folder, array, len(packs))
            pause = min(30.0, 2 * pause)

    def _prepare(self, folder: Path, packs: Sequence[Pack], asked: Request, name: str, comment: str) -> list[str]:
        """Put everything in place before Slurm hears of it, and give the command that submits it."""
        from submitit.core.utils import DelayedSubmission

        for index, pack in enumerate(packs):
            delayed = DelayedSubmission(pack)
            delayed.set_timeout(asked.get("time", 10**6), self.requeues)
            (folder / str(index)).mkdir(parents=True, exist_ok=True)
            pickle = folder / str(index) / PENDING_PICKLE
            delayed.dump(pickle)
            pickle.chmod(0o600)  # it holds the workflow's variables, which may be secret
        task = folder / "%a"
        (folder / "0" / SCRIPT).write_text(script(task, self.python, bool(asked.get("mpi"))))
        return [
            *("sbatch", "--parsable", "--export=ALL", f"--job-name={name}"),
            *options(asked, len(packs), self.parallel, self.delay),
            # the first word is a mark by which the array is found again
            *(f"--comment={folder.name} {comment}", f"--output={task / '%A_%a_0_log.out'}", "--open-mode=append"),
            str(folder / "0" / SCRIPT),
        ]

    def _find(self, folder: Path, site: str, deadline: float, message: str = "", pause: float = 2.0) -> str | None:
        """Array of a submission, None if Slurm does not have it; asks until Slurm answers."""
        while True:
            if self.stop.wait(pause if message else 0):
                raise UnansweredError(message)
            known = commands.arrays_by_mark(site)
            if known is not None and (folder.name in known or time.monotonic() < deadline):
                return known.get(folder.name)
            message = message or "squeue does not answer"
            if time.monotonic() > deadline:
                raise RefusedError(message)

    def adopt(self, folder: Path, tasks: int, site: str) -> list[str]:
        """Find the array of a submission whose answer was lost, and finish what was left undone."""
        named = next(folder.glob("*/*_submitted.pkl"), None)
        array = named.name.split("_")[0] if named else self._find(folder, site, time.monotonic() + RETRY_SECONDS)
        return place_pickles(folder, array, tasks) if array else []
