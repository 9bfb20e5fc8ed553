"""One cell of a study, as the workflow's jobs and `lmrnn train` train it; who does is decided before torch is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, TextIO

from lmrnn.training.fleet.devices import Device, meeting_points
from lmrnn.training.fleet.meeting import meet
from lmrnn.training.interruption import StopRequest


def train_cell(
    spec: dict[str, Any], study: Mapping[str, Any], compute: Mapping[str, Any], log: TextIO, progress: bool = False
) -> str:
    """Train one cell, or take its finished file, and return its status; one that was interrupted continues.

    It is trained by itself, or, where `meeting_points` finds a device for it, together with the cells of other
    processes there (`lmrnn.training.fleet`). `study` is its complete configuration, which says where its results go and
    what of its own it uses; `compute` stands for that section of it; `log` gets a line per evaluation; `progress` draws
    a bar on the terminal for a cell by itself. Raises `Interrupted` on SIGTERM, SIGINT or SIGUSR2, after the state was
    saved, and what is wrong with this cell, its data or its machine.
    """
    compute = {**compute, "log": dict(study.get("log", {}))}
    request = {"spec": spec, "compute": dict(compute), "results": os.path.abspath(study["results"]), **_own(study)}
    devices = meeting_points(spec, compute)
    if not devices:
        from lmrnn.study.grid import Cell
        from lmrnn.training.run import get_to_know, run_cell

        get_to_know(request)
        return run_cell(Cell(spec), study["results"], compute, log, progress)

    def lead(device: Device, listener: socket.socket, stop: StopRequest) -> str:
        if device.visible:
            os.environ["CUDA_VISIBLE_DEVICES"] = device.visible
        from lmrnn.training.fleet import leader

        return leader.lead(device, listener, stop, request, log)

    return meet(devices, request, log, lead)


def _own(study: Mapping[str, Any]) -> dict[str, list[str]]:
    """Files of a study's own that its cells may need: `plugins`, and `masks` of the grid."""
    entries = [entry for block in study["grid"] for entry in block["connectivity"] if isinstance(entry, dict)]
    paths = [entry.get("path", []) for entry in entries if entry.get("kind") == "file"]
    masks = [path for found in paths for path in (found if isinstance(found, list) else [found])]
    return {"plugins": list(map(os.path.abspath, study.get("plugins", ()))), "masks": list(map(os.path.abspath, masks))}
