"""The one place from which files go: nothing else in lmrnn removes one or moves it away.

What may be removed is certain: what lmrnn made and needs no more (temporaries of dead writers, checkpoints of a
finished cell, locks, a fleet's sockets). Whatever somebody may still want is set aside, where it can be fetched back.
"""

from __future__ import annotations

import errno
import glob
import os
from contextlib import suppress
from pathlib import Path

from lmrnn.errors import UnwritableFileError

TRASH = "trash"


def temporaries(path: Path | str) -> list[Path]:
    """Temporary files in a file's folder that interrupted writes of it have left behind."""
    path = Path(path)
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"))


def remove(path: Path | str) -> None:
    """Remove a file that lmrnn made and needs no more; it need not exist. UnwritableFileError where it stays."""
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFileError.of(path, "cannot be removed", error) from error


def remove_empty(folder: Path | str) -> None:
    """Remove a folder that lmrnn made for a while; one in which something lies stays."""
    with suppress(OSError):
        Path(folder).rmdir()


def rename(old: Path | str, new: Path | str) -> None:
    """Give a file another name, under which nothing stands; call it under the file's lock. Raises OSError."""
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
    os.rename(old, new)


def remove_temporaries(path: Path | str) -> None:
    """Remove what interrupted writes of a file have left behind; call it under the file's lock."""
    for temporary in temporaries(path):
        remove(temporary)


def keep_previous(path: Path | str, previous: Path | str) -> None:
    """Give a file, where there is one, the name of the generation before it."""
    if os.path.lexists(path):
        os.replace(path, previous)


def set_aside(path: Path | str, results: Path | str) -> Path:
    """Move a file of a results folder into its trash, below the same path; returns where it now lies.

    Nothing in the trash is overwritten: a second one of the name gets a number. UnwritableFileError where it cannot be
    moved; it then lies where it was.
    """
    path, trash = Path(path), Path(results) / TRASH
    inside = path.relative_to(results) if path.is_relative_to(results) else Path(path.name)
    try:
        (trash / inside).parent.mkdir(parents=True, exist_ok=True)
        target, number = trash / inside, 0
        while os.path.lexists(target):
            number += 1
            target = trash / inside.with_name(f"{inside.name}.{number}")
        os.rename(path, target)
    except OSError as error:
        raise UnwritableFileError.of(path, f"cannot be moved to {trash}", error) from error
    return target
