"""One training step of all cells of a fleet, with as many steps ahead on the device as it has no need of the host for.

The host uploads, for some steps ahead, which trials each cell's batches are made of and at which rate each step is
taken; then it only launches, and reads the losses back once. On a GPU the step is one CUDA graph for each set of rows.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lmrnn.datasets.batches import PADDING
from lmrnn.errors import ResourceError
from lmrnn.tasks import CHANNELS
from lmrnn.training.fleet import passes
from lmrnn.training.fleet.places import Places
from lmrnn.training.fleet.pool import Pool
from lmrnn.training.fleet.rows import Rows
from lmrnn.training.fleet.shape import Shape

# All graphs of this process, kept until it ends: some releases of torch (issue 193402 of pytorch) clear memory that
# other graphs of the same stream still use when one is freed. They share their memory: they never run side by side.
_GRAPHS: list[torch.cuda.CUDAGraph] = []


@cache
def _memory_of_graphs() -> Any:
    return torch.cuda.graph_pool_handle()


class Ahead:
    """What the steps ahead are computed from, on the device.

    Padded: `trials` (A, K, B) int64, sorted by length, the longest first. Stream: `rows` (A, K, R) int64 of the pool
    and their `tasks`. `rates` (A, K, 1) float64; `active` (A, K, 1) bool says who takes part; `losses` (A, K) are
    found; `cursor` () says which of the A launches comes next.
    """

    def __init__(self, shape: Shape, steps: int, places: int, device: torch.device, dtype: torch.dtype) -> None:
        def new(kind: torch.dtype, *size: int) -> Tensor:
            return torch.zeros((steps, places, *size), dtype=kind, device=device)

        row = shape.batch * shape.sequence_length
        self.trials = new(torch.int64, shape.batch if shape.layout == "padded" else 0)
        self.rows, self.tasks = new(torch.int64, row), new(torch.int64, row)
        self.rates, self.active, self.losses = new(torch.float64, 1), new(torch.bool, 1), new(dtype)
        self.cursor = torch.zeros((), dtype=torch.int64, device=device)

    def now(self, name: str) -> Tensor:
        """What one of the tensors says of the step that comes next."""
        return getattr(self, name).index_select(0, self.cursor.view(1))[0]


class Step:
    """Computes the steps of a fleet of K places."""

    def __init__(self, places: Places, pool: Pool, steps_ahead: int, most_rows: int, noisy: bool = False) -> None:
        self.places, self.pool, self.shape, self.most_rows = places, pool, places.shape, most_rows
        self.device, self.dtype = places.flat.device, places.flat.dtype
        self.ahead = Ahead(self.shape, steps_ahead, places.size, self.device, self.dtype)
        size = places.size, most_rows if noisy else 0, self.shape.neurons
        self.host_noise = torch.zeros(size, device=self.device, dtype=self.dtype)
        self.noisy = noisy
        self._buffers: dict[str, Tensor] = {}
        self._graphs: dict[tuple[int, ...], torch.cuda.CUDAGraph] = {}

    def buffer(self, name: str, *size: int) -> Tensor:
        """Memory (K, rows, anything) that one step leaves to the next; the contents are anything.

        It is made once, for the most rows that a step has: graphs know where it lies.
        """
        if name not in self._buffers:
            most = size[0] * self.most_rows * size[2]
            self._buffers[name] = torch.empty(most, device=self.device, dtype=self.dtype)
        return self._buffers[name][: math.prod(size)].view(size)

    def gather(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs (K, R, F), labels (K, R) and which rows are inside their trials (K, R) of every cell's next batch."""
        data, inside = self.pool.tensors, None
        if self.shape.layout == "padded":
            trials = self.ahead.now("trials")  # (K, B)
            start, length, task = (data[name][trials] for name in ("start", "length", "task"))
            start, length, task = (each.index_select(1, rows.trial) for each in (start, length, task))  # (K, R)
            inside = rows.time < length
            where = start + torch.minimum(rows.time, length - 1)
        else:
            where, task = self.ahead.now("rows"), self.ahead.now("tasks")
        x = self.buffer("inputs", *where.shape, self.shape.inputs)
        x[..., :CHANNELS] = data["observations"][where]
        x[..., CHANNELS:-1] = task[..., None] == torch.arange(self.shape.tasks, device=self.device)
        x[..., -1] = 1
        labels = data["labels"][where].long()
        return x, labels if inside is None else labels.masked_fill_(~inside, PADDING), inside

    @torch.no_grad()
    def compute(self, rows: Rows) -> None:
        """The next step of all cells; reads nothing back from the device."""
        shape, places = self.shape, self.places
        weights, size = places.weights, (places.size, len(rows), shape.neurons)
        x, labels, inside = self.gather(rows)
        noise = self.host_noise[:, : len(rows)] if self.noisy else None  # (K, R, N), drawn by the host
        values = self.buffer("values", *size)
        passes.drive(x, inside, noise, weights, values)
        states = places.scan.forward(values, weights, rows, self.buffer)
        loss, dlogits = passes.loss_and_gradient(passes.logits(states, weights), labels)
        deltas = self.buffer("deltas", *size)
        torch.bmm(dlogits, weights.outward[:, :, :-1], out=deltas)
        places.scan.backward(deltas, values, weights, rows)
        grads = places.grad_weights
        passes.gradients(grads, deltas, x, states, dlogits, rows, places.mask, self.buffer)
        places.update(loss, self.ahead.now("rates"), self.ahead.now("active"))
        self.ahead.losses.index_copy_(0, self.ahead.cursor.view(1), loss[None])
        self.ahead.cursor.add_(1)

    def launch(self, rows: Rows) -> None:
        """Take the next step, on a GPU as one graph; raises OutOfMemory where the device has too little memory."""
        if self.device.type != "cuda":
            return self.compute(rows)
        if rows.widths not in self._graphs:
            self._graphs[rows.widths] = self._captured(rows)
        return self._graphs[rows.widths].replay()

    def _captured(self, rows: Rows) -> torch.cuda.CUDAGraph:
        """The step as a graph. It is computed once before, on copies of all that it changes: that loads the code."""
        places = self.places
        kept = [*(getattr(places, name) for name in ("flat", "first", "second", "alive", "count"))]
        kept += [self.ahead.losses, self.ahead.cursor]
        try:
            before = [tensor.clone() for tensor in kept]
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self.compute(rows)
            torch.cuda.current_stream().wait_stream(stream)
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=_memory_of_graphs()):
                self.compute(rows)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(self.shape, places.size, len(rows), error) from error
        _GRAPHS.append(graph)
        return graph


class OutOfMemory(ResourceError):
    """The device's memory is too small for so many cells at once."""


def out_of_memory(shape: Shape, places: int, rows: int, error: Exception) -> OutOfMemory:
    """What to say when the device's memory is too small."""
    each = shape.place_bytes(rows) / 1e6
    return OutOfMemory(
        f"the GPU has too little memory for a fleet of {places} cells of {shape.neurons} neurons, which takes about "
        f"{each:,.0f} MB a cell ({rows:,} time steps of trials in a batch): {str(error).splitlines()[0]}. Lower "
        "training.batch_size or network.neurons, or see that no other program uses the GPU"
    )
