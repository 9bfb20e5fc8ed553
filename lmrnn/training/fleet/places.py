"""Parameters, gradients and optimiser of the cells in a fleet's places; how cells get in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmrnn.tasks import CHANNELS, CLASSES
from lmrnn.training.fleet.passes import Weights
from lmrnn.training.fleet.scan import make_scan
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.rates import recurrent_factors

if TYPE_CHECKING:
    from lmrnn.networks import LMRNN
    from lmrnn.training.state import Training

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # of Adam, as in `lmrnn.training.step`


class Places:
    """K places for cells of one shape; an empty one computes with weights of 0 and is never updated.

    `flat`, `grads`, `first` and `second` (K, P) are weights, gradients and the two moments of Adam, each laid out as
    `passes.Weights`, of which `weights` and `grad_weights` are views. `mask` (K, N, N) is 1 where a synapse is;
    `alive` (K, 1) is 0 in an empty place and where the loss stopped being finite; `count` (K, 1) float64 is the number
    of steps; `noise` (K, 1, 1) is the standard deviation of the recurrent noise as it enters the nonlinearity;
    `recurrent_rate` (K, N, 1) the factor of the learning rate for the weights that each neuron receives; by `scan` the
    recurrence is computed.
    """

    def __init__(self, places: int, shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.size = shape, places
        total = sum(shape.sizes)

        def new(*size: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.zeros(size, device=device, dtype=kind)

        self.flat, self.grads, self.first, self.second = (new(places, total) for _ in range(4))
        self.weights, self.grad_weights = self.split(self.flat), self.split(self.grads)
        self.mask = new(places, shape.neurons, shape.neurons)
        self.scan = make_scan(shape, places, device, dtype)
        self.alive, self.count = new(places, 1), new(places, 1, kind=torch.float64)
        self.noise = new(places, 1, 1)
        self.recurrent_rate = new(places, shape.neurons, 1) + 1

    def split(self, buffer: Tensor) -> Weights:
        """Views of a buffer (K, P) as weights."""
        n, f = self.shape.neurons, self.shape.inputs
        recurrent, inward, outward = buffer.split(self.shape.sizes, dim=1)
        shaped = recurrent.unflatten(1, (n, n)), inward.unflatten(1, (n, f)), outward.unflatten(1, (CLASSES, n + 1))
        return Weights(*shaped)

    @torch.no_grad()
    def load(self, place: int, training: Training) -> None:
        """Put a cell, at a step boundary, into a place."""
        network, adam = training.network, training.optimiser
        self.mask[place] = 0
        self.mask[place, network.post, network.pre] = 1
        self.scan.load(place, network.post, network.pre)
        for buffer, values in ((self.flat, adam.parameters), (self.first, adam.first), (self.second, adam.second)):
            self._fill(buffer, place, network, list(values))
        self.count[place], self.alive[place] = float(adam.steps[0]), 1.0
        self.noise[place] = network.noise_scale
        factors = recurrent_factors(training.settings, network.connectivity.in_degree)
        self.recurrent_rate[place] = torch.from_numpy(factors)[:, None]

    def _fill(self, buffer: Tensor, place: int, network: LMRNN, values: list[Tensor]) -> None:
        named = dict(zip((name for name, _ in network.named_parameters()), values, strict=True))
        weights = self.split(buffer)
        w, u, r = (getattr(weights, name)[place] for name in ("recurrent", "inward", "outward"))
        w.zero_()
        w[network.post, network.pre] = named["recurrent"].to(w)
        u[:, :CHANNELS], u[:, CHANNELS:-1], u[:, -1] = named["input"], named["rule"], named["bias"]
        r[:, :-1], r[:, -1] = named["readout"], named["readout_bias"]

    @torch.no_grad()
    def unload(self, place: int, training: Training) -> None:
        """Give a cell's weights and moments back, so that it can be saved or go on by itself; it stays in its place."""
        network, adam = training.network, training.optimiser
        names = [name for name, _ in network.named_parameters()]
        for buffer, targets in ((self.flat, adam.parameters), (self.first, adam.first), (self.second, adam.second)):
            weights = self.split(buffer[place : place + 1].cpu())
            w, u, r = weights.recurrent[0], weights.inward[0], weights.outward[0]
            values = {"recurrent": w[network.post, network.pre], "input": u[:, :CHANNELS], "rule": u[:, CHANNELS:-1]}
            values |= {"bias": u[:, -1], "readout": r[:, :-1], "readout_bias": r[:, -1]}
            for name, target in zip(names, targets, strict=True):
                target.data.copy_(values[name])
        for count in adam.steps:
            count.fill_(float(self.count[place]))

    def empty(self, place: int) -> None:
        """Leave a place to the next cell."""
        for tensor in (self.flat, self.first, self.second, self.mask, self.alive, self.count, self.noise):
            tensor[place] = 0
        self.scan.empty(place)

    def update(self, loss: Tensor, rate: Tensor, active: Tensor) -> None:
        """Clip the gradients and take Adam's step at learning rates (K, 1) float64, each cell by itself.

        Only those move that are `active` (K, 1); one whose loss (K,) is not finite stops where it is, for good. Bias
        corrections are in float64: in float32 1 - 0.999^n is wrong by 3e-5 in the first steps.
        """
        self.alive.mul_(torch.isfinite(loss)[:, None] | ~active)
        moving, clip = self.alive * active, self.shape.clip
        norm = torch.linalg.vector_norm(self.grads, dim=1, keepdim=True)
        self.grads.mul_(torch.where(norm > clip, clip / norm, 1.0))  # 1 for NaN, as `lmrnn.training.step.clip`
        self.grads.masked_fill_(moving == 0, 0)
        self.count.add_(moving)
        self.first.lerp_(self.grads, (1 - BETA1) * moving)
        self.second.mul_(1 - (1 - BETA2) * moving).addcmul_(self.grads, self.grads, value=1 - BETA2)
        c1, c2 = (torch.where(self.count > 0, 1 - beta**self.count, 1.0) for beta in (BETA1, BETA2))
        move = self.second.sqrt().div_(c2.sqrt().to(loss.dtype)).add_(EPS)
        torch.div(self.first * (rate / c1).to(loss.dtype).mul_(moving), move, out=move)
        self.split(move).recurrent.mul_(self.recurrent_rate)
        self.flat.sub_(move)
