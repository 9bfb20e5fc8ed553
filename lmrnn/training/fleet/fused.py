"""The recurrence of K networks as one program for each cell and tile of trials, in place of products a time step."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from lmrnn.training.fleet.passes import Buffer, Weights
from lmrnn.training.fleet.rows import Rows, full
from lmrnn.training.fleet.shape import Shape

# Of a cell in which no neuron receives from, or sends to, more than this share of all, the synapses are listed. By
# estimate: for each product of a list one number is loaded, for which a GPU takes as long as for four dense products.
LISTED_SHARE = 1 / 4
# Trials of a program, the fewest that the GPU's units for products take, since there are few cells and many units;
# neurons that it computes at once, neurons that it multiplies with at once, and warps. By what fits into registers:
# not measured.
TRIALS = 16
LISTS, MATRIX = {"NEURONS": 128, "MANY": 32, "num_warps": 8}, {"NEURONS": 64, "MANY": 32, "num_warps": 4}


class Fused:
    """The recurrence of the cells in K places, fused over time by `lmrnn.training.fleet.kernels`.

    `senders` and `receivers` (K, D, N) int32 are the neurons that each neuron receives from and sends to, -1 after the
    last; `longest` (K, 2) int32 has the lengths of a cell's longest lists, 0 in an empty place and -1 where the lists
    would be longer than D. How a cell is computed depends on nothing but its own synapses.
    """

    name, says = "fused", "a scan fused over time"

    def __init__(self, shape: Shape, places: int, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.most = shape, int(LISTED_SHARE * shape.neurons)
        size = places, self.most, shape.neurons
        self.senders, self.receivers = (torch.full(size, -1, dtype=torch.int32, device=device) for _ in range(2))
        self.longest = torch.zeros((places, 2), dtype=torch.int32, device=device)
        self._compile(device, dtype)

    def _compile(self, device: torch.device, dtype: torch.dtype) -> None:
        """Compute two time steps of nothing, which raises what a step would raise here."""
        n, rows = self.shape.neurons, full(2, 1, device)
        one = torch.zeros((1, len(rows), n), device=device, dtype=dtype)
        weights = Weights(torch.zeros((1, n, n), device=device, dtype=dtype), one, one)
        some = self.at(torch.zeros(1, dtype=torch.int64, device=device))
        some.forward(one, weights, rows, lambda name, *size: one.new_empty(size))
        some.backward(one.clone(), one, weights, rows)

    def load(self, place: int, post: Tensor, pre: Tensor) -> None:
        """Take in the synapses (S,) of the cell in a place."""
        self.empty(place)
        ends = [each.cpu().numpy() for each in (post, pre)]
        most = [int(np.bincount(end).max(initial=0)) for end in ends]
        if max(most) > self.most:
            self.longest[place] = -1
            return
        self.longest[place] = torch.tensor(most)
        for lists, (one, other) in ((self.senders, ends), (self.receivers, ends[::-1])):
            order = np.lexsort((other, one))
            one, other = one[order], other[order]
            number = np.arange(len(one)) - np.searchsorted(one, one)  # of each synapse in the list of its neuron
            lists[place, number, one] = torch.from_numpy(other).to(lists)

    def empty(self, place: int) -> None:
        """Leave a place to the next cell."""
        self.senders[place], self.receivers[place], self.longest[place] = -1, -1, 0

    def at(self, places: Tensor) -> Fused:
        """The same for the cells in some places, int64 (k,)."""
        some = copy.copy(self)
        for name in ("senders", "receivers", "longest"):
            setattr(some, name, getattr(self, name).index_select(0, places))
        return some

    def forward(self, values: Tensor, weights: Weights, rows: Rows, buffer: Buffer) -> Tensor:
        """States (K, R, N) of all rows, from the drive in `values` (K, R, N), which becomes f(z)."""
        states = values if self.shape.leak == 1 else buffer("states", *values.shape)
        turned = weights.recurrent.transpose(1, 2)
        self._launch("forward", (values, states), weights.recurrent, turned, self.senders, rows)
        return states

    def backward(self, deltas: Tensor, values: Tensor, weights: Weights, rows: Rows) -> None:
        """The readout's gradient by the states (K, R, N) becomes the gradient by z, in place."""
        self._launch("backward", (deltas, values), weights.recurrent, weights.recurrent, self.receivers, rows)

    def _launch(
        self, name: str, of_rows: tuple[Tensor, Tensor], matrix: Tensor, by_other: Tensor, others: Tensor, rows: Rows
    ) -> None:
        """A kernel for both kinds of cells; `matrix` (K, N, N) is [post, pre], `by_other` the same [other, neuron]."""
        from lmrnn.training.fleet import kernels

        kernel = getattr(kernels, name)
        listed = by_other.gather(1, others.clamp(min=0).long())  # (K, D, N), as the programs read it
        for weights, kind in ((listed, LISTS), (matrix.contiguous(), MATRIX)):
            kernel[len(matrix), -(-rows.widths[0] // TRIALS)](
                *of_rows, weights, others, self.longest, rows.begins, rows.reach, len(rows),
                N=self.shape.neurons,
                LIST=self.most,
                LEAK=self.shape.leak,
                NONLINEARITY=self.shape.nonlinearity,
                PRECISION="tf32" if self.shape.tf32 else "ieee",
                LISTED=weights is listed,
                TRIALS=TRIALS,
                **kind,
            )  # fmt: skip
