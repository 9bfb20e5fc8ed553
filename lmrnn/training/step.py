"""One training step: loss, gradients, clipping, Adam.

On the CPU its parts are called one after the other. On a GPU a small network's step consists of hundreds of tiny
kernels, and launching them takes longer than running them, all the more where packed cells share the GPU and its host's
cores. There the whole step is captured into a CUDA graph, one for each shape of batch, and replayed with one launch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.adam import adam

from lmrnn.datasets.batches import Batch
from lmrnn.errors import ResourceError
from lmrnn.networks import dense, get_path

if TYPE_CHECKING:
    from lmrnn.networks import LMRNN
    from lmrnn.training.penalties import Penalties

MOST_SHAPES = 64  # shapes of batch that are captured; further ones are computed part by part

Replay = Callable[[], Tensor]
Capture = Callable[[Callable[[], Tensor]], Replay]


class Adam:
    """Adam with the usual constants (Kingma and Ba 2015), fused into one call for all parameters.

    The same as ``torch.optim.Adam(fused=True)``, whose construction alone imports torch's compiler: one to two seconds
    and 100 MB, which a sweep of many small cells would pay in each. `factors` are of the learning rate, by the position
    of a parameter, each of a shape that broadcasts to it: as torch's Adam with a group of parameters for each rate.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        learning_rate: float | Tensor,
        factors: Mapping[int, Tensor] | None = None,
    ) -> None:
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.factors = dict(factors or {})
        # what moves in place of a parameter with a factor: where Adam starts from does not matter to it
        self.moved = [
            torch.zeros_like(parameter) if position in self.factors else parameter
            for position, parameter in enumerate(self.parameters)
        ]
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]  # running means of the gradient
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]  # and of its square
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    @property
    def gradients(self) -> list[Tensor]:
        """Gradient of each parameter."""
        return [parameter.grad for parameter in self.parameters]

    def set_rate(self, rate: float) -> None:
        """Take the next steps at a learning rate; where it is a tensor, a captured step reads it from its place."""
        if isinstance(self.learning_rate, Tensor):
            self.learning_rate.fill_(rate)
        else:
            self.learning_rate = rate

    @torch.no_grad()
    def step(self, skip: Tensor | None = None) -> None:
        """Move the parameters by their gradients; where `skip`, float32 () on their device, is 1, do nothing."""
        constants = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        constants |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        state = self.first, self.second, [], self.steps
        for position in self.factors:
            self.moved[position].zero_()
        adam(self.moved, self.gradients, *state, fused=True, found_inf=skip, lr=self.learning_rate, **constants)
        for position, factor in self.factors.items():
            self.parameters[position].addcmul_(self.moved[position], factor)


def clip(gradients: list[Tensor], limit: float) -> None:
    """Scale gradients down, in place, to a Euclidean norm over all of them of at most `limit` > 0.

    `torch.nn.utils.clip_grad_norm_` does the same at four times the cost, 6% of a small network's step.
    """
    norm = math.sqrt(sum(torch.dot(gradient.view(-1), gradient.view(-1)).item() for gradient in gradients))
    if norm > limit:
        for gradient in gradients:
            gradient *= limit / norm


def clip_unread(gradients: list[Tensor], limit: float) -> None:
    """As `clip`, without reading a number back from the device: for a step that is captured into a CUDA graph."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    factor = torch.where(norm > limit, limit / norm, torch.ones_like(norm))  # 1 for NaN, as `clip`
    for gradient in gradients:
        gradient *= factor


def finish(
    optimiser: Adam, penalties: Penalties | None, clipping: Callable[[list[Tensor]], None], skip: Tensor | None = None
) -> None:
    """The rest of a step once gradients are there: costs, clipping, Adam, constraints; `skip` as for Adam."""
    if penalties is not None:
        penalties.add()
    clipping(optimiser.gradients)
    if penalties is not None:
        penalties.decay(optimiser.learning_rate, skip)
    optimiser.step(skip)
    if penalties is not None:
        penalties.project()


class PlainStep:
    """A step whose parts are called one after the other: any path of the recurrence, any device.

    `gradient_clip` > 0 is the largest norm of the gradient over all parameters; `penalties` are costs of weights and
    constraints (`lmrnn.training.penalties`).
    """

    captured = False

    def __init__(
        self, network: LMRNN, optimiser: Adam, gradient_clip: float, path: str, penalties: Penalties | None = None
    ) -> None:
        self.network, self.optimiser, self.gradient_clip, self.path = network, optimiser, gradient_clip, path
        self.penalties = penalties

    def take(self, batch: Batch, noise: Tensor | None = None) -> float:
        """Train on one batch of T time steps of B trials, with recurrent noise (T, B, N), and return the loss.

        Where it is not finite, the network and the optimiser were left as they are.
        """
        loss = get_path(self.path).loss_and_gradients(self.network, batch, noise=noise).item()
        if math.isfinite(loss):
            finish(self.optimiser, self.penalties, lambda gradients: clip(gradients, self.gradient_clip))
        return loss


def cuda_graphs() -> Capture:
    """What captures a function into a CUDA graph; all its graphs share one pool of memory.

    It takes a function of no arguments that returns a tensor, and returns one that replays it into the same tensor, to
    be read before the next replay, which may use its memory.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(function: Callable[[], Tensor]) -> Replay:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            result = function()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    return capture


