"""The recurrence of K networks at once: batched dense products, and a backward pass written by hand.

As `lmrnn.networks.dense` with a dimension of cells in front and the rows of `lmrnn.training.fleet.rows` in place of
(time, trial). Inward weights have a column for each channel, each task and the bias, so that one product is the whole
drive. Nothing here waits for the device or depends on values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmrnn.datasets.batches import PADDING
from lmrnn.training.fleet.rows import Rows
from lmrnn.training.fleet.shape import Shape

Buffer = Callable[..., Tensor]


@dataclass(frozen=True)
class Weights:
    """Parameters of K networks, or their gradients: recurrent (K, N, N) [post, pre], inward (K, N, 33 + tasks + 1) with
    the bias last, outward (K, 17, N + 1) with the readout's bias last.
    """

    recurrent: Tensor
    inward: Tensor
    outward: Tensor

    def at(self, places: Tensor) -> Weights:
        """A copy of those of some places, int64 (k,)."""
        return Weights(*(getattr(self, name).index_select(0, places) for name in vars(self)))


def activate(z: Tensor, nonlinearity: str) -> None:
    """f(z), in place."""
    if nonlinearity == "relu":
        z.relu_()
    elif nonlinearity == "tanh":
        z.tanh_()
    else:
        z.copy_(F.softplus(z))


def times_slope(d: Tensor, f: Tensor, nonlinearity: str) -> None:
    """Multiply d, in place, by f'(z), given f(z)."""
    if nonlinearity == "relu":
        torch.ops.aten.threshold_backward.grad_input(d, f, 0, grad_input=d)
    elif nonlinearity == "tanh":
        d.mul_(1 - f * f)
    else:
        d.mul_(torch.expm1(-f).neg_().masked_fill_(f > 20, 1))  # torch's softplus is the identity above 20


def drive(x: Tensor, inside: Tensor | None, noise: Tensor | None, weights: Weights, out: Tensor) -> None:
    """Into `out` (K, R, N): what inputs (K, R, F) and noise (K, R, N) send to the neurons, -inf after a trial's end.

    There relu and softplus of it are 0 whatever the recurrent weights are, so that nothing grows in the padding;
    `inside` (K, R) is None where there is none.
    """
    torch.bmm(x, weights.inward.transpose(1, 2), out=out)
    if noise is not None:
        out.add_(noise)
    if inside is not None:
        out.masked_fill_(~inside[..., None], -torch.inf)


class Products:
    """The recurrence of the cells in K places as batched dense products, one a time step; `instead` says why not by the
    scan that was asked for. `load`, `empty` and `at` follow those of `Places`.
    """

    name = "products"

    def __init__(self, shape: Shape, instead: str = "") -> None:
        self.nonlinearity, self.leak = shape.nonlinearity, shape.leak
        self.says = f"batched products{f' (not by the fused scan: {instead})' if instead else ''}"

    def load(self, place: int, post: Tensor, pre: Tensor) -> None:
        """Nothing: a missing synapse is a weight of 0."""

    def empty(self, place: int) -> None:
        """Nothing."""

    def at(self, places: Tensor) -> Products:
        """The same."""
        return self

    def forward(self, values: Tensor, weights: Weights, rows: Rows, buffer: Buffer) -> Tensor:
        """States (K, R, N) of all rows, from the drive in `values` (K, R, N), which becomes f(z).

        Where the leak is 1 the two are the same tensor.
        """
        states = values if self.leak == 1 else buffer("states", *values.shape)
        inward = weights.recurrent.transpose(1, 2)
        for t, width in enumerate(rows.widths):
            begin = rows.begin[t]
            z = values[:, begin : begin + width]
            if t:
                last = states[:, rows.begin[t - 1] : rows.begin[t - 1] + width]
                torch.baddbmm(z, last, inward, out=z)
            activate(z, self.nonlinearity)
            if self.leak != 1:
                now = states[:, begin : begin + width]
                if t:
                    torch.lerp(last, z, self.leak, out=now)
                else:
                    torch.mul(z, self.leak, out=now)
        return states

    def backward(self, deltas: Tensor, values: Tensor, weights: Weights, rows: Rows) -> None:
        """The readout's gradient by the states (K, R, N) becomes the gradient by z, in place."""
        for t in range(rows.steps - 1, -1, -1):
            here = slice(rows.begin[t], rows.begin[t] + rows.widths[t])
            d = deltas[:, here]
            earlier = deltas[:, rows.begin[t - 1] : rows.begin[t - 1] + rows.widths[t]] if t else None
            if self.leak != 1 and earlier is not None:
                earlier.add_(d, alpha=1 - self.leak)
            times_slope(d, values[:, here], self.nonlinearity)
            if self.leak != 1:
                d.mul_(self.leak)
            if earlier is not None:
                torch.baddbmm(earlier, d, weights.recurrent, out=earlier)


def logits(states: Tensor, weights: Weights) -> Tensor:
    """Logits (K, R, 17)."""
    outward = weights.outward
    return torch.baddbmm(outward[:, None, :, -1], states, outward[:, :, :-1].transpose(1, 2))


def loss_and_gradient(logits_: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy (K,) of logits (K, R, 17) over the labels (K, R) that are not padding, and its gradient."""
    counted = labels != PADDING
    # not a product with 0: what is not finite in the padding must not reach the loss
    logits_ = logits_.masked_fill_(~counted[..., None], 0)
    targets = labels.clamp(min=0)[..., None]
    scale = (counted.to(logits_) / counted.sum(1, keepdim=True))[..., None]
    log_probabilities = torch.log_softmax(logits_, dim=2)
    loss = -(log_probabilities.gather(2, targets) * scale).sum((1, 2))
    gradient = log_probabilities.exp_()
    gradient.scatter_add_(2, targets, torch.full_like(scale, -1))
    return loss, gradient.mul_(scale)


def gradients(
    grads: Weights, deltas: Tensor, x: Tensor, states: Tensor, dlogits: Tensor, rows: Rows, mask: Tensor, buffer: Buffer
) -> None:
    """Fill the gradients of all weights; those of missing synapses, where `mask` (K, N, N) is 0, are 0."""
    first = rows.widths[0]
    if rows.rectangle:
        before = states[:, : len(rows) - first]
    else:
        before = buffer("before", states.shape[0], len(rows) - first, states.shape[2])
        torch.index_select(states, 1, rows.before, out=before)
    if rows.steps > 1:
        torch.bmm(deltas[:, first:].transpose(1, 2), before, out=grads.recurrent)
        grads.recurrent.mul_(mask)
    else:
        grads.recurrent.zero_()
    torch.bmm(deltas.transpose(1, 2), x, out=grads.inward)
    turned = dlogits.transpose(1, 2)
    grads.outward[:, :, :-1] = torch.bmm(turned, states)
    grads.outward[:, :, -1] = turned.sum(2)
