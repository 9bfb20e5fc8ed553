"""What runs inside the cluster's task: one nested Snakemake for a pack of jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .events import DONE, FAILED, INTERRUPTED, KILLED, LOST, NOTHING, STARTED, Event, read_events, write_event
from .processes import end_family, keep_orphans, task_lock

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

NESTED = "nested.json"
INPUTS = "inputs.txt"
MAKING_ROOM = "making-room"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class PackedJob:
    """One job of the driver as the nested Snakemake needs to know it: its key; rule and wildcards of each of its
    members (one, or several where jobs are grouped); their `targets` as words of ``--target-jobs``; the rules it needs;
    files to wait for on a slow file system; further words that only it needs; its threads. `results` are the files that
    are there once it is done, `earlier` the folder of the task in which it was before (or empty) and `same` whether
    what is done there is done here. `stored` says that its outputs go to a storage when Snakemake ends.
    """

    key: str
    members: tuple[tuple[str, dict[str, str]], ...]
    targets: tuple[str, ...]
    rules: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    threads: int = 1
    results: tuple[str, ...] = ()
    earlier: str = ""
    same: bool = True
    stored: bool = False


@dataclass(frozen=True)
class Pack:
    """Callable that submitit runs in the task: jobs side by side in one nested Snakemake, which is started as `program`
    with these `arguments`, in `workdir`, with `variables` in its environment, after the user's own `precommand`.
    `folder` is the task's; `grace` are the seconds that jobs get to save their state when the task is told to make
    room, which happens only where they are `resumable`.
    """

    jobs: tuple[PackedJob, ...]
    program: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: dict[str, str]
    precommand: str
    workdir: str
    folder: str
    grace: float
    resumable: bool = False

    def __call__(self, started: Callable[[int], None] | None = None) -> int:
        """Run what is left of the pack, and return how many jobs are done. Raises RuntimeError when a job failed, so
        that Slurm's state says so too. `started` is called with the process id of the nested Snakemake, which then gets
        a session of its own: for a caller that is no task's process.
        """
        with task_lock(Path(self.folder)) as lock:
            self.outlast()
            left = self.left(DONE, FAILED)
            if left:
                run_nested(replace(self, jobs=left), lock, started)
            return self.finish()

    def left(self, *ended: str) -> tuple[PackedJob, ...]:
        """Jobs whose last event is none of these, in their order."""
        last = read_events(Path(self.folder))
        return tuple(job for job in self.jobs if last.get(job.key, NOTHING).kind not in ended)

    def outlast(self) -> None:
        """Wait for what is still at work on a job although its earlier task has ended: on a lost node, or unkilled."""
        for job in self.left(DONE, FAILED):
            if not job.earlier or not Path(job.earlier).is_dir():
                continue
            if _kind(job.earlier, job.key) in ("", STARTED, LOST):
                with task_lock(Path(job.earlier)):
                    pass
            # Snakemake removes the outputs of a job that it takes for failed: a survivor that ends at that moment
            # reports success, and yet nothing is left of it.
            there = all(Path(result).exists() for result in job.results)
            if job.same and there and _kind(job.earlier, job.key) == DONE:
                write_event(Path(self.folder), job.key, Event(DONE))

    def finish(self) -> int:
        """Settle the outcome of every job and return how many are done. Raises RuntimeError when one is not."""
        for job in self.left(DONE, FAILED, INTERRUPTED, KILLED, LOST):
            reason = "Snakemake ended in the task before this job did; the task's log says why"
            write_event(Path(self.folder), job.key, Event(LOST, reason))
        bad = self.left(DONE)
        if bad:
            names = ", ".join(sorted(os.path.relpath(job.key, self.workdir) for job in bad))
            raise RuntimeError(f"{len(bad)} of {len(self.jobs)} jobs did not end well: {names}")
        return len(self.jobs)

    def checkpoint(self) -> DelayedSubmission | None:
        """Called by submitit when the task must make room: let the jobs save, then ask to be requeued with the same
        pack. None, and nothing is disturbed, where jobs cannot go on; None when all of them have ended.
        """
        from submitit.helpers import DelayedSubmission

        if not self.resumable:
            return None
        (Path(self.folder) / MAKING_ROOM).touch()
        end_family(None, signal.SIGUSR2, self.grace)
        # A job of the pack that ended between the signal and now has reported; the others are taken as interrupted.
        for job in self.left(DONE, FAILED, KILLED):
            write_event(Path(self.folder), job.key, Event(INTERRUPTED, "told to make room"))
        return DelayedSubmission(self) if self.left(DONE, FAILED, KILLED) else None


def _kind(folder: str, key: str) -> str:
    """What a job last reported in a task."""
    return read_events(Path(folder)).get(key, NOTHING).kind


def run_nested(pack: Pack, lock: IO[str] | None, started: Callable[[int], None] | None) -> None:
    """Run the jobs in a nested Snakemake and wait for it; the open lock is handed down to outlive a killed parent."""
    from submitit.core.utils import UncompletedJobError

    folder = Path(pack.folder)
    (folder / MAKING_ROOM).unlink(missing_ok=True)
    prepare(pack)
    if started is None:
        keep_orphans()
    process = subprocess.Popen(
        command(pack),
        cwd=pack.workdir,
        env=environment(pack),
        # Snakemake and its shells must outlive USR2, which Slurm sends to every process of the step; the ignored
        # signal is inherited, and a program that can save its state installs its own handler.
        preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        pass_fds=() if lock is None else (lock.fileno(),),
        start_new_session=started is not None,
    )
    leader = None if started is None else process.pid
    if started is not None:
        started(process.pid)
    try:
        process.wait()
    except UncompletedJobError:
        # Raised out of submitit's signal handler when the task is not to be requeued: its jobs cannot go on, it has
        # been so too often, or there is nothing left to do.
        process.wait()
        if pack.resumable:
            for job in pack.left(DONE, FAILED, KILLED):
                write_event(folder, job.key, Event(FAILED, "cut short more often than --submitit-requeues allows"))
    finally:
        # A killed Snakemake leaves its jobs behind; another task will go on with those that save their state. What a
        # job itself left in the background ends with it, as at the end of any batch job.
        if process.poll() not in (0, 1) and pack.resumable:
            end_family(leader, signal.SIGUSR2, pack.grace)
        end_family(leader)


def prepare(pack: Pack) -> None:
    """Write into the task's folder what its Snakemake is to do: no shell reads it, and it may be of any length."""
    folder = Path(pack.folder)
    inputs = sorted({path for job in pack.jobs for path in job.inputs if _fits_a_line(path)})
    (folder / INPUTS).write_text("".join(f"{path}\n" for path in inputs), encoding="utf-8", errors="surrogateescape")
    arguments = [
        *("--target-jobs", *(target for job in pack.jobs for target in job.targets)),
        *("--allowed-rules", *sorted({rule for job in pack.jobs for rule in job.rules})),
        *("--cores", str(sum(job.threads for job in pack.jobs))),
        *(word for job in pack.jobs for word in job.arguments),
        *(("--wait-for-files-file", str(folder / INPUTS)) if inputs else ()),
        *pack.arguments,
    ]
    asked = {
        "arguments": arguments,
        "jobs": {job.key: job.members for job in pack.jobs},
        "stored": [job.key for job in pack.jobs if job.stored],
        "resumable": pack.resumable,
    }
    (folder / NESTED).write_text(json.dumps(asked), encoding="utf-8")


def _fits_a_line(path: str) -> bool:
    """Whether Snakemake can read a path back from a file with one path a line; it does not wait for the others."""
    return path == path.strip() and len(path.splitlines()) == 1


def command(pack: Pack) -> list[str]:
    """Words that start the nested Snakemake. Only what the user gave as a command for the shell is read by one."""
    program = [*pack.program, pack.folder]
    return ["/bin/bash", "-c", f'{pack.precommand} && exec "$@"', "bash", *program] if pack.precommand else program


def environment(pack: Pack) -> dict[str, str]:
    """Environment of the nested Snakemake: without the driver's profile, with as many threads as each job has CPUs, and
    with the workflow's own variables as they are.
    """
    kept = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
    return {**kept, **dict.fromkeys(_THREADS, str(max(job.threads for job in pack.jobs))), **pack.variables}