@dataclass(frozen=True, eq=False)
class _Captured:
    """A captured step, and where it reads its batch."""

    batch: Batch
    noise: Tensor | None
    replay: Replay

    def take(self, batch: Batch, noise: Tensor | None) -> Tensor:
        for name, place in vars(self.batch).items():
            if place is not None and name != "decision":
                place.copy_(getattr(batch, name))
        if self.noise is not None:
            self.noise.copy_(noise)
        return self.replay()


class CapturedStep:
    """A step of the dense path that is replayed as one CUDA graph.

    The first batch of a shape is computed part by part, which also loads the GPU's code for it; the second is captured
    by `capture` (`cuda_graphs`). Both call the same function. It never waits for the device: the norm of the gradient
    and whether the loss is finite stay there, and only the loss is read, when the step is done.
    """

    captured = True

    def __init__(
        self,
        network: LMRNN,
        optimiser: Adam,
        gradient_clip: float,
        capture: Capture,
        penalties: Penalties | None = None,
    ) -> None:
        self.network, self.optimiser, self.gradient_clip, self.capture = network, optimiser, gradient_clip, capture
        self.penalties = penalties
        self._seen: set[tuple[int, ...]] = set()
        self._steps: dict[tuple[int, ...], _Captured] = {}

    def take(self, batch: Batch, noise: Tensor | None = None) -> float:
        """Train on one batch, as `PlainStep.take`; raises `ResourceError` where the step cannot be captured."""
        shape = tuple(batch.labels.shape)
        if shape not in self._steps and shape in self._seen and len(self._steps) < MOST_SHAPES:
            self._steps[shape] = self._captured(batch, noise)
        self._seen.add(shape)
        if shape in self._steps:
            return self._steps[shape].take(batch, noise).item()
        return self.compute(batch, noise).item()

    def compute(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """The whole step, without reading anything back from the device; returns the loss, ()."""
        loss = dense.loss_and_gradients(self.network, batch, noise=noise)
        skip = torch.isfinite(loss).logical_not().float()
        finish(self.optimiser, self.penalties, lambda gradients: clip_unread(gradients, self.gradient_clip), skip)
        return loss

    def _captured(self, batch: Batch, noise: Tensor | None) -> _Captured:
        """Capture the step for batches of this one's shape; nothing is computed yet."""
        places = Batch(**{name: None if value is None else value.clone() for name, value in vars(batch).items()})
        noise_place = None if noise is None else noise.clone()
        try:
            replay = self.capture(lambda: self.compute(places, noise_place))
        except torch.OutOfMemoryError as error:
            neurons = self.network.neurons
            raise ResourceError(
                f"the GPU has too little memory for a training step on batches of {tuple(batch.labels.shape)} (time "
                f"steps, trials) of {neurons:,} neurons, whose states and dense matrices take about "
                f"{dense_megabytes(neurons, batch.labels.numel()):,.0f} MB: {str(error).splitlines()[0]}. Lower "
                "training.batch_size or network.neurons, or see that no other program uses the GPU"
            ) from error
        except RuntimeError as error:  # torch's own for all that CUDA refuses
            raise ResourceError(
                f"the training step on batches of {tuple(batch.labels.shape)} (time steps, trials) cannot be captured "
                f"into a CUDA graph: {error}; set compute.cuda_graphs to false to go on without"
            ) from error
        return _Captured(places, noise_place, replay)


def dense_megabytes(neurons: int, rows: int) -> float:
    """Memory of the dense path in MB, about, for so many rows (time steps times trials) of a batch in float32: matrix,
    its copy, its gradient; drive, states and two gradients of them.
    """
    return 4 * (3 * neurons**2 + 4 * rows * neurons) / 1e6


def make_step(
    network: LMRNN,
    optimiser: Adam,
    gradient_clip: float | None,
    path: str,
    graphs: bool = True,
    penalties: Penalties | None = None,
) -> PlainStep | CapturedStep:
    """The step for a network where it is; `graphs`: whether the dense path on a GPU is captured into CUDA graphs;
    `gradient_clip`: None for none.
    """
    limit = math.inf if gradient_clip is None else gradient_clip
    if graphs and path == "dense" and network.bias.device.type == "cuda":
        return CapturedStep(network, optimiser, limit, cuda_graphs(), penalties)
    return PlainStep(network, optimiser, limit, path, penalties)
