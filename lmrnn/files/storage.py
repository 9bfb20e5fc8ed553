"""The one way to write a file, and checks on reading it.

A file is written under a temporary name in its own folder, flushed to the disk and renamed: a reader sees the old file
or the new one, never half of one. HDF5 files carry a user block of 512 bytes with their kind, schema version and the
SHA-256 of all that follows, so that a single changed byte is noticed before anything is read from the file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from lmrnn.errors import DamagedFileError, ResourceError
from lmrnn.files.locks import lock
from lmrnn.files.sink import Sink

__all__ = ["atomic_path", "lock", "open_h5", "read_array", "read_text", "temporaries", "write_h5", "write_text"]

USER_BLOCK = 512
MAGIC = "lmrnn"
_CHUNK = 1 << 22


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def temporaries(path: Path | str) -> list[Path]:
    """Temporary files that interrupted writes of a file have left behind.

    Parameters
    ----------
    path : Path or str
        The file that was to be written.

    Returns
    -------
    list of Path
        In its folder; empty if there are none.
    """
    path = Path(path)
    return sorted(path.parent.glob(f".{path.name}.????????.tmp"))


def _sync(path: Path) -> None:
    """Force a file or folder onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_space(error: BaseException) -> bool:
    """Whether an exception, or one it came from, says that the disk is full (h5py passes it on as text)."""
    while error is not None:
        full = (errno.ENOSPC, errno.EDQUOT)
        if (
            getattr(error, "errno", None) in full
            or "No space left" in str(error)
            or f"errno = {errno.ENOSPC}" in str(error)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : Path or str
        The file to write; its folder is made.

    Yields
    ------
    Path
        Temporary name in the same folder, to be written by the caller. It is flushed and renamed on success and
        removed on failure, in which case an older file at `path` stays as it was.

    Raises
    ------
    ResourceError
        When the disk is full.
    """
    path = Path(path)
    temporary = _temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, (OSError, RuntimeError)) and _no_space(error):
            raise ResourceError(
                f"no space left on the disk while writing {path}. Files that were finished are whole; make space and "
                "run the same command again"
            ) from error
        raise


def write_text(path: Path | str, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all.

    Parameters
    ----------
    path : Path or str
        The file.
    text : str
        Its content.

    Raises
    ------
    ResourceError
        When the disk is full.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _digest(path: Path) -> str:
    """SHA-256 of a file behind its user block."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        handle.seek(USER_BLOCK)
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _header(kind: str, version: int, digest: str) -> bytes:
    return f"{MAGIC} {kind} schema {version} sha256 {digest}\n".encode().ljust(USER_BLOCK, b"\0")


def write_h5(path: Path | str, kind: str, version: int, fill: Callable[[h5py.File], None]) -> None:
    """Write an HDF5 file whole or not at all, with its kind, schema version and checksum.

    Parameters
    ----------
    path : Path or str
        The file.
    kind : str
        What it is: ``dataset``, ``cell`` or ``checkpoint``.
    version : int
        Version of its schema.
    fill : callable
        Writes the content into the open `h5py.File`. The same content gives the same bytes.

    Raises
    ------
    ResourceError
        When the disk is full.
    """
    with atomic_path(path) as temporary:
        with open(temporary, "w+b", buffering=0) as raw:
            sink = Sink(raw)
            with h5py.File(sink, "w", userblock_size=USER_BLOCK, libver="v110") as file:
                fill(file)
                sink.closing = True
            if sink.error is not None:
                raise sink.error
        with open(temporary, "r+b") as handle:
            handle.write(_header(kind, version, _digest(temporary)))


def _check_header(path: Path, kind: str, version: int, do: str) -> None:
    """Refuse a file that is not exactly what `write_h5` wrote."""
    try:
        with open(path, "rb") as handle:
            header = handle.read(USER_BLOCK)
        digest = _digest(path)
    except FileNotFoundError as error:
        raise DamagedFileError(path, f"this {kind} file does not exist", do) from error
    except OSError as error:
        what = f"this {kind} file cannot be read ({error.strerror})"
        raise DamagedFileError(path, what, "See to the disk and the rights on it, or move it away") from error
    words = header.rstrip(b"\0").decode("utf-8", "replace").split()
    if len(words) != 6 or words[0] != MAGIC or words[2::2] != ["schema", "sha256"]:
        raise DamagedFileError(path, f"not a {kind} file of lmrnn (foreign or damaged)", do)
    if words[1] != kind:
        raise DamagedFileError(path, f"a {words[1]} file where a {kind} file was expected", do)
    if words[3] != str(version):
        raise DamagedFileError(path, f"schema version {words[3]}, but this version of lmrnn reads {version}", do)
    if header != _header(kind, version, digest):
        raise DamagedFileError(path, "its content does not match its checksum (truncated or changed)", do)


@contextmanager
def open_h5(
    path: Path | str, kind: str, version: int, do: str = "Delete it and run the same command again"
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after checking kind, schema version and checksum.

    Parameters
    ----------
    path : Path or str
        The file.
    kind : str
        What it must be.
    version : int
        Version of the schema that the caller reads.
    do : str
        What the user can do when the file is not good.

    Yields
    ------
    h5py.File
        Open for reading.

    Raises
    ------
    DamagedFileError
        When the file is missing, foreign, truncated, changed, or of another kind or schema version, and when reading
        it fails in the caller's hands: a part is missing, or is not what it should be.
    """
    path = Path(path)
    _check_header(path, kind, version, do)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        what = f"this {kind} file lacks a part or holds a wrong one: {error}"
        raise DamagedFileError(path, what, do) from error


def read_array(
    file: h5py.File, name: str, dtype: type | None = None, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Read an array of numbers that lies whole in a file.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    name : str
        The array's name.
    dtype : type, optional
        The only type of numbers allowed.
    shape : tuple of int, optional
        The only shape allowed.

    Returns
    -------
    numpy.ndarray
        A copy in memory.

    Raises
    ------
    KeyError, ValueError
        When it is missing, no array of numbers, of another type or shape, or only promised: a link into another file,
        or a size without content, which would be read as zeros.
    """
    item = file[name]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf":
        raise ValueError(f"{name} is no array of numbers")
    if dtype is not None and item.dtype != np.dtype(dtype):
        raise ValueError(f"{name} is of type {item.dtype}, not {np.dtype(dtype)}")
    if shape is not None and item.shape != shape:
        raise ValueError(f"{name} is of shape {item.shape}, not {shape}")
    elsewhere = item.is_virtual or item.external is not None or item.file.filename != file.filename
    if elsewhere or item.id.get_storage_size() < item.nbytes:
        raise ValueError(f"the values of {name} are not in this file")
    return item[()]


def read_text(file: h5py.File, name: str) -> str:
    """Read a text that a file has as an attribute.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    name : str
        The attribute's name.

    Returns
    -------
    str
        The text.

    Raises
    ------
    KeyError, ValueError
        When it is missing or no text.
    """
    text = file.attrs[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} is no text")
    return text
