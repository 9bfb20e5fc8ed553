"""LMRNN: a recurrent network whose recurrent weights exist only where the connectivity has a synapse.

    h_t = (1 - a) h_{t-1} + a f(W h_{t-1} + W_in x_t + rule[:, k_t] + b + noise_t)
    logits_t = readout h_t + readout_bias

with leak a = dt / tau, observation x_t, task k_t and nonlinearity f; h before the first time step is 0 unless given.
The recurrent noise is inside the nonlinearity, sqrt(2 / a) * sigma * xi_t with xi standard normal (Yang et al. 2019,
Nature Neuroscience 22, Methods).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmrnn.errors import ConfigError
from lmrnn.networks.connectivity import Connectivity
from lmrnn.networks.constraints import draw_marks, obey
from lmrnn.networks.settings import check_constraints
from lmrnn.tasks import CHANNELS, CLASSES

if TYPE_CHECKING:
    from lmrnn.datasets.batches import Batch

NONLINEARITIES = {"relu": torch.relu, "softplus": F.softplus, "tanh": torch.tanh}
INITIALISATIONS = ("scaled_identity", "gaussian")


class LMRNN(nn.Module):
    """A recurrent network on a given connectivity of E synapses among N neurons.

    `n_tasks` is the number of rule channels, one per task of the battery; `nonlinearity` is ``relu``, ``softplus`` or
    ``tanh``; `leak` is a = dt / tau, in (0, 1]. `initialisation` is of the recurrent weights: ``scaled_identity``,
    `initial_scale` on synapses from a neuron to itself, 0 on all others; ``gaussian``, `initial_scale` times a normal
    with variance 1 / in-degree of the receiving neuron. `recurrent_noise` is sigma >= 0 of the noise during training;
    `generator` the source of the initial weights, with seed 0 if none is given. Constraints (`constraints`):
    `excitatory`, the share of neurons whose recurrent weights are >= 0, those of all others being <= 0 (Dale's law; not
    with tanh); `input_share` and `readout_share` of neurons that get input (of channels and rule) and that are read
    out. Which neurons these are is drawn from the generator, last; signs of the connectivity stand in place of
    `excitatory`. Raises ConfigError on a value out of range.

    Parameters: `recurrent` (E,), the weight of each synapse in the order of the connectivity (a missing synapse has no
    weight, no gradient, no state in the optimiser and no share in the gradient's norm), `input` (N, 33), `rule` (N,
    n_tasks), `bias` (N,), `readout` (17, N), `readout_bias` (17,). Buffers: `post`, `pre` (E,), int64; `signs` (N,) +1
    or -1, `receives` and `is_read` (N,) bool, each None where not constrained. Who trains sets `rates_cost`, the factor
    of the mean square of all states inside of trials in the loss, and `weighs_time`: batches have weights of time
    steps.

    Input, rule and bias start uniform in +-1 / sqrt(33 + n_tasks), the readout and its bias in +-1 / sqrt(N): torch's
    default for linear layers, which the paper's first author used in 2021 (mikailkhona/Multi-Task-learning). They are
    drawn before the recurrent weights, so two networks of equal size and seed share them whatever their connectivity.
    """

    post: Tensor
    pre: Tensor
    signs: Tensor | None
    receives: Tensor | None
    is_read: Tensor | None
    rates_cost: float = 0.0
    weighs_time: bool = False

    def __init__(
        self,
        connectivity: Connectivity,
        n_tasks: int,
        nonlinearity: str = "relu",
        leak: float = 1.0,
        initialisation: str = "scaled_identity",
        initial_scale: float = 0.5,
        recurrent_noise: float = 0.0,
        generator: torch.Generator | None = None,
        excitatory: float | None = None,
        input_share: float = 1.0,
        readout_share: float = 1.0,
    ) -> None:
        super().__init__()
        check_constraints(nonlinearity, excitatory, input_share, readout_share, connectivity.signs is not None)
        _check(nonlinearity, leak, initialisation, initial_scale, recurrent_noise)
        self.connectivity, self.n_tasks = connectivity, n_tasks
        self.nonlinearity, self.leak = nonlinearity, float(leak)
        self.recurrent_noise, self.initialisation = float(recurrent_noise), initialisation
        self.register_buffer("post", torch.tensor(connectivity.post), persistent=False)
        self.register_buffer("pre", torch.tensor(connectivity.pre), persistent=False)

        neurons = connectivity.neurons
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        inward, outward = 1 / math.sqrt(CHANNELS + n_tasks), 1 / math.sqrt(neurons)
        self.input = _uniform((neurons, CHANNELS), inward, generator)
        self.rule = _uniform((neurons, n_tasks), inward, generator)
        self.bias = _uniform((neurons,), inward, generator)
        self.readout = _uniform((CLASSES, neurons), outward, generator)
        self.readout_bias = _uniform((CLASSES,), outward, generator)
        self.recurrent = nn.Parameter(_recurrent(connectivity, initialisation, generator) * initial_scale)
        shares = {"excitatory": excitatory, "input": input_share, "readout": readout_share}
        marks = draw_marks(neurons, shares, generator)
        drawn, given = marks["excitatory"], connectivity.signs
        signs = None if drawn is None else 2.0 * drawn - 1
        self.register_buffer("signs", signs if given is None else torch.tensor(given).float(), persistent=False)
        self.register_buffer("receives", marks["input"], persistent=False)
        self.register_buffer("is_read", marks["readout"], persistent=False)
        obey(self)

    @property
    def neurons(self) -> int:
        """Number of neurons N."""
        return self.connectivity.neurons

    @property
    def noise_scale(self) -> float:
        """Standard deviation of the recurrent noise as it enters the nonlinearity, sqrt(2 / a) * sigma."""
        return math.sqrt(2 / self.leak) * self.recurrent_noise

    def recurrent_matrix(self) -> Tensor:
        """Dense W[post, pre], (N, N), zero where no synapse is; gradients flow to `recurrent`."""
        flat = self.recurrent.new_zeros(self.neurons * self.neurons)
        return flat.index_put((self.post * self.neurons + self.pre,), self.recurrent).view(self.neurons, self.neurons)

    def draw_noise(self, steps: int, batch: int, generator: torch.Generator) -> Tensor | None:
        """Recurrent noise of T steps of B trials as it enters the nonlinearity, sqrt(2 / a) * sigma * xi, (T, B, N).

        None where sigma is 0. The generator is one of the CPU, so that every device gets the same noise.
        """
        if self.recurrent_noise == 0:
            return None
        noise = torch.randn((steps, batch, self.neurons), generator=generator)
        return (noise * self.noise_scale).to(self.bias)

    def forward(
        self,
        observations: Batch | Tensor | np.ndarray,
        rule: int | Tensor | np.ndarray | None = None,
        *,
        initial_state: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor | np.ndarray:
        """Logits (T, B, 17) of a batch, with gradients through autograd; or of plain arrays, without.

        Plain `observations` are (T, B, 33), or (T, 33) of one trial, whose logits are then (T, 17); `rule` is the task
        (column of the rule weights) of all of them, of each trial (B,) or of each time step (T, B). Tensors give a
        tensor with gradients, numpy arrays an array. `initial_state` (B, N) is the state before the first time step, 0
        if none is given; `noise` comes from `draw_noise`. Raises ConfigError on shapes or rules that do not fit.
        """
        if not isinstance(observations, (Tensor, np.ndarray)):
            return readout(self, unroll(self, observations, initial_state, noise))
        from lmrnn.datasets.batches import plain_batch
        from lmrnn.networks.paths import choose_path, get_path

        batch = plain_batch(observations, rule, self.n_tasks, self.bias)
        if plain := isinstance(observations, np.ndarray):
            path = get_path(choose_path(self, self.bias.device))
            logits = path.logits(self, batch, initial_state, noise)
        else:
            logits = readout(self, unroll(self, batch, initial_state, noise))
        logits = logits if observations.ndim == 3 else logits[:, 0]
        return logits.numpy(force=True) if plain else logits


def unroll(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """States (T, B, N) of a network at all time steps of a batch, with gradients; formula above.

    `initial_state` (B, N) is the state before the first time step, 0 if none is given; `noise` (T, B, N) the recurrent
    noise as it enters the nonlinearity.
    """
    activation, leak = NONLINEARITIES[network.nonlinearity], network.leak
    drive = F.linear(batch.observations, network.input, network.bias) + network.rule.T[batch.rule]  # (T, B, N)
    if noise is not None:
        drive = drive + noise
    weights = network.recurrent_matrix().T  # (pre, post)
    state = drive.new_zeros(drive.shape[1:]) if initial_state is None else initial_state  # (B, N)
    states = []
    for t, drive_now in enumerate(drive):
        state = torch.where((t < batch.lengths)[:, None], state, 0)  # after a trial's end nothing grows without bound
        state = (1 - leak) * state + leak * activation(torch.addmm(drive_now, state, weights))
        states.append(state)
    return torch.stack(states)


def readout(network: LMRNN, states: Tensor) -> Tensor:
    """Logits (T, B, 17) of states (T, B, N), with gradients."""
    return F.linear(states, network.readout, network.readout_bias)


def _check(nonlinearity: str, leak: float, initialisation: str, initial_scale: float, recurrent_noise: float) -> None:
    for key, value, allowed in (
        ("nonlinearity", nonlinearity, tuple(NONLINEARITIES)),
        ("initialisation", initialisation, INITIALISATIONS),
    ):
        if value not in allowed:
            raise ConfigError(f"network.{key} is {value!r}; allowed: {', '.join(allowed)}")
    if not 0 < leak <= 1:
        raise ConfigError(f"network.leak is {leak!r}; allowed: a number in (0, 1]")
    for key, factor in (("initial_scale", initial_scale), ("recurrent_noise", recurrent_noise)):
        if not factor >= 0:
            raise ConfigError(f"network.{key} is {factor!r}; allowed: a number >= 0")


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


def _recurrent(connectivity: Connectivity, initialisation: str, generator: torch.Generator) -> Tensor:
    """Recurrent weights (E,) before scaling."""
    if initialisation == "scaled_identity":
        return torch.tensor(connectivity.post == connectivity.pre, dtype=torch.float32)
    spread = torch.tensor(1 / connectivity.in_degree.clip(1) ** 0.5, dtype=torch.float32)
    return torch.randn(connectivity.synapses, generator=generator) * spread[torch.tensor(connectivity.post)]
