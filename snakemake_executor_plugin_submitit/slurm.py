"""Slurm, through submitit: one array per submission, every task in a folder of its own."""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission, JobPaths

from snakemake_executor_plugin_submitit import states
from snakemake_executor_plugin_submitit.task import Pack

PENDING_PICKLE = "task.pkl"
SUBMISSION_FILE = "sbatch.sh"
# The controller is being restarted or overloaded: worth another try, unlike a refusal.
_TRANSIENT = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Resource temporarily",
    "did not answer",
)
RETRY_SECONDS = 300.0


class RefusedError(Exception):
    """The cluster does not take a submission; the message is the cluster's own."""


class UnansweredError(Exception):
    """Slurm does not answer, and nobody knows whether it took a submission."""


class ArrayExecutor(submitit.SlurmExecutor):
    """submitit's Slurm executor, with every task's folder and pickle in place before Slurm knows of it.

    Submitit itself makes the folder after sbatch has answered. A task of ours has a folder of its own, so that no
    folder grows beyond the size of an array, and Slurm could not open the task's log if that folder were not there.
    """

    def prepare(self, folder: Path, packs: Sequence[Pack]) -> list[str]:
        """Put everything in place for one array.

        Parameters
        ----------
        folder : Path
            The submission's folder.
        packs : sequence of Pack
            One per task.

        Returns
        -------
        list of str
            The command that submits it.
        """
        self.parameters["map_count"] = len(packs)
        for index, pack in enumerate(packs):
            delayed = DelayedSubmission(pack)
            delayed.set_timeout(self.parameters.get("time", 5), self.max_num_timeout)
            (folder / str(index)).mkdir(parents=True, exist_ok=True)
            delayed.dump(folder / str(index) / PENDING_PICKLE)
        script = folder / "0" / SUBMISSION_FILE
        script.write_text(self._make_submission_file_text(self._submitit_command_str, folder.name))
        return self._make_submission_command(script)

    def array_of(self, answer: str) -> str:
        """Slurm's name for the array, from sbatch's answer."""
        return self._get_job_id_from_submission_command(answer)


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
        self.stop = threading.Event()

    def array_limit(self) -> int:
        """Slurm's own limit."""
        return states.array_limit()

    def submit(self, folder: Path, packs: Sequence[Pack], parameters: dict[str, Any]) -> list[str]:
        """Submit one array; see `Cluster`.

        Raises
        ------
        RefusedError
            With sbatch's message.
        UnansweredError
            When the workflow is stopped before Slurm has answered.
        """
        executor = self._executor(folder, parameters)
        command = executor.prepare(folder, packs)
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            answer = states.run(*command)
            if answer.returncode == 0:
                return place_pickles(folder, executor.array_of(answer.stdout), len(packs))
            message = answer.stderr.strip() or answer.stdout.strip()
            if message and not any(words in message for words in _TRANSIENT):
                raise RefusedError(message)
            # An answer that was lost on its way may hide a submission that was taken.
            if array := self._find(folder, deadline, message):
                return place_pickles(folder, array, len(packs))

    def _executor(self, folder: Path, parameters: dict[str, Any]) -> ArrayExecutor:
        # USR2 before submitit has its handler would kill the task: it is ignored until then.
        guarded = f"""/bin/bash -c 'trap "" USR2; exec "$0" "$@"' {shlex.quote(sys.executable)}"""
        executor = ArrayExecutor(folder / "%a", max_num_timeout=self.requeues, python=guarded)
        executor.update_parameters(**parameters, job_name="lmrnn", comment=folder.name, stderr_to_stdout=True)
        return executor

    def _find(self, folder: Path, deadline: float, message: str = "") -> str | None:
        """Array of a submission, None if Slurm does not have it; asks until Slurm answers."""
        while True:
            if self.stop.wait(2 if message else 0):
                raise UnansweredError(message)
            known = states.arrays_by_comment()
            if known is not None:
                return known.get(folder.name)
            message = message or "squeue does not answer"
            if time.monotonic() > deadline:
                raise RefusedError(message)

    def adopt(self, folder: Path, tasks: int) -> list[str]:
        """Find the array of a submission whose answer was lost, and finish what was left undone."""
        named = next(folder.glob("*/*_submitted.pkl"), None)
        array = named.name.split("_")[0] if named else self._find(folder, time.monotonic() + RETRY_SECONDS)
        return place_pickles(folder, array, tasks) if array else []

    def states(self, job_ids: Iterable[str]) -> dict[str, str]:
        """One sacct for all."""
        return states.states(job_ids)

    def cancel(self, job_ids: Iterable[str]) -> bool:
        """One scancel for up to 200 arrays."""
        return states.cancel(job_ids)
