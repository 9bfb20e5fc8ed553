"""What one program tells another: JSON objects, one a line, beside the log that people read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

_TAIL_BYTES = 1 << 16  # the last lines are asked for, and a line has some hundred bytes


def records_file(log: Path | str) -> Path:
    """The file of records beside a log."""
    return Path(log).with_suffix(".jsonl")


def append_record(path: Path | str, event: str, **fields: Any) -> None:
    """Add one record; where that cannot be done (a full disk) it is left out, as the work itself does not need it."""
    with suppress(OSError), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, **fields}) + "\n")


def latest_records(path: Path | str) -> dict[str, dict[str, Any]]:
    """The last record of each event among the first line and the last ones; lines that are torn or no records are left
    out, a missing file has none.
    """
    try:
        with open(path, "rb") as file:
            first = file.readline(_TAIL_BYTES)
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = (first + b"\n" + file.read()).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("event"), str):
                found[record["event"]] = record
    return found
