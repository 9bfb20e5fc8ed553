"""The Snakemake inside a task, with an ear for what becomes of each of its jobs.

``python -m snakemake_executor_plugin_submitit.nested FOLDER OF THE TASK``, where a file says what to do. Snakemake's
own log events are written down as the jobs' events, at once, so that a job that is done counts as done even if the task
dies while its neighbours still run. A job is known by its rule and wildcards, never by how its files are shown.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake import rules
from snakemake.cli import main
from snakemake.exceptions import MissingOutputException, SpawnedJobError
from snakemake.executors import local
from snakemake_interface_logger_plugins.common import LogEvent

from .events import DONE, FAILED, INTERRUPTED, KILLED, LOST, STARTED, Event, write_event
from .task import MAKING_ROOM, NESTED
from .words import words

# EX_TEMPFAIL of sysexits.h: a program that saved its state and goes on when it is started again
RESUMABLE_STATUS = 75
_SIGKILL, _SIGUSR2, _SIGTERM = 9, 12, 15
# A signal that Slurm sends when a task must go; a shell gives it on as an exit status of 128 and its number.
_TOLD_TO_GO = (_SIGUSR2, _SIGTERM)
Identity = tuple[str, str]


def identity(rule: str, wildcards: Mapping[str, str] | None) -> Identity:
    """What tells one job of a workflow from all others: its rule, and its wildcards in a form that can be compared."""
    return rule, json.dumps(dict(wildcards or {}), sort_keys=True)


class Reporter(logging.Handler):
    """Turns Snakemake's log events into events of the task's jobs. `jobs` holds rule and wildcards of every member of
    each job, by its key; those in `stored` are done only once Snakemake has ended.
    """

    def __init__(
        self,
        folder: Path,
        jobs: Mapping[str, list[tuple[str, dict[str, str]]]],
        stored: frozenset[str] = frozenset(),
        resumable: bool = False,
    ) -> None:
        super().__init__(logging.INFO)
        self.folder, self.stored, self.resumable = folder, stored, resumable
        self.key_of = {identity(rule, wildcards): key for key, members in jobs.items() for rule, wildcards in members}
        self.left = {key: {identity(*member) for member in members} for key, members in jobs.items()}
        self.groups = {key for key, members in jobs.items() if len(members) > 1}
        self.running: dict[int, Identity] = {}  # by Snakemake's number of the job
        self.bad: dict[str, Event] = {}  # first failure of a group, which has ended when all of its jobs have
        self.errors: list[str] = []  # not yet told of any job
        self.last_error = threading.local()

    def emit(self, record: Any) -> None:
        """Take in one log record of Snakemake's; those without an event of interest pass by."""
        event = getattr(record, "event", None)
        if record.levelno >= logging.ERROR and logging.getLogger("snakemake").handlers == [self]:
            print(record.getMessage(), file=sys.stderr, flush=True)  # Snakemake's own output is not yet set up
        if event == LogEvent.JOB_INFO:
            self.started(record)
        elif event == LogEvent.ERROR:
            self.error(record)
        elif event == LogEvent.JOB_ERROR:
            self.failed(record)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.running:
            self.done(record.job_id)

    def started(self, record: Any) -> None:
        """A job starts."""
        one = identity(record.rule_name, record.wildcards)
        if one in self.key_of:
            self.running[record.jobid] = one
            write_event(self.folder, self.key_of[one], Event(STARTED))

    def done(self, number: int) -> None:
        """A job, by Snakemake's number, ended well."""
        one = self.running.pop(number)
        key = self.key_of[one]
        self.left[key].discard(one)
        if not self.left[key] and key not in self.stored:
            write_event(self.folder, key, Event(DONE))

    def error(self, record: Any) -> None:
        """Snakemake met an exception, which it logs in the thread that then reports its job's error."""
        exception = sys.exc_info()[1]
        self.last_error.found = record.getMessage(), exception
        self.errors.append(brief(record.getMessage()))
        if isinstance(exception, MissingOutputException):
            self.without_output(exception)

    def without_output(self, exception: MissingOutputException) -> None:
        """A job ended well but made nothing, which Snakemake says without an event of its own."""
        of_rule = [n for n, (rule, _) in self.running.items() if exception.rule is None or rule == exception.rule.name]
        named = re.search(r"Job (\d+) ", str(exception))
        told = [number for number in of_rule if named and number == int(named[1])] or of_rule
        if len(told) == 1:
            reason = f"its command ended well, but output is missing: {brief(str(exception))}"
            self.end_badly(told[0], Event(FAILED, reason))

    def failed(self, record: Any) -> None:
        """A job ended badly."""
        if record.jobid not in self.running:
            return
        text, exception = getattr(self.last_error, "found", ("", None))
        self.last_error.found = "", None
        self.end_badly(record.jobid, self.event_of(text, exception or sys.exc_info()[1]))

    def end_badly(self, number: int, event: Event) -> None:
        """Report a job's failure; a group's waits until its last job has ended."""
        key = self.key_of[self.running.pop(number)]
        self.errors.clear()
        if key in self.groups:
            self.bad.setdefault(key, event)
        else:
            write_event(self.folder, key, event)

    def event_of(self, text: str, exception: BaseException | None) -> Event:
        """Which event an error is, from how its command ended."""
        status, signal = ending(exception)
        told = signal in _TOLD_TO_GO or status in [128 + number for number in _TOLD_TO_GO]
        shot = signal == _SIGKILL or status == 128 + _SIGKILL
        if shot:
            reason = "its command was killed (SIGKILL, status 137): out of memory, or somebody's kill -9"
        elif status is not None:
            reason = f"its command ended with exit status {status}"
        elif signal is not None:
            reason = f"its command was ended by signal {signal}"
        else:
            reason = brief(text) or "no reason given"
        kind = FAILED
        if self.resumable and ((self.folder / MAKING_ROOM).exists() or status == RESUMABLE_STATUS or told):
            kind = INTERRUPTED
        elif told or shot:
            kind = KILLED
        return Event(kind, reason, status, signal)

    def close_down(self, well: bool) -> None:
        """Snakemake has ended, well or not: what waited for that is reported."""
        for key, left in self.left.items():
            if key in self.bad:
                write_event(self.folder, key, self.bad[key])
            elif not left and key in self.stored:
                failure = Event(FAILED, f"its outputs could not be stored: {'; '.join(self.errors)}")
                write_event(self.folder, key, Event(DONE) if well else failure)
            elif left and any(self.key_of[one] == key for one in self.running.values()) and self.errors:
                write_event(self.folder, key, Event(LOST, "; ".join(self.errors)[:600]))


