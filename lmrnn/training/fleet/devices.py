"""On which device a cell can be trained together with others; found out without torch, which those that wait lack."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmrnn.errors import ResourceError

# A matrix of N x N takes 4 N^2 bytes, and training holds eight of them: 2 GB a cell at this size.
MOST_NEURONS = 8192
_UUID_BYTES = 96
# What a fleet computes: a cell with any other setting in its spec, also one that is added to the schema some day, is
# trained by itself. (Here, as those that wait do without lmrnn.networks.)
_TOGETHER = {
    "network": {"neurons", "nonlinearity", "leak", "tau", "initialisation", "initial_scale", "recurrent_noise"},
    "training": {
        *("layout", "sequence_length", "batch_size", "steps", "patience", "learning_rate"),
        *("recurrent_rate", "reference_degree"),
        *("schedule", "warmup_steps", "rate_floor", "gradient_clip", "evaluate_every", "evaluations"),
    },
}


@dataclass(frozen=True)
class Device:
    """A device at which the cells of a node meet: its `name`, the same for all processes that see it, and what
    CUDA_VISIBLE_DEVICES is to be set to, so that torch sees it alone; `visible` is empty for the CPU.
    """

    name: str
    visible: str = ""


def meeting_points(spec: Mapping[str, Any], compute: Mapping[str, Any]) -> list[Device]:
    """Devices on which a cell can be one of a fleet; none where it is to be trained by itself.

    With ``fleet: auto`` these are the GPUs that this process sees, if the device may be one, the path of the recurrence
    is not chosen otherwise, and the network is not so large that its dense matrix is wasted. With ``fleet: on`` and
    ``device: cpu`` it is the processor, to rehearse; the environment variable LMRNN_REHEARSED_GPUS makes several of it.
    Raises ResourceError where a fleet is asked for and cannot be.
    """
    wanted = _wanted(compute)
    if wanted == "off":
        return []
    reason = _why_not(spec, compute)
    found = [] if reason or (compute["device"] == "cpu" and wanted == "auto") else _devices(compute["device"])
    if wanted == "on" and not found:
        why = reason or "this process sees no NVIDIA GPU (nvidia-smi -L, CUDA_VISIBLE_DEVICES)"
        raise ResourceError(f"compute.fleet is on, but {why}; allowed here: off, or auto")
    return found


def led(spec: Mapping[str, Any], compute: Mapping[str, Any]) -> bool:
    """Whether cells like this one are trained by one of their processes wherever they find themselves on one GPU."""
    wanted = _wanted(compute)
    return wanted != "off" and not _why_not(spec, compute) and (wanted == "on" or compute["device"] != "cpu")


def fleet_cpus(threads: int) -> int:
    """CPUs for a GPU on which a leader of so many threads trains: those that wait start on one together."""
    return threads + 1


def _wanted(compute: Mapping[str, Any]) -> str:
    return {True: "on", False: "off"}.get(compute["fleet"], compute["fleet"])


def _why_not(spec: Mapping[str, Any], compute: Mapping[str, Any]) -> str:
    """What speaks against a fleet in what is asked for; empty where nothing does."""
    if compute["path"] != "auto":
        return f"compute.path is {compute['path']}, and a fleet has a path of its own (auto)"
    if (neurons := spec["network"]["neurons"]) > MOST_NEURONS:
        return f"a network of {neurons:,} neurons is too large for dense matrices (at most {MOST_NEURONS:,})"
    if alone := by_itself(spec):
        return f"a fleet does not compute {', '.join(alone)}"
    return ""


def by_itself(spec: Mapping[str, Any]) -> list[str]:
    """Settings of a cell because of which it is trained by itself and not in a fleet; specs leave out defaults."""
    wiring = spec["connectivity"]
    signs = ["signs of a mask"] if wiring["kind"] == "file" and "signs" in wiring else []
    return signs + [key for section, known in _TOGETHER.items() for key in spec[section] if key not in known]


def _devices(device: str) -> list[Device]:
    if device != "cpu":
        return visible_gpus()
    count = int(os.environ.get("LMRNN_REHEARSED_GPUS", "1"))
    return [Device(f"{socket.gethostname()}-cpu{number}") for number in range(count)]


def visible_gpus() -> list[Device]:
    """The NVIDIA GPUs that this process sees, in the order of CUDA_VISIBLE_DEVICES where that is set."""
    uuids = _uuids()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [Device(uuid, uuid) for uuid in uuids]
    found: list[Device] = []
    for token in map(str.strip, named.split(",")):
        if token.isdecimal() and int(token) < len(uuids):
            found.append(Device(uuids[int(token)], token))
        elif token.startswith("MIG-"):  # a part of a GPU, by itself
            found.append(Device(token.replace("/", "-"), token))
        elif token.startswith("GPU-") and (whole := [uuid for uuid in uuids if uuid.startswith(token)]):
            found.append(Device(whole[0], token))
        else:  # as CUDA: what comes after one that does not exist is not seen
            break
    return found


def _uuids() -> list[str]:
    """UUIDs of the GPUs of this node that may be used, by NVIDIA's management library; none where there is none.

    The environment variable LMRNN_NVML names another library to ask.
    """
    try:
        nvml = ctypes.CDLL(os.environ.get("LMRNN_NVML", "libnvidia-ml.so.1"))
    except OSError:
        return []
    if nvml.nvmlInit_v2() != 0:
        return []
    try:
        count = ctypes.c_uint()
        found = []
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0:
            for number in range(count.value):
                handle, text = ctypes.c_void_p(), ctypes.create_string_buffer(_UUID_BYTES)
                if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)) == 0:
                    nvml.nvmlDeviceGetUUID(handle, text, _UUID_BYTES)
                    found.append(text.value.decode())
        return found
    finally:
        nvml.nvmlShutdown()
