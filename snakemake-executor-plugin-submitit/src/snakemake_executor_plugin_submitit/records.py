"""JSON lines: one record a line, appended whole, and read with patience.

The ledger and the reports of tasks are such files. A crash, a full disk or a foreign hand may leave anything in them:
what is no record is skipped and counted, and never hides the lines after it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# A submission of 1,000 tasks with 100 jobs each is a line of some 20 MB.
LONGEST_LINE = 64_000_000
_UNCLEAN = re.compile(r"[\0\ud800-\udfff]")
Record = dict[str, Any]


def append_record(path: Path, record: Record, sync: bool = False) -> None:
    """Add one record with the time (seconds since 1970) to a file of JSON lines, in one write, so that lines of several
    writers do not mix; `sync` waits until it is on the disk. A torn last line is ended first.
    """
    line = json.dumps({**record, "time": round(time.time(), 3)}) + "\n"
    with open(path, "a+b", buffering=0) as handle:
        end = handle.seek(0, os.SEEK_END)
        if end:
            handle.seek(end - 1)
            line = line if handle.read(1) == b"\n" else "\n" + line
        handle.write(line.encode())
        if sync:
            os.fsync(handle.fileno())


def read_records(path: Path, fits: Callable[[Record], bool]) -> tuple[list[Record], int]:
    """Records of a file in their order, and how many lines were none: torn, not UTF-8, not an object, nested too deep,
    or not of the form that `fits` asks for. A file that is not there has no records.
    """
    records: list[Record] = []
    skipped = 0
    with suppress(FileNotFoundError, NotADirectoryError), open(path, "rb") as handle:
        while line := handle.readline(LONGEST_LINE):
            try:
                record = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict) and fits(record):
                records.append(record)
            else:
                skipped += bool(line.strip())
    return records, skipped


def is_text(record: Record, *names: str) -> bool:
    """Whether these fields are texts that a file name can hold: no null character, no half of a surrogate pair."""
    return all(isinstance(record.get(name), str) and not _UNCLEAN.search(record[name]) for name in names)


def is_time(record: Record) -> bool:
    """Whether the record's time is a number of seconds that a clock can show."""
    value = record.get("time")
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e11


def has_ending(record: Record) -> bool:
    """Whether `status` and `signal` may be an exit status and a signal's number: small whole numbers, or None."""
    values = (record.get("status"), record.get("signal"))
    return all(value is None or (type(value) is int and 0 <= value < 256) for value in values)
