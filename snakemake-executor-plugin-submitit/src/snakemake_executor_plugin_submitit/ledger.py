"""The executor's own record of what was handed to a cluster: append-only, one JSON object a line.

Snakemake's record of running jobs is overwritten by the Snakemake that runs inside the job, so that after a crash of
the driver nothing would say what is still on the cluster. This file says it, and whoever reads it need not ask Slurm.

Events: ``submit`` (written before the cluster is asked; names the workflow, the tasks and the jobs of each), ``ids``
(the cluster's answer), ``refused``, ``states`` (what changed since the last look), ``end`` (one job's outcome).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .events import DONE, FAILED, INTERRUPTED
from .records import Record, append_record, has_ending, is_text, is_time, read_records

LEDGER = "ledger.jsonl"
DEFAULT_FOLDER = Path(".snakemake") / "submitit"
EARLIER_FOLDER = Path(".lmrnn") / "dispatch"  # version 0 was part of lmrnn
OPEN = "open"  # the other outcomes are what jobs themselves report: done, failed, interrupted
# Folders are removed once their jobs are done: a name may lead nowhere but down.
_FOLDER = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")


@dataclass
class Task:
    """One task of an array: the jobs (`keys`) that one Slurm job runs. `folder` is its submission's, relative to the
    ledger's, `index` its number in the array; `cluster` is ``slurm``, ``local`` or ``debug``, `site` the name for
    Slurm's --clusters or empty; `job_id` the cluster's name for it, e.g. ``123_0``, empty while unknown; `state` the
    last that is known, e.g. ``PENDING``; `workflow` the working directory of the workflow it belongs to.
    """

    folder: str
    index: int
    keys: tuple[str, ...]
    cluster: str
    job_id: str = ""
    state: str = ""
    site: str = ""
    workflow: str = ""
    driver: dict[str, Any] = field(default_factory=dict)

    def path(self, base: Path) -> Path:
        """Folder with the task's pickles, log and events, below the ledger's folder."""
        return base / self.folder / str(self.index)


@dataclass
class Entry:
    """The latest that is known of one job: its key (absolute path of its first output, or its rule and wildcards in the
    working directory), its rule's log file or empty, the task it was last submitted in, its outcome (``open``,
    ``done``, ``failed``, ``interrupted``) with a reason for people and the exit status of its command or the signal
    that ended it, the time of the last event in seconds since 1970, and the fingerprint of what it is made of.
    """

    key: str
    log: str
    task: Task
    outcome: str = OPEN
    reason: str = ""
    since: float = 0.0
    made: str = ""
    status: int | None = None
    signal: int | None = None


class Ledger:
    """Append to the record in a folder, or read all of it; `skipped` counts the lines that the last reading could not
    use. The folder is made when something is first written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LEDGER
        self.skipped = 0

    def append(self, event: str, **values: Any) -> None:
        """Add one event of a kind, with what belongs to it as JSON can hold it; it is on the disk afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        append_record(self.path, {"event": event, **values}, sync=True)

    def replay(self) -> tuple[dict[str, Entry], dict[str, list[Task]]]:
        """State at the end of the record: every job by its key, and every submission's tasks by the name of its folder.
        What no reader can use (see `skipped`) is left out.
        """
        records, self.skipped = read_records(self.path, _fits)
        entries: dict[str, Entry] = {}
        submissions: dict[str, list[Task]] = {}
        by_id: dict[tuple[str, str], Task] = {}
        for record in records:
            _apply(record, entries, submissions, by_id)
        return entries, submissions


def folder_in_use(folder: Path | str | None) -> Path:
    """Absolute path of the executor's folder: as set, or the default of this working directory. A folder that version 0
    left is taken over: it moves to the new place, and a link at the old one serves tasks that still run.
    """
    if folder is not None:
        return Path(folder).absolute()
    if (EARLIER_FOLDER / LEDGER).exists() and not EARLIER_FOLDER.is_symlink() and not DEFAULT_FOLDER.exists():
        DEFAULT_FOLDER.parent.mkdir(parents=True, exist_ok=True)
        EARLIER_FOLDER.rename(DEFAULT_FOLDER)
        EARLIER_FOLDER.symlink_to(DEFAULT_FOLDER.absolute())
    return DEFAULT_FOLDER.absolute()


def _fits(record: Record) -> bool:
    """Whether a line is one of the ledger's events, with all of its fields."""
    check = _FORMS.get(record["event"]) if isinstance(record.get("event"), str) else None
    return check is not None and is_time(record) and check(record)


