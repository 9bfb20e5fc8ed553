"""What stands between HDF5 and a disk that may be full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO


class Sink:
    """A file for HDF5 to write into, which fails once and from then on takes everything and keeps nothing.

    HDF5 that meets a full disk cannot close its file any more and takes the process down with it (a segmentation
    fault, seen with 2.0). So the first failure goes through to the caller, as Python's own error, and HDF5 is then left
    to tidy up in peace; the file is thrown away.

    Parameters
    ----------
    file : binary file
        Open for reading and writing, without a buffer.
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
