"""Clearing away the pickles and logs of finished jobs; those of failed ones stay."""

from __future__ import annotations

import shutil
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from .events import DONE
from .ledger import Entry, Task

LOGS = "logs"


def prune_task(base: Path, task: Task, keep_logs: bool = False) -> None:
    """Remove a task's folder below the ledger's folder `base`, and its submission's with the last one. All of its jobs
    are done, and it has ended. Its logs are moved to a folder of their own first, if they are to be kept.
    """
    folder = task.path(base)
    for log in folder.glob("*_log.out") if keep_logs else ():
        (base / LOGS).mkdir(exist_ok=True)
        log.replace(base / LOGS / log.name)
    # A shared file system may keep a name alive while another node has the file open: then the next run clears it.
    shutil.rmtree(folder, ignore_errors=True)
    submission = folder.parent
    if submission.is_dir() and not any(child.is_dir() for child in submission.iterdir()):
        shutil.rmtree(submission, ignore_errors=True)
        with suppress(OSError):  # other submissions of the day are still there
            submission.parent.rmdir()


def prune_all(
    base: Path,
    entries: dict[str, Entry],
    submissions: dict[str, list[Task]],
    alive: Container[tuple[str, int]] = (),
    keep_logs: bool = False,
) -> None:
    """Remove the folders of all tasks whose jobs are done by now, if by a later task, but not of those still `alive`
    (folder and index). `entries` and `submissions` are those of `Ledger.replay`.
    """
    for tasks in submissions.values():
        for task in tasks:
            done = all(entries[key].outcome == DONE for key in task.keys)
            if done and (task.folder, task.index) not in alive and task.path(base).is_dir():
                prune_task(base, task, keep_logs)
