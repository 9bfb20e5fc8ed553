"""What runs inside the cluster's task: one nested Snakemake for a pack of cells."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil
from submitit.core.utils import UncompletedJobError

from snakemake_executor_plugin_submitit.events import DONE, FAILED, INTERRUPTED, STARTED, read_events, write_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class CellJob:
    """One job of the driver, as the nested Snakemake needs to know it.

    Parameters
    ----------
    key : str
        Its first output.
    target : str
        Rule and wildcards for ``--target-jobs``, quoted for the shell.
    rules : tuple of str
        Rules it needs.
    inputs : tuple of str
        Files to wait for on a slow file system.
    arguments : str
        Further arguments that only this job needs.
    threads : int
        Its CPUs, >= 1.
    """

    key: str
    target: str
    rules: tuple[str, ...]
    inputs: tuple[str, ...]
    arguments: str
    threads: int


@dataclass(frozen=True)
class Pack:
    """Callable that submitit runs in the task.

    Parameters
    ----------
    cells : tuple of CellJob
        Trained side by side.
    prefix, suffix : str
        Parts of the command in front of and behind the targets.
    workdir : str
        Where Snakemake runs.
    folder : str
        The task's folder.
    grace : float
        Seconds that cells get to save their state once the task is told to make room.
    """

    cells: tuple[CellJob, ...]
    prefix: str
    suffix: str
    workdir: str
    folder: str
    grace: float

    def __call__(self) -> int:
        """Run what is left of the pack.

        Returns
        -------
        int
            Number of cells that are done.

        Raises
        ------
        RuntimeError
            When a cell failed, so that Slurm's state says so too.
        """
        with task_lock(Path(self.folder)) as lock:
            left = self.left()
            if left:
                run_nested(replace(self, cells=left), lock)
            return self.finish()

    def left(self) -> tuple[CellJob, ...]:
        """Cells that an earlier run of this task has neither finished nor seen fail.

        Returns
        -------
        tuple of CellJob
            In their order.
        """
        outcomes = read_events(Path(self.folder))
        return tuple(cell for cell in self.cells if outcomes.get(cell.key, ("", ""))[0] not in (DONE, FAILED))

    def finish(self) -> int:
        """Settle the outcome of every cell.

        Returns
        -------
        int
            Number of cells that are done.

        Raises
        ------
        RuntimeError
            When one is not.
        """
        outcomes = read_events(Path(self.folder))
        for cell in self.cells:
            if outcomes.get(cell.key, ("", ""))[0] in ("", STARTED):
                reason = "Snakemake ended in the task before this job did; the task's log says why"
                write_event(Path(self.folder), cell.key, FAILED, reason)
        outcomes = read_events(Path(self.folder))
        bad = [key for key, (outcome, _) in outcomes.items() if outcome != DONE]
        if bad:
            raise RuntimeError(f"{len(bad)} of {len(self.cells)} jobs did not end well: {', '.join(sorted(bad))}")
        return len(self.cells)

    def checkpoint(self) -> DelayedSubmission | None:
        """Called by submitit when the task must make room: let the cells save, then ask to be requeued.

        Returns
        -------
        DelayedSubmission or None
            The same pack again; None when all of its cells have ended.
        """
        from submitit.helpers import DelayedSubmission

        (Path(self.folder) / "making-room").touch()
        interrupt_children(self.grace)
        # A job of the pack that ended between the signal and now has reported; the others are taken as interrupted.
        for cell in self.left():
            write_event(Path(self.folder), cell.key, INTERRUPTED, "told to make room")
        return DelayedSubmission(self) if self.left() else None


def run_nested(pack: Pack, lock: IO[str] | None) -> None:
    """Run the pack's cells in one nested Snakemake and wait for it.

    Parameters
    ----------
    pack : Pack
        What to run.
    lock : file or None
        Open lock file, handed down so that it outlives a killed parent.
    """
    (Path(pack.folder) / "making-room").unlink(missing_ok=True)
    process = subprocess.Popen(
        ["/bin/bash", "-c", command(pack)],
        cwd=pack.workdir,
        env=environment(pack),
        # Snakemake and its shells must outlive USR2, which Slurm sends to every process of the step; the ignored
        # signal is inherited, and a trainer that can save its state installs its own handler.
        preexec_fn=ignore_usr2,
        pass_fds=() if lock is None else (lock.fileno(),),
    )
    try:
        process.wait()
    except UncompletedJobError:
        # Raised out of submitit's signal handler when the task is not to be requeued: it has been so too often, or
        # there is nothing left to do.
        process.wait()
        for cell in pack.left():
            write_event(Path(pack.folder), cell.key, FAILED, "cut short more often than --submitit-requeues allows")


def ignore_usr2() -> None:
    """Ignore USR2 in this process and all that it starts."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def command(pack: Pack) -> str:
    """Shell command of the nested Snakemake.

    Parameters
    ----------
    pack : Pack
        What it runs.

    Returns
    -------
    str
        One line.
    """
    rules = sorted({rule for cell in pack.cells for rule in cell.rules})
    inputs = sorted({path for cell in pack.cells for path in cell.inputs})
    parts = [
        pack.prefix,
        "--target-jobs",
        *(cell.target for cell in pack.cells),
        "--allowed-rules",
        *rules,
        "--cores",
        str(sum(cell.threads for cell in pack.cells)),
        *(cell.arguments for cell in pack.cells),
        *(["--wait-for-files", *(repr(path) for path in inputs)] if inputs else []),
        pack.suffix,
    ]
    return " ".join(part for part in parts if part)


def environment(pack: Pack) -> dict[str, str]:
    """Environment of the nested Snakemake.

    Parameters
    ----------
    pack : Pack
        What it runs.

    Returns
    -------
    dict
        Without the driver's profile, with as many threads as each cell has CPUs, and the place to report to.
    """
    kept = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
    threads = str(max(cell.threads for cell in pack.cells))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        **kept,
        **dict.fromkeys(names, threads),
        "LMRNN_TASK_FOLDER": pack.folder,
        "LMRNN_TASK_KEYS": json.dumps([cell.key for cell in pack.cells]),
    }


def interrupt_children(grace: float) -> None:
    """Tell all processes below this one to save their state, until they have ended or the time is up.

    Parameters
    ----------
    grace : float
        Seconds they get; then they are killed.
    """
    end = time.monotonic() + grace
    me = psutil.Process()
    while time.monotonic() < end:
        children = me.children(recursive=True)
        if not any(child.status() != psutil.STATUS_ZOMBIE for child in _alive(children)):
            return
        # Again and again: a trainer that is still starting ignores the first.
        for child in _alive(children):
            _signal(child, signal.SIGUSR2)
        time.sleep(0.5)
    for child in _alive(me.children(recursive=True)):
        _signal(child, signal.SIGKILL)


def _alive(children: list[psutil.Process]) -> list[psutil.Process]:
    return [child for child in children if child.is_running()]


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


@contextmanager
def task_lock(folder: Path) -> Iterator[IO[str] | None]:
    """Keep two incarnations of a task apart: after a lost node the first may still be alive when the second starts.

    Parameters
    ----------
    folder : Path
        The task's folder.

    Yields
    ------
    file or None
        The open lock; None where the file system has no locks.
    """
    with open(folder / "lock", "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run of this task is still alive; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            print(f"no file locks here ({error}); going on without", file=sys.stderr, flush=True)
            yield None
            return
        yield handle
