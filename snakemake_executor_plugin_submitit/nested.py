"""The Snakemake inside a task, with an ear for what becomes of each of its jobs.

``python -m snakemake_executor_plugin_submitit.nested ARGUMENTS OF SNAKEMAKE``; the task names its folder and its cells
in the environment. Snakemake's own log events are written down as the cells' events, at once, so that a cell that is
done counts as done even if the task dies while its neighbours still train.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from pathlib import Path
from typing import Any

from snakemake.cli import main
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_executor_plugin_submitit.events import DONE, FAILED, INTERRUPTED, STARTED, write_event

RESUMABLE_STATUS = 75
# Exit status of a trainer that saved its state, or death by a signal that asks to make room.
_INTERRUPTED = re.compile(rf"exit status ({RESUMABLE_STATUS}|143|140)\b|died with <Signals\.(SIGTERM|SIGUSR2)")
_COMMAND_ENDED = re.compile(r"Command '.*' (returned non-zero exit status \d+|died with <Signals\.\w+: \d+>)")


class CellReporter(logging.Handler):
    """Turns Snakemake's log events into events of the cells.

    Parameters
    ----------
    folder : Path
        The task's folder.
    keys : set of str
        Its cells.
    """

    def __init__(self, folder: Path, keys: set[str]) -> None:
        super().__init__(logging.INFO)
        self.folder, self.keys = folder, keys
        self.jobs: dict[int, str] = {}
        self.last_error = threading.local()

    def emit(self, record: Any) -> None:
        """Take in one record of Snakemake's.

        Parameters
        ----------
        record : logging.LogRecord
            Of any kind; those without an event of interest pass by.
        """
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            self.started(record)
        elif event == LogEvent.ERROR:
            # An exception is logged in the thread that then reports its job's error.
            self.last_error.text = record.getMessage()
            if record.exception == "MissingOutputException":
                self.without_output(record.getMessage())
        elif event == LogEvent.JOB_ERROR:
            self.failed(record)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.jobs:
            write_event(self.folder, self.jobs[record.job_id], DONE)

    def started(self, record: Any) -> None:
        """A job starts.

        Parameters
        ----------
        record : logging.LogRecord
            With the job's number and outputs.
        """
        for output in record.output:
            key = output.partition(" (")[0]  # Snakemake notes in brackets what is special about an output
            if key in self.keys:
                self.jobs[record.jobid] = key
                write_event(self.folder, key, STARTED)

    def without_output(self, text: str) -> None:
        """A job ended well but made nothing; Snakemake says so without an event of its own.

        Parameters
        ----------
        text : str
            Snakemake's message, which names the files.
        """
        for key in self.jobs.values():
            if key in text.split():
                write_event(self.folder, key, FAILED, f"its command ended well, but {key} is missing")

    def failed(self, record: Any) -> None:
        """A job ended badly.

        Parameters
        ----------
        record : logging.LogRecord
            With the job's number.
        """
        if record.jobid not in self.jobs:
            return
        text = getattr(self.last_error, "text", "") or "no reason given"
        self.last_error.text = ""
        making_room = (self.folder / "making-room").exists()
        outcome = INTERRUPTED if making_room or _INTERRUPTED.search(text) else FAILED
        write_event(self.folder, self.jobs[record.jobid], outcome, brief(text))


def brief(text: str, limit: int = 300) -> str:
    """What an error says, in one line.

    Parameters
    ----------
    text : str
        Snakemake's message.
    limit : int
        Most characters.

    Returns
    -------
    str
        Its end, where exit statuses and names of exceptions are.
    """
    line = " ".join(text.split())
    ending = _COMMAND_ENDED.search(line)
    if ending:
        return f"its command {ending[1]}"
    return line if len(line) <= limit else "..." + line[-limit:]


if __name__ == "__main__":
    reporter = CellReporter(Path(os.environ["LMRNN_TASK_FOLDER"]), set(json.loads(os.environ["LMRNN_TASK_KEYS"])))
    # Snakemake clears the handlers of its own logger; records still travel up to this one.
    logging.getLogger("snakemake").addHandler(reporter)
    main()
