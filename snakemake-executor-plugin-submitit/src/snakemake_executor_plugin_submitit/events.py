"""What the jobs of a task report: one file a task, one JSON line an event, so that the outcome of each job is known
however its task ends.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .records import Record, append_record, has_ending, is_text, read_records

EVENTS = "events.jsonl"
EARLIER_EVENTS = "cells.jsonl"  # tasks of version 0 may still run, and report there
STARTED, DONE, FAILED, INTERRUPTED = "started", "done", "failed", "interrupted"
# shot down by a signal that no program sends itself; or not ended when its Snakemake did
KILLED, LOST = "killed", "lost"
KINDS = (STARTED, DONE, FAILED, INTERRUPTED, KILLED, LOST)


@dataclass(frozen=True)
class Event:
    """What a job last reported: its kind (empty while there is no report), a reason for people, and the exit status of
    its command or the number of the signal that ended it, where a command was what failed.
    """

    kind: str = ""
    reason: str = ""
    status: int | None = None
    signal: int | None = None


NOTHING = Event()


def write_event(folder: Path, job: str, event: Event) -> None:
    """Report on one job in its task's folder."""
    record = {"job": job, "event": event.kind, "reason": event.reason, "status": event.status, "signal": event.signal}
    append_record(folder / EVENTS, record)


def read_events(folder: Path) -> dict[str, Event]:
    """Last event of each job by its key, without what is no event; ``done`` stays, whatever comes after it."""
    last: dict[str, Event] = {}
    for name in (EARLIER_EVENTS, EVENTS):
        for record in read_records(folder / name, _fits)[0]:
            key = os.path.abspath(record["job"] if "job" in record else record["key"])
            if last.get(key, NOTHING).kind != DONE:
                last[key] = Event(record["event"], record["reason"], record.get("status"), record.get("signal"))
    return last


def _fits(record: Record) -> bool:
    texts = is_text(record, "job" if "job" in record else "key", "event", "reason")
    return texts and record["event"] in KINDS and has_ending(record)
