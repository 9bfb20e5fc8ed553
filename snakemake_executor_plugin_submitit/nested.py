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
import sys
import threading
from pathlib import Path
from typing import Any

from snakemake.cli import main
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_executor_plugin_submitit.events import DONE, FAILED, INTERRUPTED, KILLED, STARTED, write_event

RESUMABLE_STATUS = 75
# Exit status of a trainer that saved its state, or death by a signal that asks to make room.
_INTERRUPTED = re.compile(rf"exit status ({RESUMABLE_STATUS}|143|140)\b|died with <Signals\.(SIGTERM|SIGUSR2)")
# A signal that no program sends itself: the kernel's or Slurm's, short of memory. It may hit a neighbour of the guilty.
_KILLED = re.compile(r"exit status 137\b|died with <Signals\.SIGKILL")
_COMMAND_ENDED = re.compile(r"Command '.*' (returned non-zero exit status \d+|died with <Signals\.\w+: \d+>)")


class CellReporter(logging.Handler):
    """Turns Snakemake's log events into events of the cells.

    Parameters
    ----------
    folder : Path
        The task's folder.
    cells : dict of str to list of str
        Its cells, and the first output of every job of each: one, or several where jobs are grouped.
    """

    def __init__(self, folder: Path, cells: dict[str, list[str]]) -> None:
        super().__init__(logging.INFO)
        self.folder = folder
        self.cell_of = {output: key for key, outputs in cells.items() for output in outputs}
        self.left = {key: set(outputs) for key, outputs in cells.items()}
        # job's number: its cell, its output
        self.jobs: dict[int, tuple[str, str]] = {}
        self.last_error = threading.local()

    def emit(self, record: Any) -> None:
        """Take in one record of Snakemake's.

        Parameters
        ----------
        record : logging.LogRecord
            Of any kind; those without an event of interest pass by.
        """
        event = getattr(record, "event", None)
        if record.levelno >= logging.ERROR and logging.getLogger("snakemake").handlers == [self]:
            print(record.getMessage(), file=sys.stderr, flush=True)  # Snakemake's own output is not yet set up
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
            self.done(record)

    def started(self, record: Any) -> None:
        """A job starts.

        Parameters
        ----------
        record : logging.LogRecord
            With the job's number and outputs.
        """
        # A job without any output goes by the name of its rule.
        for text in record.output or [record.rule_name]:
            # Snakemake notes in brackets what is special about an output.
            output = next((one for one in (text, text.partition(" (")[0]) if one in self.cell_of), None)
            if output is not None:
                key = self.cell_of[output]
                self.jobs[record.jobid] = key, output
                write_event(self.folder, key, STARTED)

    def done(self, record: Any) -> None:
        """A job ended well.

        Parameters
        ----------
        record : logging.LogRecord
            With the job's number.
        """
        key, output = self.jobs[record.job_id]
        self.left[key].discard(output)
        if not self.left[key]:
            write_event(self.folder, key, DONE)

    def without_output(self, text: str) -> None:
        """A job ended well but made nothing; Snakemake says so without an event of its own.

        Parameters
        ----------
        text : str
            Snakemake's message, which names the files.
        """
        named = {line.strip().partition(" (")[0] for line in text.splitlines()} | set(text.split())
        for key, output in self.jobs.values():
            if output in named:
                write_event(self.folder, key, FAILED, f"its command ended well, but {output} is missing")

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
        write_event(self.folder, self.jobs[record.jobid][0], self.kind_of_failure(text), brief(text))

    def kind_of_failure(self, text: str) -> str:
        """Which event an error is.

        Parameters
        ----------
        text : str
            Snakemake's message.

        Returns
        -------
        str
            ``interrupted``, ``killed`` or ``failed``.
        """
        if (self.folder / "making-room").exists() or _INTERRUPTED.search(text):
            return INTERRUPTED
        return KILLED if _KILLED.search(text) else FAILED


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
    reporter = CellReporter(Path(os.environ["LMRNN_TASK_FOLDER"]), json.loads(os.environ["LMRNN_TASK_CELLS"]))
    # Snakemake clears the handlers of its own logger; records still travel up to this one.
    logging.getLogger("snakemake").addHandler(reporter)
    main()
