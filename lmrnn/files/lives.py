"""Which process did something, and what became of one that had no time to say so itself."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

VMSTAT = Path("/proc/vmstat")
# by which a clock may be set right between a process's start and the note of it
_CLOCK_SECONDS = 1.0


def this_process() -> dict[str, Any]:
    """What tells this process from all others, and how many this machine has killed for lack of memory so far."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "began": time.time(), "killed": killed_for_memory()}


def killed_for_memory() -> int:
    """Processes that the kernel has killed for lack of memory since it started, also within a cgroup; 0 if unknown."""
    try:
        words = VMSTAT.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return 0


def fate(process: Mapping[str, Any]) -> str:
    """Why a process of this machine, as `this_process` described it, ended without a word.

    Empty where it lives, or where nothing is known of it: it ran on another machine, or the description is no such.
    """
    import psutil  # which those who are looked at do without

    pid, began, killed = (process.get(name) for name in ("pid", "began", "killed"))
    if process.get("host") != socket.gethostname() or not isinstance(pid, int) or not 0 < pid < 2**31:
        return ""
    if not isinstance(began, (int, float)) or not isinstance(killed, int):
        return ""
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(pid).create_time() < began + _CLOCK_SECONDS:  # a later one of this number is another
            return ""
    more = killed_for_memory() - killed
    if began > psutil.boot_time() and more > 0:
        return (
            f"killed: out of memory (since it began, this machine has killed {more} processes for lack of memory). Run "
            "fewer cells at once, lower network.neurons, training.batch_size or trials_per_task, or run it where there "
            "is more"
        )
    return "killed without a word (SIGKILL, status 137): out of memory, a kill -9, or the machine went down"
