"""Which cells can be trained together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmrnn.tasks import CHANNELS, CLASSES

# What `compute: {scan: auto}` takes, everywhere. The fused scan has not run on a GPU yet: this becomes "fused" where
# `make bench BENCH=gpu` has shown it right and faster, and not before.
AUTO = "products"


@dataclass(frozen=True)
class Shape:
    """What the cells of a fleet have in common; cells with equal shapes can be trained together.

    `batch` trials of `tasks` tasks are a batch, or sequences of `sequence_length` time steps (0 in the padded layout);
    `dt` in ms sets the trials' lengths; `clip` > 0 is the largest norm of a cell's gradient; `tf32` and `scan` are
    settings of a study's `compute`, never `auto`.
    """

    neurons: int
    tasks: int
    dt: int
    batch: int
    layout: str
    sequence_length: int
    nonlinearity: str
    leak: float
    clip: float
    tf32: bool = False
    scan: str = AUTO

    @classmethod
    def of(cls, spec: Mapping[str, Any], tasks: int, tf32: bool = False, scan: str = "auto") -> Shape:
        """The shape of a cell with a battery of so many tasks; cells that are computed otherwise are of another one."""
        network, training = spec["network"], spec["training"]
        stream = training["layout"] == "stream"
        return cls(
            neurons=network["neurons"],
            tasks=tasks,
            dt=spec.get("dt", 0),
            batch=training["batch_size"],
            layout=training["layout"],
            sequence_length=training["sequence_length"] if stream else 0,
            nonlinearity=network["nonlinearity"],
            leak=float(network["leak"]),
            clip=math.inf if training["gradient_clip"] is None else float(training["gradient_clip"]),
            tf32=tf32,
            scan=AUTO if scan == "auto" else scan,
        )

    @property
    def inputs(self) -> int:
        """Columns of the inward weights: channels, tasks, and 1 for the bias."""
        return CHANNELS + self.tasks + 1

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of recurrent, inward and outward weights of one cell, missing synapses counted."""
        return self.neurons**2, self.neurons * self.inputs, CLASSES * (self.neurons + 1)

    def place_bytes(self, rows: int, bytes_each: int = 4) -> int:
        """Memory of the device that one cell takes, of so many rows a batch.

        Counted are states and deltas (and f(z) where there is a leak), inputs with the observations they are made of,
        five arrays of logits, weights, gradients, moments, mask and what Adam works in; of a fused scan its lists of
        synapses and the weights as it reads them.
        """
        wide = (2 + (self.leak != 1)) * self.neurons
        matrices = 8 * sum(self.sizes) + (3 * self.neurons**2 if self.scan == "fused" else 0)
        return bytes_each * (rows * (wide + 2 * self.inputs + 5 * CLASSES) + matrices)
