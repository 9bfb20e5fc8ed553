"""How large a cell's network and files are, by its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmrnn.networks import network_size
from lmrnn.study.moments import evaluation_count
from lmrnn.study.since import with_defaults
from lmrnn.tasks import CHANNELS, CLASSES, names_of

# HDF5's own tables, spec and provenance in a cell's file; measured at 30 to 60 kB
_FILE_BYTES = 100_000
# A file of another version may hold more than one of today; what is larger by far is no file of this cell.
_ROOM = 4


def parameters(spec: Mapping[str, Any]) -> tuple[int, int, int]:
    """Neurons and recurrent synapses of a cell's network, and its other parameters."""
    neurons, synapses = network_size(spec["connectivity"], spec["network"]["neurons"], spec["seed"])
    return neurons, synapses, neurons * (CHANNELS + len(names_of(spec)) + 1) + CLASSES * (neurons + 1)


def cell_bytes(spec: Mapping[str, Any]) -> tuple[int, int]:
    """Size in bytes of a cell's file and of one of its checkpoints, generously."""
    return _bytes(spec, evaluation_count(with_defaults(spec["training"])))


def _bytes(spec: Mapping[str, Any], evaluations: int) -> tuple[int, int]:
    _, synapses, others = parameters(spec)
    history = _FILE_BYTES + evaluations * (10 + len(names_of(spec))) * 8
    # float32 weights; pre and post as int64; beside each weight of a checkpoint two moments of Adam and the best weight
    return history + synapses * (4 + 2 * 8) + others * 4, history + (synapses + others) * 4 * 4


def largest_bytes(spec: Mapping[str, Any]) -> tuple[int, int]:
    """The size from which on a file cannot be this cell's, or its checkpoint, and need not be read to know that."""
    file, checkpoint = _bytes(spec, spec["training"]["steps"] + 1)
    return _ROOM * file, _ROOM * checkpoint
