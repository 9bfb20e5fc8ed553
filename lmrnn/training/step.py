"""One training step: loss, gradients, clipping, Adam.

On the CPU its parts are called one after the other. On a GPU a small network's step consists of hundreds of tiny
kernels, and launching them takes longer than running them, all the more where packed cells share the GPU and its host's
cores. There the whole step is captured into a CUDA graph, one for each shape of batch, and replayed with one launch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmrnn.datasets.batches import Batch
from lmrnn.errors import ResourceError
from lmrnn.networks import dense, get_path
from lmrnn.training.optimiser import Adam, clip, clip_unread

if TYPE_CHECKING:
    from lmrnn.networks import LMRNN

MOST_SHAPES = 64  # shapes of batch that are captured; further ones are computed part by part

Replay = Callable[[], Tensor]
Capture = Callable[[Callable[[], Tensor]], Replay]


class PlainStep:
    """A step whose parts are called one after the other: any path, any device.

    Parameters
    ----------
    network : LMRNN
        What is trained.
    optimiser : Adam
        Over all its parameters.
    gradient_clip : float
        Largest norm of the gradient over all parameters, > 0.
    path : str
        Path of the recurrence (`lmrnn.networks.paths`).
    """

    captured = False

    def __init__(self, network: LMRNN, optimiser: Adam, gradient_clip: float, path: str) -> None:
        self.network, self.optimiser, self.gradient_clip, self.path = network, optimiser, gradient_clip, path

    def take(self, batch: Batch, noise: Tensor | None = None) -> float:
        """Train on one batch.

        Parameters
        ----------
        batch : Batch
            T time steps of B trials.
        noise : Tensor, optional
            Recurrent noise, (T, B, N).

        Returns
        -------
        float
            The loss; where it is not finite, the network and the optimiser were left as they are.
        """
        loss = get_path(self.path).loss_and_gradients(self.network, batch, noise=noise).item()
        if math.isfinite(loss):
            clip(self.optimiser.gradients, self.gradient_clip)
            self.optimiser.step()
        return loss


def cuda_graphs() -> Capture:
    """What captures a function into a CUDA graph; all its graphs share one pool of memory.

    Returns
    -------
    callable
        Takes a function of no arguments that returns a tensor, and returns one that replays it into the same tensor.
        To be read before the next replay, which may use its memory.
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
        for name in ("observations", "rule", "labels"):
            getattr(self.batch, name).copy_(getattr(batch, name))
        if self.noise is not None:
            self.noise.copy_(noise)
        return self.replay()


class CapturedStep:
    """A step of the dense path that is replayed as one CUDA graph.

    The first batch of a shape is computed part by part, which also loads the GPU's code for it; the second is captured.
    Both call the same function. It never waits for the device: the norm of the gradient and whether the loss is finite
    stay there, and only the loss is read, when the step is done.

    Parameters
    ----------
    network, optimiser, gradient_clip
        As for `PlainStep`.
    capture : callable
        What `cuda_graphs` gives.
    """

    captured = True

    def __init__(self, network: LMRNN, optimiser: Adam, gradient_clip: float, capture: Capture) -> None:
        self.network, self.optimiser, self.gradient_clip, self.capture = network, optimiser, gradient_clip, capture
        self._seen: set[tuple[int, ...]] = set()
        self._steps: dict[tuple[int, ...], _Captured] = {}

    def take(self, batch: Batch, noise: Tensor | None = None) -> float:
        """Train on one batch; as `PlainStep.take`.

        Raises
        ------
        ResourceError
            Where the step cannot be captured.
        """
        shape = tuple(batch.labels.shape)
        if shape not in self._steps and shape in self._seen and len(self._steps) < MOST_SHAPES:
            self._steps[shape] = self._captured(batch, noise)
        self._seen.add(shape)
        if shape in self._steps:
            return self._steps[shape].take(batch, noise).item()
        return self.compute(batch, noise).item()

    def compute(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """The whole step, without reading anything back from the device.

        Parameters
        ----------
        batch, noise
            As for `take`.

        Returns
        -------
        Tensor ()
            The loss.
        """
        loss = dense.loss_and_gradients(self.network, batch, noise=noise)
        clip_unread(self.optimiser.gradients, self.gradient_clip)
        self.optimiser.step(skip=torch.isfinite(loss).logical_not().float())
        return loss

    def _captured(self, batch: Batch, noise: Tensor | None) -> _Captured:
        """Capture the step for batches of this one's shape; nothing is computed yet."""
        places = Batch(**{name: value.clone() for name, value in vars(batch).items()})
        noise_place = None if noise is None else noise.clone()
        try:
            replay = self.capture(lambda: self.compute(places, noise_place))
        except RuntimeError as error:  # torch's own for all that CUDA refuses
            raise ResourceError(
                f"the training step on batches of {tuple(batch.labels.shape)} (time steps, trials) cannot be captured "
                f"into a CUDA graph: {error}; set compute.cuda_graphs to false to go on without"
            ) from error
        return _Captured(places, noise_place, replay)


def make_step(
    network: LMRNN, optimiser: Adam, gradient_clip: float, path: str, graphs: bool = True
) -> PlainStep | CapturedStep:
    """The step for a network where it is.

    Parameters
    ----------
    network, optimiser, gradient_clip, path
        As for `PlainStep`.
    graphs : bool
        Whether the dense path on a GPU is captured into CUDA graphs.

    Returns
    -------
    PlainStep or CapturedStep
        To take steps with.
    """
    if graphs and path == "dense" and network.bias.device.type == "cuda":
        return CapturedStep(network, optimiser, gradient_clip, cuda_graphs())
    return PlainStep(network, optimiser, gradient_clip, path)
