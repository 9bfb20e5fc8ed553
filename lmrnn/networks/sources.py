"""What the compiled kernel is compiled from; without imports of this package, as building it reads this file alone."""

import hashlib
from pathlib import Path


def digest(folder: Path) -> str:
    """SHA-256 of the C sources in a folder, their names and contents; that of nothing where there are none."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.[ch]")):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)}\n".encode() + content)
    return found.hexdigest()
