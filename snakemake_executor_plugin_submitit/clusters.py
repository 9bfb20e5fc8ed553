"""The places where tasks run: Slurm, processes of this machine, or a thread of Snakemake. All through submitit."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil
import submitit

from snakemake_executor_plugin_submitit.slurm import SlurmCluster
from snakemake_executor_plugin_submitit.task import Pack


class Cluster(Protocol):
    """What the executor needs of a place to run."""

    name: str
    stop: threading.Event

    def array_limit(self) -> int:
        """Most tasks in one submission."""

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Start one task per pack, each in its own folder, and name them."""

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Names of tasks whose submission was cut short; empty if they never came to be."""

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """State of every task."""

    def cancel(self, job_ids: Iterable[str]) -> bool:
        """Stop tasks that run or wait; whether that worked."""


def make_cluster(name: str, requeues: int) -> Cluster:
    """Cluster by name.

    Parameters
    ----------
    name : str
        ``slurm``, ``local`` or ``debug``.
    requeues : int
        How often a task that runs into its time limit continues.

    Returns
    -------
    Cluster
        Ready to use.

    Raises
    ------
    ValueError
        On another name.
    """
    if name not in ("slurm", "local", "debug"):
        raise ValueError(f"cluster is one of slurm, local, debug, not {name!r}")
    kinds: dict[str, Callable[[int], Cluster]] = {"slurm": SlurmCluster, "local": LocalCluster, "debug": DebugCluster}
    return kinds[name](requeues)


class LocalCluster:
    """Processes of this machine, through submitit's local executor.

    Parameters
    ----------
    requeues : int
        How often a task that runs into its time limit continues.
    """

    name = "local"

    def __init__(self, requeues: int) -> None:
        self.requeues = requeues
        self.stop = threading.Event()
        self.jobs: dict[str, Any] = {}

    def array_limit(self) -> int:
        """No limit but Snakemake's own ``--jobs``."""
        return 1000

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Start one process per pack; see `Cluster`."""
        names = []
        for index, pack in enumerate(packs):
            executor = submitit.LocalExecutor(folder / str(index), max_num_timeout=self.requeues)
            executor.update_parameters(
                timeout_min=parameters["time"],
                signal_delay_s=parameters["signal_delay_s"],
                gpus_per_node=_count(parameters.get("gpus_per_node", 0)),
                stderr_to_stdout=True,
            )
            job = executor.submit(pack)
            self.jobs[job.job_id] = job
            names.append(job.job_id)
        return names

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Tasks of a submission that was cut short, by the pickles they were given."""
        found = [next((folder / str(index)).glob("*_submitted.pkl"), None) for index in range(tasks)]
        return [path.name.split("_")[0] if path else "" for path in found] if any(found) else []

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Whether the processes live."""
        return {job_id: self._state(job_id) for job_id in job_ids}

    def _state(self, job_id: str) -> str:
        if job_id in self.jobs:
            return "RUNNING" if self.jobs[job_id].state == "RUNNING" else "COMPLETED"
        return "RUNNING" if _controller(job_id) else "COMPLETED"

    def cancel(self, job_ids: Iterable[str]) -> bool:
        """Stop a task's processes, the controller last so that it starts nothing again."""
        for job_id in job_ids:
            controller = _controller(job_id)
            if controller is not None:
                family = [controller, *controller.children(recursive=True)]
                for process in family:
                    _terminate(process)
                for process in psutil.wait_procs(family, timeout=5)[1]:
                    process.kill()
        return True


def _count(gpus: int | str) -> int:
    return int(str(gpus).rpartition(":")[2])


def _controller(job_id: str) -> psutil.Process | None:
    """The controller process of a local task; None when it has ended (its number may then be another's)."""
    try:
        process = psutil.Process(int(job_id))
        ours = "submitit.local._local" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError):
        return None
    return process if ours else None


def _terminate(process: psutil.Process) -> None:
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        return


class DebugCluster:
    """One task after the other in a thread of this process, through submitit's debug executor.

    Parameters
    ----------
    requeues : int
        Without meaning here.
    """

    name = "debug"

    def __init__(self, requeues: int) -> None:
        self.ended: dict[str, str] = {}
        self.stop = threading.Event()

    def array_limit(self) -> int:
        """No limit."""
        return 1000

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Start a thread that runs the packs; see `Cluster`."""
        executor = submitit.DebugExecutor(folder)
        jobs = []
        for index, pack in enumerate(packs):
            (folder / str(index)).mkdir(parents=True, exist_ok=True)
            jobs.append(executor.submit(pack))
        names = [f"{folder.name}_{index}" for index in range(len(jobs))]
        threading.Thread(target=self._run, args=(names, jobs), daemon=True).start()
        return names

    def _run(self, names: list[str], jobs: list[Any]) -> None:
        for name, job in zip(names, jobs, strict=True):
            if self.stop.is_set():
                return
            try:
                job.submission().result()
                self.ended[name] = "COMPLETED"
            except RuntimeError as error:
                # The cells' own events say what happened; the task's state says that something did.
                warnings.warn(f"debug task {name}: {error}", stacklevel=1)
                self.ended[name] = "FAILED"

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Nothing outlives this process."""
        return []

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Ended, or not yet."""
        return {job_id: self.ended.get(job_id, "RUNNING") for job_id in job_ids}

    def cancel(self, job_ids: Iterable[str]) -> bool:
        """Start no further task; the one that runs is a child of this process and ends with it."""
        self.stop.set()
        return True
