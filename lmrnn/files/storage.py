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
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from lmrnn.errors import DamagedFileError, LmrnnError, ResourceError, UnreadableFileError, UnwritableFileError, advice
from lmrnn.files.locks import lock
from lmrnn.files.removal import remove, temporaries
from lmrnn.files.sink import Sink, Source

__all__ = ["atomic_path", "lock", "open_h5", "read_array", "read_text", "temporaries", "write_h5", "write_text"]

USER_BLOCK = 512
MAGIC = "lmrnn"
_CHUNK = 1 << 22
# Where the superblock of HDF5 (versions 2 and 3) has the end of the file, and how far it must be read for it.
_HDF5, _END_AT, _SUPERBLOCK = b"\x89HDF\r\n\x1a\n", 28, 48


def _sync(path: Path) -> None:
    """Force a file or folder onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: BaseException | None) -> OSError | None:
    """The system's error that an exception is or came from (HDF5 passes some on as text)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            if isinstance(error, (OSError, RuntimeError)) and f"errno = {number}," in str(error):
                return OSError(number, os.strerror(number))
        error = error.__cause__ or error.__context__
    return None


def _no_inodes(folder: Path) -> bool:
    """Whether a file system is full of files though it has room for bytes."""
    found = os.statvfs(next(one for one in (folder, *folder.parents) if one.exists()))
    return found.f_files > 0 and found.f_favail == 0 and found.f_bavail > 0