def _is_submission(record: Record) -> bool:
    texts = is_text(record, "folder", "cluster", *(name for name in ("workflow", "site") if name in record))
    tasks, driver = record.get("tasks"), record.get("driver", {})
    if not texts or not tasks or not isinstance(tasks, list) or not isinstance(driver, dict):
        return False
    sound = all(isinstance(jobs, list) and jobs and all(map(_is_job, jobs)) for jobs in tasks)
    return sound and _FOLDER.fullmatch(record["folder"]) is not None


def _is_job(job: object) -> bool:
    return isinstance(job, dict) and is_text(job, "key", "rule", "log") and isinstance(job.get("made", ""), str)


def _is_end(record: Record) -> bool:
    texts = is_text(record, "folder", "key", "reason", "outcome") and record["outcome"] in (DONE, FAILED, INTERRUPTED)
    return texts and type(record.get("index")) is int and has_ending(record)


_FORMS = {
    "submit": _is_submission,
    "ids": lambda record: is_text(record, "folder") and _are_texts(record.get("ids")),
    "refused": lambda record: is_text(record, "folder", "reason"),
    "states": lambda record: (
        isinstance(record.get("states"), dict) and _are_texts([record.get("site", ""), *record["states"].values()])
    ),
    "end": _is_end,
}


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _apply(
    record: Record, entries: dict[str, Entry], submissions: dict[str, list[Task]], by_id: dict[tuple[str, str], Task]
) -> None:
    """Take one event into the state."""
    kind, folder = record["event"], record.get("folder", "")
    if kind == "submit":
        _submit(record, entries, submissions)
    elif kind == "ids":
        for task, job_id in zip(submissions.get(folder, []), record["ids"], strict=False):
            task.job_id = job_id
            task.state = task.state or "PENDING"
            by_id[task.site, job_id] = task
    elif kind == "refused":
        for task in submissions.get(folder, []):
            task.state = "REFUSED"
            for entry in (entries[key] for key in task.keys if entries[key].task is task):
                _end(entry, FAILED, record)
    elif kind == "states":
        for job_id, state in record["states"].items():
            if named := by_id.get((record.get("site", ""), job_id)):
                named.state = state
    else:
        ended = entries.get(os.path.abspath(record["key"]))
        if ended and (ended.task.folder, ended.task.index) == (folder, record["index"]):
            _end(ended, record["outcome"], record)


def _submit(record: Record, entries: dict[str, Entry], submissions: dict[str, list[Task]]) -> None:
    # Version 0 wrote paths as the workflow names them, and one workflow had one ledger.
    workflow, driver, site = record.get("workflow", os.getcwd()), record.get("driver", {}), record.get("site", "")
    tasks = submissions[record["folder"]] = []
    for index, jobs in enumerate(record["tasks"]):
        keys = tuple(os.path.abspath(os.path.join(workflow, job["key"])) for job in jobs)
        task = Task(record["folder"], index, keys, record["cluster"], "", "", site, workflow, driver)
        tasks.append(task)
        for key, job in zip(keys, jobs, strict=True):
            entries[key] = Entry(key, job["log"], task, since=float(record["time"]), made=job.get("made", ""))


def _end(entry: Entry, outcome: str, record: Record) -> None:
    entry.outcome, entry.reason, entry.since = outcome, record["reason"], float(record["time"])
    entry.status, entry.signal = record.get("status"), record.get("signal")
