"""The places where tasks run: Slurm, processes of this machine, or a thread of Snakemake. All through submitit."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil
import submitit
from submitit.core.utils import CommandFunction, DelayedSubmission, FailedJobError, JobPaths

from snakemake_executor_plugin_submitit import states
from snakemake_executor_plugin_submitit.task import Pack

PENDING_PICKLE = "task.pkl"
SUBMISSION_FILE = "sbatch.sh"
# The controller is being restarted or overloaded: worth another try, unlike a refusal.
_TRANSIENT = ("Unable to contact slurm controller", "Socket timed out", "Connection refused", "Resource temporarily")
RETRY_SECONDS = 300.0


class RefusedError(Exception):
    """The cluster does not take a submission; the message is the cluster's own."""


class Cluster(Protocol):
    """What the executor needs of a place to run."""

    name: str

    def array_limit(self) -> int:
        """Most tasks in one submission."""

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Start one task per pack, each in its own folder, and name them."""

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Names of tasks whose submission was cut short; empty if they never came to be."""

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """State of every task."""

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Stop tasks that run or wait."""


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
    return {"slurm": SlurmCluster, "local": LocalCluster, "debug": DebugCluster}[name](requeues)


class ArrayExecutor(submitit.SlurmExecutor):
    """submitit's Slurm executor, with every task's folder and pickle in place before Slurm knows of it.

    Submitit itself makes the folder after sbatch has answered. A task of ours has a folder of its own, so that no
    folder grows beyond the size of an array, and Slurm could not open the task's log if that folder were not there.
    """

    def submit_packs(self, folder: Path, packs: Sequence[Pack]) -> list[str]:
        """Submit one array.

        Parameters
        ----------
        folder : Path
            The submission's folder.
        packs : sequence of Pack
            One per task.

        Returns
        -------
        list of str
            Slurm's names for the tasks.

        Raises
        ------
        FailedJobError
            When sbatch fails.
        """
        self.parameters["map_count"] = len(packs)
        for index, pack in enumerate(packs):
            delayed = DelayedSubmission(pack)
            delayed.set_timeout(self.parameters.get("time", 5), self.max_num_timeout)
            (folder / str(index)).mkdir(parents=True, exist_ok=True)
            delayed.dump(folder / str(index) / PENDING_PICKLE)
        script = folder / SUBMISSION_FILE
        script.write_text(self._make_submission_file_text(self._submitit_command_str, folder.name))
        answer = CommandFunction(self._make_submission_command(script), verbose=False)()
        return place_pickles(folder, self._get_job_id_from_submission_command(answer), len(packs))


def place_pickles(folder: Path, array: str, tasks: int) -> list[str]:
    """Give every task its pickle under the name that submitit looks for.

    Parameters
    ----------
    folder : Path
        The submission's folder.
    array : str
        Slurm's name for the array.
    tasks : int
        Its size.

    Returns
    -------
    list of str
        Slurm's names for the tasks.
    """
    names = [f"{array}_{index}" for index in range(tasks)]
    for index, name in enumerate(names):
        pending = folder / str(index) / PENDING_PICKLE
        if pending.exists():
            pending.rename(JobPaths(folder / str(index), name).submitted_pickle)
    return names


class SlurmCluster:
    """Slurm, one array per submission.

    Parameters
    ----------
    requeues : int
        How often a task that runs into its time limit continues.
    """

    name = "slurm"

    def __init__(self, requeues: int) -> None:
        self.requeues = requeues

    def array_limit(self) -> int:
        """Slurm's own limit."""
        return states.array_limit()

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Submit one array; see `Cluster`.

        Raises
        ------
        RefusedError
            With sbatch's message.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return self._executor(folder, parameters).submit_packs(folder, packs)
            except (FailedJobError, RuntimeError, ValueError) as error:
                message = str(error).strip()
                if not any(words in message for words in _TRANSIENT) or time.monotonic() > deadline:
                    raise RefusedError(message) from error
            time.sleep(2)
            # An answer that was lost on its way may hide a submission that was taken.
            if adopted := self.adopt(folder, len(packs)):
                return adopted

    def _executor(self, folder: Path, parameters: dict[str, Any]) -> ArrayExecutor:
        # USR2 before submitit has its handler would kill the task: it is ignored until then.
        guarded = f"""/bin/bash -c 'trap "" USR2; exec "$0" "$@"' {submitit_python()}"""
        executor = ArrayExecutor(folder / "%a", max_num_timeout=self.requeues, python=guarded)
        executor.update_parameters(**parameters, job_name="lmrnn", comment=folder.name, stderr_to_stdout=True)
        return executor

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Find the array of a submission whose answer was lost, and finish what was left undone."""
        named = next(folder.glob("*/*_submitted.pkl"), None)
        array = named.name.split("_")[0] if named else states.arrays_by_comment().get(folder.name)
        return place_pickles(folder, array, tasks) if array else []

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """One sacct for all."""
        return states.states(job_ids)

    def cancel(self, job_ids: Iterable[str]) -> None:
        """One scancel for up to 200 names."""
        states.cancel(job_ids)


def submitit_python() -> str:
    """The interpreter that tasks run in.

    Returns
    -------
    str
        This one's path, quoted for a shell.
    """
    import shlex
    import sys

    return shlex.quote(sys.executable)


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
        self.jobs: dict[str, submitit.LocalJob] = {}

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

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Stop a task's processes, the controller last so that it starts nothing again."""
        for job_id in job_ids:
            controller = _controller(job_id)
            if controller is not None:
                family = [controller, *controller.children(recursive=True)]
                for process in family:
                    _terminate(process)
                for process in psutil.wait_procs(family, timeout=5)[1]:
                    process.kill()


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
        ours = {job_id: self.ended.get(job_id, "RUNNING") for job_id in job_ids}
        return ours

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Start no further task; the one that runs is a child of this process and ends with it."""
        self.stop.set()
