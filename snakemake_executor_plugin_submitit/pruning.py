"""Clearing away the pickles and logs of finished cells; those of failed ones stay."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from lmrnn.ledger import DONE, Entry, Task


def prune_task(base: Path, task: Task) -> None:
    """Remove a task's folder, and its submission's with the last one.

    Parameters
    ----------
    base : Path
        Folder of the ledger.
    task : Task
        All of its cells are done.
    """
    folder = task.path(base)
    # A shared file system may keep a name alive while another node has the file open: then the next run clears it.
    shutil.rmtree(folder, ignore_errors=True)
    submission = folder.parent
    if submission.is_dir() and not any(child.is_dir() for child in submission.iterdir()):
        shutil.rmtree(submission, ignore_errors=True)
        with suppress(OSError):  # other submissions of the day are still there
            submission.parent.rmdir()


def prune_all(base: Path, entries: dict[str, Entry], submissions: dict[str, list[Task]]) -> None:
    """Remove the folders of all tasks whose cells are done by now, if by a later task.

    Parameters
    ----------
    base : Path
        Folder of the ledger.
    entries, submissions : dict
        From `lmrnn.ledger.Ledger.replay`.
    """
    for tasks in submissions.values():
        for task in tasks:
            done = all(entries[key].outcome == DONE for key in task.keys)
            if done and task.path(base).is_dir():
                prune_task(base, task)
