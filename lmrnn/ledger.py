"""The dispatch's own record of what was handed to a cluster: append-only, one JSON object a line.

Snakemake's record of running jobs is overwritten by the Snakemake that runs inside the job, so that after a crash of
the driver nothing would say what is still on the cluster. This file says it, and `lmrnn status` reads it without asking
Slurm.

Events: ``submit`` (written before the cluster is asked; names the tasks and the cells of each), ``ids`` (the cluster's
answer), ``refused``, ``states`` (what changed since the last look), ``end`` (one cell's outcome).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEDGER = "ledger.jsonl"
DEFAULT_FOLDER = Path(".lmrnn") / "dispatch"
OPEN, DONE, FAILED, INTERRUPTED = "open", "done", "failed", "interrupted"


@dataclass
class Task:
    """One task of an array: the cells that one Slurm job trains.

    Parameters
    ----------
    folder : str
        Name of the submission's folder, relative to the ledger's.
    index : int
        Index in the array, >= 0.
    keys : tuple of str
        Its cells, each named by its first output file.
    cluster : str
        ``slurm``, ``local`` or ``debug``.
    job_id : str
        The cluster's name for it, e.g. ``123_0``; empty while unknown.
    state : str
        Last known state, e.g. ``PENDING``.
    """

    folder: str
    index: int
    keys: tuple[str, ...]
    cluster: str
    job_id: str = ""
    state: str = ""

    def path(self, base: Path) -> Path:
        """Folder with the task's pickles, log and events.

        Parameters
        ----------
        base : Path
            Folder of the ledger.

        Returns
        -------
        Path
            One folder per task.
        """
        return base / self.folder / str(self.index)


@dataclass
class Entry:
    """The latest that is known of one cell.

    Parameters
    ----------
    key : str
        Its first output file.
    rule : str
        The rule that makes it.
    log : str
        Its rule's log file, or empty.
    task : Task
        Where it was submitted last.
    outcome : str
        ``open``, ``done``, ``failed`` or ``interrupted``.
    reason : str
        Why it failed.
    submissions : int
        How often it was submitted.
    since : float
        Seconds since 1970 of the last event.
    made : str
        Fingerprint of what it is made of.
    """

    key: str
    rule: str
    log: str
    task: Task
    outcome: str = OPEN
    reason: str = ""
    submissions: int = 0
    since: float = 0.0
    made: str = ""


class Ledger:
    """Append to the record, or read all of it.

    Parameters
    ----------
    folder : Path or str
        Its folder, made when something is first written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LEDGER

    def append(self, event: str, **values: Any) -> None:
        """Add one event.

        Parameters
        ----------
        event : str
            Its kind.
        **values : Any
            What belongs to it, as JSON can hold it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"event": event, "time": round(time.time(), 3), **values}) + "\n"
        with open(self.path, "a+b") as handle:
            # A crash may have torn the last line: end it, so that it does not take this one with it.
            if handle.tell() and _last_byte(self.path) != b"\n":
                line = "\n" + line
            handle.write(line.encode())
            handle.flush()
            os.fsync(handle.fileno())

    def events(self) -> Iterator[dict[str, Any]]:
        """All events in their order.

        Yields
        ------
        dict
            One event; lines that a crash has torn are left out.
        """
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8", errors="replace") as handle:
            for line in handle:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and "event" in event:
                    yield event

    def replay(self) -> tuple[dict[str, Entry], dict[str, list[Task]]]:
        """State at the end of the record.

        Returns
        -------
        entries : dict of str to Entry
            Every cell by its key.
        submissions : dict of str to list of Task
            Every submission's tasks, by the name of its folder.
        """
        entries: dict[str, Entry] = {}
        submissions: dict[str, list[Task]] = {}
        by_id: dict[str, Task] = {}
        for event in self.events():
            _apply(event, entries, submissions, by_id)
        return entries, submissions


def _last_byte(path: Path) -> bytes:
    with open(path, "rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1)


def _apply(
    event: dict[str, Any], entries: dict[str, Entry], submissions: dict[str, list[Task]], by_id: dict[str, Task]
) -> None:
    """Take one event into the state."""
    kind, folder = event["event"], event.get("folder", "")
    if kind == "submit":
        submissions[folder] = [
            Task(folder, index, tuple(cell["key"] for cell in cells), event["cluster"])
            for index, cells in enumerate(event["tasks"])
        ]
        for task, cells in zip(submissions[folder], event["tasks"], strict=True):
            for cell in cells:
                earlier = entries.get(cell["key"])
                count = 1 + (earlier.submissions if earlier else 0)
                entries[cell["key"]] = Entry(
                    cell["key"],
                    cell["rule"],
                    cell["log"],
                    task,
                    submissions=count,
                    since=event["time"],
                    made=cell.get("made", ""),
                )
    elif kind == "ids":
        for task, job_id in zip(submissions.get(folder, []), event["ids"], strict=False):
            task.job_id = job_id
            task.state = task.state or "PENDING"
            by_id[job_id] = task
    elif kind == "refused":
        for task in submissions.get(folder, []):
            task.state = "REFUSED"
            _end(entries, task, task.keys, FAILED, event["reason"], event["time"])
    elif kind == "states":
        for job_id, state in event["states"].items():
            if job_id in by_id:
                by_id[job_id].state = state
    elif kind == "end" and event["key"] in entries:
        entry = entries[event["key"]]
        if (entry.task.folder, entry.task.index) == (folder, event["index"]):
            _end(entries, entry.task, [entry.key], event["outcome"], event["reason"], event["time"])


def _end(entries: dict[str, Entry], task: Task, keys: Any, outcome: str, reason: str, time_: float) -> None:
    for key in keys:
        if entries[key].task is task:
            entries[key].outcome, entries[key].reason, entries[key].since = outcome, reason, time_
