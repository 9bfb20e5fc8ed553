"""Where a result comes from and what it cost: versions, code, machine, seconds, memory."""

from __future__ import annotations

import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import lmrnn
from lmrnn.files.sources import digest

PURPOSES = ("training", "evaluation", "checkpoint")
_PATIENCE = 10  # seconds for git, which takes milliseconds where the disk answers
_SOURCES = (".py", ".c", ".h", ".yaml")  # what a result can depend on; not what Python and the compiler make of it


class Stopwatch:
    """Seconds spent on each of `PURPOSES`, counted apart: of the clock on the wall and of this process's cores."""

    def __init__(self, wall: dict[str, float] | None = None, cpu: dict[str, float] | None = None) -> None:
        self.wall = {purpose: (wall or {}).get(purpose, 0.0) for purpose in PURPOSES}
        self.cpu = {purpose: (cpu or {}).get(purpose, 0.0) for purpose in PURPOSES}

    @contextmanager
    def timing(self, purpose: str) -> Iterator[None]:
        """Count the time inside the context for one of `PURPOSES`."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall[purpose] += time.perf_counter() - wall
            self.cpu[purpose] += time.process_time() - cpu


@cache
def _versions() -> dict[str, str]:
    """Versions of what computes; read once, as they stay what they are while the process lives."""
    packages = {package: version(package) for package in ("torch", "numpy", "h5py")}
    return {"lmrnn": lmrnn.__version__, **packages, "python": platform.python_version()}


@cache
def code(package: Path = Path(lmrnn.__file__).parent) -> dict[str, str | None]:
    """The code that computes: ``sha256`` of the package's sources, and ``commit`` of the clone that they lie in, with
    ``-dirty`` where sources were changed since; None where there is no clone, or git does not say.
    """
    return {"sha256": digest(package, _SOURCES), "commit": _commit(package)}


def _commit(package: Path) -> str | None:
    if not (package.parent / ".git").exists() or (commit := _git(package, "rev-parse", "HEAD")) is None:
        return None
    return commit if _git(package, "status", "--porcelain", "--", ".") == "" else f"{commit}-dirty"


def _git(package: Path, *words: str) -> str | None:
    """What git says in a package's folder; None where it says nothing: a training is not lost for it."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # many trainings ask at a time
    try:
        command = ["git", "-C", str(package), *words]
        return subprocess.check_output(
            command, env=environment, stderr=subprocess.DEVNULL, text=True, timeout=_PATIENCE
        ).strip()
    except (OSError, subprocess.SubprocessError):
        return None  # no git, no process or memory for it, a clone of another user, a disk that does not answer


def provenance(watch: Stopwatch, device: str) -> dict[str, Any]:
    """Versions, code, machine and seconds of a training on a device that has just ended, as JSON can hold them."""
    return {
        "versions": _versions(),
        "code": code(),
        "host": socket.gethostname(),
        "processor": processor(),
        "device": device,
        **{f"{purpose}_seconds": seconds for purpose, seconds in watch.wall.items()},
        **{f"{purpose}_cpu_seconds": seconds for purpose, seconds in watch.cpu.items()},
        "ended": now(),
    }


def now() -> str:
    """Time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def processor() -> str:
    """Model of the processor as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def peak_memory_mb() -> float:
    """Most memory (resident set) that this process has had so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def device_name(device: torch.device) -> str:
    """The processor or the GPU by name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
