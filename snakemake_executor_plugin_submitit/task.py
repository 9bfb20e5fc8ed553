"""What runs inside the cluster's task: one nested Snakemake for a pack of cells."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from submitit.core.utils import UncompletedJobError

from snakemake_executor_plugin_submitit.events import (
    DONE,
    FAILED,
    INTERRUPTED,
    KILLED,
    LOST,
    STARTED,
    read_events,
    write_event,
)
from snakemake_executor_plugin_submitit.processes import ignore_usr2, interrupt_children, keep_orphans, task_lock

if TYPE_CHECKING:
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
    outputs : tuple of str
        First output of each job in it: one, or several where jobs are grouped.
    earlier : str
        Folder of the task in which it was before; empty if there is none.
    same : bool
        Whether what is done there is done here: it was the same job.
    results : tuple of str
        Files that are there once it is done, with their folders: all outputs but temporary ones.
    """

    key: str
    target: str
    rules: tuple[str, ...]
    inputs: tuple[str, ...]
    arguments: str
    threads: int
    outputs: tuple[str, ...]
    earlier: str = ""
    same: bool = True
    results: tuple[str, ...] = ()


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
            self.outlast()
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
        outcomes, ended = read_events(Path(self.folder)), (DONE, FAILED, KILLED)
        return tuple(cell for cell in self.cells if outcomes.get(cell.key, ("", ""))[0] not in ended)

    def outlast(self) -> None:
        """Wait for what is still at work on a cell although its earlier task has ended: on a lost node, or unkilled."""
        for cell in self.left():
            if not cell.earlier or not Path(cell.earlier).is_dir():
                continue
            if _event(cell.earlier, cell.key) in ("", STARTED, LOST):
                with task_lock(Path(cell.earlier)):
                    pass
            # Snakemake removes the outputs of a job that it takes for failed: a survivor that ends at that moment
            # reports success, and yet nothing is left of it.
            there = all(Path(result).exists() for result in cell.results)
            if cell.same and there and _event(cell.earlier, cell.key) == DONE:
                write_event(Path(self.folder), cell.key, DONE)

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
                write_event(Path(self.folder), cell.key, LOST, reason)
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


def _event(folder: str, key: str) -> str:
    """What a cell last reported in a task."""
    return read_events(Path(folder)).get(key, ("", ""))[0]


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
    keep_orphans()
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
        # Trainings whose Snakemake was killed: another task will go on with them.
        interrupt_children(pack.grace)
    except UncompletedJobError:
        # Raised out of submitit's signal handler when the task is not to be requeued: it has been so too often, or
        # there is nothing left to do.
        process.wait()
        for cell in pack.left():
            write_event(Path(pack.folder), cell.key, FAILED, "cut short more often than --submitit-requeues allows")


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
        "LMRNN_TASK_CELLS": json.dumps({cell.key: cell.outputs for cell in pack.cells}),
    }