def ending(exception: BaseException | None) -> tuple[int | None, int | None]:
    """Exit status, or signal, of the command whose failure is at the root of an exception; None for both if none is."""
    seen = set()
    while exception is not None and id(exception) not in seen:
        if isinstance(exception, subprocess.CalledProcessError):
            code = exception.returncode
            return (code, None) if code >= 0 else (None, -code)
        seen.add(id(exception))
        exception = exception.__cause__ or exception.__context__
    return None, None


def brief(text: str, limit: int = 300) -> str:
    """An error's message in one line of at most `limit` characters: its end, where names of exceptions are."""
    line = " ".join(text.split())
    return line if len(line) <= limit else "..." + line[-limit:]


def leave_retries_to_the_driver() -> None:
    """A rule's own `retries:` are not Snakemake's here: each attempt is a task with resources of its own."""
    rules.Rule.restart_times = property(lambda rule: 0, lambda rule, value: None)


def spawn_without_a_shell() -> None:
    """The Snakemake that runs a shadow rule of a group by itself is started with words: its own way leads values of
    `envvars` and names of files through a shell.
    """

    def spawn(executor: Any, job: Any) -> None:
        try:
            subprocess.check_call(words(executor.format_job_exec(job)), cwd=executor.workflow.workdir_init)
        except subprocess.CalledProcessError as error:
            raise SpawnedJobError from error

    local.Executor.spawn_job = spawn
    local.Executor.get_job_exec_prefix = lambda executor, job: ""  # it is told where to run
    local.Executor.get_envvar_declarations = lambda executor: ""  # they are in the environment
    local.Executor.get_python_executable = lambda executor: shlex.quote(sys.executable)


def run(folder: Path) -> int:
    """Do what the task's folder says; the exit status of Snakemake."""
    asked = json.loads((folder / NESTED).read_text(encoding="utf-8"))
    reporter = Reporter(folder, asked["jobs"], frozenset(asked["stored"]), asked["resumable"])
    logging.getLogger("snakemake").addHandler(reporter)
    leave_retries_to_the_driver()
    spawn_without_a_shell()
    try:
        main(asked["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        reporter.close_down(status == 0)
        return status
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
