"""Which source something was made from. It imports nothing of this package: the kernel is built by this file alone."""

import hashlib
from collections.abc import Collection
from pathlib import Path


def digest(folder: Path, endings: Collection[str]) -> str:
    """SHA-256 of the names and contents of all files below a folder with one of some endings, e.g. ``.c``."""
    content = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in endings):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        content.update(f"{file.relative_to(folder).as_posix()}\0{sha256}\n".encode())
    return content.hexdigest()
