"""One cell of a study, as the workflow's jobs and `lmrnn train` train it; who does is decided before torch is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from lmrnn.training.fleet.devices import Device, meeting_points
from lmrnn.training.fleet.meeting import meet
from lmrnn.training.interruption import StopRequest


def train_cell(
    spec: dict[str, Any], results: Path | str, compute: Mapping[str, Any], log: TextIO, progress: bool = False
) -> str:
    """Train one cell, or take its finished file, and return its status; one that was interrupted continues.

    It is trained by itself, or, where `meeting_points` finds a device for it, together with the cells of other
    processes there (`lmrnn.training.fleet`). File and checkpoint lie below the folder `results`; `compute` is that
    section of the configuration; `log` gets a line per evaluation; `progress` draws a bar on the terminal for a cell
    by itself. Raises `Interrupted` on SIGTERM, SIGINT or SIGUSR2, after the state was saved, and what is wrong with
    this cell, its data or its machine.
    """
    devices = meeting_points(spec, compute)
    if not devices:
        from lmrnn.study.grid import Cell
        from lmrnn.training.run import run_cell

        return run_cell(Cell(spec), results, compute, log, progress)

    request = {"spec": spec, "results": os.path.abspath(results), "compute": dict(compute)}

    def lead(device: Device, listener: socket.socket, stop: StopRequest) -> str:
        if device.visible:
            os.environ["CUDA_VISIBLE_DEVICES"] = device.visible
        from lmrnn.training.fleet import leader

        return leader.lead(device, listener, stop, request, log)

    return meet(devices, request, log, lead)
