"""Tables as CSV files, each with its checksum beside it: a digit changed by hand, or a cut, never reaches a figure."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from lmrnn.errors import DamagedFileError, UnreadableFileError
from lmrnn.files.storage import write_text

DO = "Run the same command again: it is made anew from the cells. Do not work in it by hand, but in a copy"


def checksum_file(path: Path | str) -> Path:
    """The file beside a table that has its SHA-256, in the form that ``sha256sum --check`` reads."""
    return Path(f"{path}.sha256")


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all, and its checksum beside it; `ResourceError` when the disk is full."""
    text = table.to_csv(index=False)
    write_text(path, text)
    write_text(checksum_file(path), f"{_digest(text.encode())}  {Path(path).name}\n")


def write_tables(tables: Mapping[str, pd.DataFrame], outputs: Iterable[Path | str]) -> None:
    """Write tables; the name of each file is the name of its table."""
    for output in outputs:
        write_table(output, tables[Path(output).stem])


def read_table(path: Path | str) -> pd.DataFrame:
    """A table as `write_table` wrote it, one without rows also without columns.

    Raises `DamagedFileError` if it is missing, truncated or changed, `UnreadableFileError` if that cannot be said.
    """
    content = check_table(path)
    return pd.read_csv(io.BytesIO(content)) if content.strip() else pd.DataFrame()


def check_table(path: Path | str) -> bytes:
    """Content of a table that is as it was written; raises as `read_table` does."""
    path, beside = Path(path), checksum_file(path)
    content = _read(path, "this table", DamagedFileError(path, "this table does not exist", DO))
    lacks = DamagedFileError(path, f"this table has no checksum beside it ({beside.name})", DO)
    if _read(beside, "this checksum", lacks).split()[:1] != [_digest(content).encode()]:
        raise DamagedFileError(path, "this table is not as it was written: truncated or changed", DO)
    return content


def _read(path: Path, name: str, missing: DamagedFileError) -> bytes:
    """Content of a file; `missing` is what to raise where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise missing from error
    except OSError as error:
        raise UnreadableFileError.of(path, f"{name} cannot be read", error) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
