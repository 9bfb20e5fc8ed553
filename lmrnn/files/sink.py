"""What stands between HDF5 and a disk that may fail."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO


class Sink:
    """A file, open for writing without a buffer, which fails once and from then on takes everything and keeps nothing.

    HDF5 that meets a full disk cannot close its file any more and takes the process down with it (a segmentation
    fault, seen with 2.0). So the first failure goes through to the caller, as Python's own error, and HDF5 is then left
    to tidy up in peace; the file is thrown away.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.closing = False  # from then on a failure is kept in `error` alone: HDF5 must not see it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _try(self, call: Callable[[Any], int], argument: Any, otherwise: int) -> int:
        if self.error is None:
            try:
                return call(argument)
            except OSError as error:
                self.error = error
                if not self.closing:
                    raise
        return otherwise

    def write(self, data: memoryview) -> int:
        """Write all of it: a disk that is nearly full takes a part and says so only at the next attempt."""
        left = memoryview(data).cast("B")
        while len(left):
            left = left[self._try(self._file.write, left, len(left)) :]
        return len(data)

    def truncate(self, size: int) -> int:
        """Set the file's size."""
        return self._try(self._file.truncate, size, size)


class Source:
    """A file, open for reading without a buffer, which remembers in `error` the first failure of the disk.

    HDF5 reports a read that failed and a file that makes no sense alike; only the disk itself tells them apart.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _try(self, call: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return call(argument)
        except OSError as error:
            self.error = self.error or error
            raise

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        return self._try(self._file.read, size)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer: the system reads at most 2 GB at once."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view):
            count = self._try(self._file.readinto, view[done:])
            if not count:
                break
            done += count
        return done
