"""Where a result comes from and what it cost: versions, machine, seconds, memory."""

from __future__ import annotations

import platform
import resource
import socket
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

PURPOSES = ("training", "evaluation", "checkpoint")


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


def provenance(watch: Stopwatch, device: str) -> dict[str, Any]:
    """Versions, machine and seconds of a training on a device that has just ended, as JSON can hold them."""
    return {
        "versions": _versions(),
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