def unwritable(path: Path, error: OSError) -> LmrnnError:
    """The error to raise when the system does not let `path` be written: what is the matter, and what to do."""
    if error.errno == errno.ENOSPC and _no_inodes(path.absolute().parent):
        return ResourceError(
            f"no room for another file on the disk while writing {path} (inodes are used up, not bytes: df -i). "
            "Files that were finished are whole; remove files that nobody needs and run the same command again"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(f"no space left on the disk while writing {path}. {advice(error)}")
    return UnwritableFileError.of(path, "cannot be written", error)


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Gives a temporary name in the same folder, which is made, to be written by the caller. It is flushed and renamed on
    success and removed on failure, in which case an older file at `path` stays as it was. Raises ResourceError when the
    disk is full, UnwritableFileError when the system refuses for another reason.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        cause = _cause(error) if isinstance(error, (OSError, RuntimeError)) else None
        try:
            remove(temporary)
        except UnwritableFileError:
            if cause is None:
                raise
        if cause is not None:
            raise unwritable(path, cause) from error
        raise


def write_text(path: Path | str, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all; raises what `atomic_path` does."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _digest(handle: BinaryIO | Source) -> str:
    """SHA-256 of an open file behind its user block."""
    digest = hashlib.sha256()
    handle.seek(USER_BLOCK)
    while chunk := handle.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _header(kind: str, version: int, digest: str) -> bytes:
    return f"{MAGIC} {kind} schema {version} sha256 {digest}\n".encode().ljust(USER_BLOCK, b"\0")


def write_h5(path: Path | str, kind: str, version: int, fill: Callable[[h5py.File], None]) -> None:
    """Write an HDF5 file whole or not at all, with its kind (dataset, cell, checkpoint), schema version and checksum.

    `fill` writes the content into the open file; the same content gives the same bytes. Raises what `atomic_path` does.
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
            header = _header(kind, version, _digest(handle))
            handle.seek(0)
            handle.write(header)


def _open(path: Path, kind: str, do: str) -> Source:
    """Open a file for reading; a FIFO or a device, at which one could wait for ever, is refused instead."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise DamagedFileError(path, f"this {kind} file does not exist", do) from error
    except OSError as error:
        raise UnreadableFileError.of(path, f"this {kind} file cannot be read", error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        what = f"this {kind} file cannot be read (a folder, a pipe or a device lies in its place)"
        raise UnreadableFileError(path, what, "Move it away and run the same command again")
    return Source(open(descriptor, "rb", buffering=0))


def _check_header(path: Path, source: Source, kind: str, version: int, do: str, at_most: int | None) -> None:
    """Refuse a file that is not exactly what `write_h5` wrote; by its size before its content is read."""
    size = os.fstat(source.fileno()).st_size
    start = source.read(USER_BLOCK + _SUPERBLOCK)
    header = start[:USER_BLOCK]
    words = header.rstrip(b"\0").decode("utf-8", "replace").split()
    if len(words) != 6 or words[0] != MAGIC or words[2::2] != ["schema", "sha256"]:
        raise DamagedFileError(path, f"not a {kind} file of lmrnn (foreign or damaged)", do)
    if words[1] != kind:
        raise DamagedFileError(path, f"a {words[1]} file where a {kind} file was expected", do)
    if words[3] != str(version):
        if words[3].isdecimal() and words[3].isascii() and len(words[3]) < 9 and int(words[3]) > version:
            found = f"this {kind} file is of schema version {words[3]}, but this version of lmrnn reads {version}"
            raise UnreadableFileError(path, found, "Use the newer version of lmrnn that wrote it, or other results")
        raise DamagedFileError(path, f"schema version {words[3]}, but this version of lmrnn reads {version}", do)
    changed = DamagedFileError(path, "its content does not match its checksum (truncated or changed)", do)
    block = start[USER_BLOCK:]
    if not block.startswith(_HDF5) or int.from_bytes(block[_END_AT : _END_AT + 8], "little") != size:
        raise changed
    if at_most is not None and size > at_most:
        raise DamagedFileError(path, f"{size:,} bytes, but what it should hold takes at most {at_most:,}", do)
    if header != _header(kind, version, _digest(source)):
        raise changed


def _check_links(file: h5py.File) -> None:
    """Refuse links into other files (which may be pipes, at which one would wait for ever) and to other names."""

    def named(name: bytes) -> bytes | None:
        return None if file.id.links.get_info(name).type == h5py.h5l.TYPE_HARD else name

    link = file.id.links.visit(named)
    if link is not None:
        raise ValueError(f"{link.decode('utf-8', 'replace')} is a link, not a part of this file")


@contextmanager
def open_h5(
    path: Path | str,
    kind: str,
    version: int,
    do: str = "Delete it and run the same command again",
    at_most: int | None = None,
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading after checking kind, schema version, size and checksum.

    `do` is what the user can do when the file is not good; `at_most`, where the caller knows it, the largest size in
    bytes that it may have. Raises DamagedFileError when the file is missing, foreign, truncated, changed, of another
    kind or an older schema version, and when reading it fails in the caller's hands (a part is missing, or is not what
    it should be); UnreadableFileError when the system does not let it be read or its schema version is newer: then
    nothing is known of its content, and it must neither be removed nor replaced.
    """
    path = Path(path)
    source = _open(path, kind, do)
    try:
        _check_header(path, source, kind, version, do, at_most)
        with h5py.File(source, "r") as file:
            _check_links(file)
            yield file
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        if source.error is not None:
            raise UnreadableFileError.of(path, f"this {kind} file cannot be read", source.error) from source.error
        what = f"this {kind} file lacks a part or holds a wrong one: {error}"
        raise DamagedFileError(path, what, do) from error
    finally:
        source.close()


def read_array(
    file: h5py.File, name: str, dtype: type | None = None, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """A copy in memory of an array of numbers that lies whole in a file, of this type and shape where they are given.

    Raises KeyError or ValueError when it is missing, no array of numbers, of another type or shape, or only promised:
    values in another file, or a size without content, which would be read as zeros.
    """
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{name} is no array of numbers")
    if item.is_virtual or item.external is not None:
        raise ValueError(f"the values of {name} are not in this file")
    if item.dtype.kind not in "biuf":
        raise ValueError(f"{name} is no array of numbers")
    if dtype is not None and item.dtype != np.dtype(dtype):
        raise ValueError(f"{name} is of type {item.dtype}, not {np.dtype(dtype)}")
    if shape is not None and item.shape != shape:
        raise ValueError(f"{name} is of shape {item.shape}, not {shape}")
    if item.id.get_storage_size() < item.nbytes:
        raise ValueError(f"the values of {name} are not in this file")
    return item[()]


def read_text(file: h5py.File, name: str) -> str:
    """A text that a file has as an attribute; KeyError or ValueError when it is missing or no text."""
    text = file.attrs[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} is no text")
    return text
