"""What the cells of a task report: one file a task, one line an event.

So the outcome of each cell is known however its task ends.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

EVENTS = "cells.jsonl"
STARTED, DONE, FAILED, INTERRUPTED = "started", "done", "failed", "interrupted"
KILLED, LOST = "killed", "lost"


def write_event(folder: Path, key: str, event: str, reason: str = "") -> None:
    """Report on one cell.

    Parameters
    ----------
    folder : Path
        The task's folder.
    key : str
        The cell.
    event : str
        ``started``, ``done``, ``failed``, ``interrupted``, ``killed`` when it was shot down by SIGKILL, or ``lost``
        when its Snakemake ended before it did.
    reason : str
        Why it failed.
    """
    line = json.dumps({"key": key, "event": event, "reason": reason, "time": round(time.time(), 3)}) + "\n"
    # One write to a file opened for appending: lines of a survivor and of its successor do not mix.
    with open(folder / EVENTS, "ab", buffering=0) as handle:
        handle.write(line.encode())


def read_events(folder: Path) -> dict[str, tuple[str, str]]:
    """Last event of every cell of a task.

    Parameters
    ----------
    folder : Path
        The task's folder.

    Returns
    -------
    dict of str to (str, str)
        Key to event and reason. ``done`` stays, whatever comes after it; a torn line is left out.
    """
    outcomes: dict[str, tuple[str, str]] = {}
    try:
        text = (folder / EVENTS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return outcomes
    for line in text.splitlines():
        try:
            event = json.loads(line)
            key, kind, reason = event["key"], event["event"], event["reason"]
        except (ValueError, KeyError, TypeError):
            continue
        if outcomes.get(key, ("", ""))[0] != DONE:
            outcomes[key] = (kind, reason)
    return outcomes
