"""The places where tasks run: Slurm, processes of this machine, or a thread of Snakemake."""

from __future__ import annotations

import threading
import traceback
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from .processes import end_family
from .resources import Request, signal_delay
from .settings import ExecutorSettings
from .slurm import SlurmCluster
from .task import Pack

# No limit where nothing but this machine is asked: Snakemake's own --jobs is one.
UNLIMITED = 1000


class Cluster(Protocol):
    """What the executor needs of a place to run; what is said of it here holds for this machine. `site` is the name of
    a cluster of a multi-cluster Slurm, or empty; jobs that become ready within `gather` seconds of each other are
    submitted together: at first, and once any has ended.
    """

    name: str
    stop: threading.Event
    gather: tuple[float, float] = (0.5, 0.5)  # a submission costs nothing here

    def array_limit(self) -> int:
        """Most tasks in one submission: no limit but Snakemake's own --jobs."""
        return UNLIMITED

    def time_limits(self, site: str) -> set[float]:
        """Times in minutes beyond which some tasks would not be started."""
        return set()

    def submit(self, folder: Path, packs: Sequence[Pack], asked: Request, name: str, comment: str) -> list[str]:
        """Start one task per pack, each in its own folder, and name them."""

    def adopt(self, folder: Path, tasks: int, site: str) -> list[str]:
        """Names of tasks whose submission was cut short; empty if they never came to be."""

    def states(self, job_ids: Iterable[str], site: str) -> dict[str, str]:
        """State of every task."""

    def reasons(self, site: str) -> dict[str, str]:
        """Why tasks wait, by the id of their array."""
        return {}

    def cancel(self, job_ids: Iterable[str], site: str) -> bool:
        """Stop tasks that run or wait; whether that worked."""


def make_cluster(settings: ExecutorSettings, python: str) -> Cluster:
    """Cluster that the settings name: ``slurm``, ``local`` or ``debug``. Raises ValueError on another name."""
    requeues, delay = max(0, settings.requeues or 0), max(1, settings.signal_delay or 1)
    if settings.cluster == "slurm":
        return SlurmCluster(requeues, delay, settings.array_parallelism or 1, python)
    if settings.cluster == "local":
        return LocalCluster(requeues, delay)
    if settings.cluster == "debug":
        return DebugCluster()
    raise ValueError(f"cluster is one of slurm, local, debug, not {settings.cluster!r}")


class LocalCluster(Cluster):
    """Processes of this machine, through submitit's local executor. `requeues` is how often a resumable task that runs
    into its time limit continues, `delay` how many seconds before it is told to make room.
    """

    name = "local"
    # submitit's controller wants a limit: a job without one gets a year
    LONG_MINUTES = 525_600

    def __init__(self, requeues: int, delay: int) -> None:
        self.requeues, self.delay = requeues, delay
        self.jobs: dict[str, Any] = {}
        self.stop = threading.Event()

    def submit(self, folder: Path, packs: Sequence[Pack], asked: Request, name: str, comment: str) -> list[str]:
        """Start one process per pack; see `Cluster`."""
        import submitit

        minutes = asked.get("time", self.LONG_MINUTES)
        # No signal comes in the last second, so none comes to tasks that could not go on.
        delay = signal_delay(minutes, self.delay) if asked.get("resumable") else 0
        gpus = str(asked.get("gpus-per-node", "0")).rpartition(":")[2]
        names = []
        for index, pack in enumerate(packs):
            executor = submitit.LocalExecutor(folder / str(index), max_num_timeout=self.requeues)
            executor.update_parameters(
                timeout_min=minutes, signal_delay_s=delay, gpus_per_node=int(gpus), stderr_to_stdout=True
            )
            job = executor.submit(pack)
            self.jobs[job.job_id] = job
            names.append(job.job_id)
        return names

    def adopt(self, folder: Path, tasks: int, site: str) -> list[str]:
        """Tasks of a submission that was cut short, by the pickles they were given."""
        found = [next((folder / str(index)).glob("*_submitted.pkl"), None) for index in range(tasks)]
        return [path.name.split("_")[0] if path else "" for path in found] if any(found) else []

    def states(self, job_ids: Iterable[str], site: str) -> dict[str, str]:
        """Whether the processes live."""
        return {job_id: self._state(job_id) for job_id in job_ids}

    def _state(self, job_id: str) -> str:
        if job_id in self.jobs:
            return "RUNNING" if self.jobs[job_id].state == "RUNNING" else "COMPLETED"
        return "RUNNING" if _controller(job_id) else "COMPLETED"

    def cancel(self, job_ids: Iterable[str], site: str) -> bool:
        """Stop tasks' processes, the controllers first so that they start nothing again."""
        family = []
        for job_id in job_ids:
            controller = _controller(job_id)
            if controller is not None:
                family += [controller, *controller.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(family, timeout=5)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return True


def _controller(job_id: str) -> psutil.Process | None:
    """The controller process of a local task; None when it has ended (its number may then be another's)."""
    try:
        process = psutil.Process(int(job_id))
        ours = "submitit.local._local" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError, OverflowError):
        return None
    return process if ours else None


class DebugCluster(Cluster):
    """One task after the other in a thread of this process."""

    name = "debug"

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.ended: dict[str, str] = {}
        self.at_work: int | None = None  # process id of the nested Snakemake
        self.turn = threading.Lock()

    def submit(self, folder: Path, packs: Sequence[Pack], asked: Request, name: str, comment: str) -> list[str]:
        """Start a thread that runs the packs; see `Cluster`."""
        names = [f"{folder.name}_{index}" for index in range(len(packs))]
        for index in range(len(packs)):
            (folder / str(index)).mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._run, args=(names, packs), daemon=True).start()
        return names

    def _run(self, names: list[str], packs: Sequence[Pack]) -> None:
        for name, pack in zip(names, packs, strict=True):
            with self.turn:
                state = "CANCELLED"
                try:
                    if not self.stop.is_set():
                        pack(self._started)
                        state = "COMPLETED"
                except RuntimeError as error:
                    # The jobs' own events say what happened; the task's state says that something did.
                    warnings.warn(f"debug task {name}: {error}", stacklevel=1)
                    state = "FAILED"
                except Exception:
                    # A thread has nobody above it to tell: whatever ended it, the task has failed.
                    traceback.print_exc()
                    state = "FAILED"
                finally:
                    self.at_work = None
                    self.ended[name] = state

    def _started(self, process: int) -> None:
        self.at_work = process

    def adopt(self, folder: Path, tasks: int, site: str) -> list[str]:
        """Nothing outlives this process."""
        return []

    def states(self, job_ids: Iterable[str], site: str) -> dict[str, str]:
        """Ended, or not yet."""
        return {job_id: self.ended.get(job_id, "RUNNING") for job_id in job_ids}

    def cancel(self, job_ids: Iterable[str], site: str) -> bool:
        """Start no further task, and end the one that runs."""
        self.stop.set()
        if self.at_work is not None:
            end_family(self.at_work)
        return True
