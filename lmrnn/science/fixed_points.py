"""Fixed and slow points of a trained network under a constant input, and their stability.

The state is moved from many starts to minima of the speed q(h) = |F(h) - h|^2 / 2, where F is one time step without
noise (D. Sussillo, O. Barak, Neural Computation 25(3), 626-649, 2013). A minimum with q near 0 is a fixed point; one
that is not, but small, is a slow point. Stability is that of the linearised step: J = (1 - a) I + a diag(f') W.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.linalg import eigs
from scipy.special import expit

from lmrnn.errors import ConfigError
from lmrnn.networks import LMRNN
from lmrnn.tasks import CHANNELS

Floats = NDArray[np.float64]
FIXED = 1e-12  # q at or below which a minimum is called fixed: half the squared step of about 1e-6
SLOW = 1e-4
APART = 1e-3  # distance between two points, over the larger of 1 and their norm, from which they are two
MOST_DENSE = 1000  # neurons up to which all eigenvalues are computed
LEADING = 10  # eigenvalues of largest modulus that are computed beyond


class Step:
    """One time step F of a network in float64 under a constant observation (33,) of a task, its rule channel."""

    def __init__(self, network: LMRNN, observation: np.ndarray, rule: int) -> None:
        observation = np.asarray(observation, float)
        if observation.shape != (CHANNELS,):
            raise ConfigError(f"the observation is of shape {observation.shape}; allowed: ({CHANNELS},), held constant")
        if not 0 <= rule < network.n_tasks:
            raise ConfigError(f"rule is {rule}; allowed: tasks 0 to {network.n_tasks - 1}")
        values = {name: one.numpy(force=True).astype(float) for name, one in network.named_parameters()}
        synapses = network.post.numpy(force=True), network.pre.numpy(force=True)
        self.weights = csr_array((values["recurrent"], synapses), shape=(network.neurons, network.neurons))
        self.drive = values["input"] @ observation + values["rule"][:, rule] + values["bias"]
        self.leak, self.nonlinearity = network.leak, network.nonlinearity

    def __call__(self, state: Floats) -> tuple[Floats, Floats]:
        """F(h), (N,), and the slope f' of the nonlinearity there, (N,)."""
        z = self.weights @ state + self.drive
        if self.nonlinearity == "tanh":
            value = np.tanh(z)
            slope = 1 - value**2
        elif self.nonlinearity == "softplus":
            value, slope = np.logaddexp(0, z), expit(z)
        else:
            value, slope = np.maximum(z, 0), (z > 0).astype(float)
        return (1 - self.leak) * state + self.leak * value, slope

    def speed(self, state: Floats) -> tuple[float, Floats]:
        """q(h) and its gradient (J - I)^T (F(h) - h), (N,)."""
        after, slope = self(state)
        moved = after - state
        return float(moved @ moved) / 2, self.leak * (self.weights.T @ (slope * moved) - moved)

    def jacobian(self, state: Floats) -> csr_array:
        """J = dF/dh, (N, N)."""
        slope = self(state)[1]
        return csr_array((1 - self.leak) * eye_array(len(state)) + self.leak * diags_array(slope) @ self.weights)

    def eigenvalues(self, state: Floats) -> NDArray[np.complex128]:
        """Eigenvalues of J, the largest modulus first: all of them, or `LEADING` where there are over `MOST_DENSE`."""
        jacobian = self.jacobian(state)
        if len(state) <= MOST_DENSE:
            found = np.linalg.eigvals(jacobian.toarray())
        else:
            # twice as many as wanted: of the last ones the iteration may miss some; the same start at every call
            n, start = len(state), np.random.default_rng(0).normal(size=len(state))
            some, room = min(2 * LEADING, n - 2), min(8 * LEADING, n)
            found = eigs(jacobian, k=some, ncv=room, v0=start, return_eigenvectors=False)
        found = found[np.argsort(-np.abs(found), kind="stable")]
        return np.asarray(found if len(state) <= MOST_DENSE else found[:LEADING], complex)


@dataclass(frozen=True)
class FixedPoints:
    """K points, the slowest-moving first: `states` (K, N), `speed` q (K,), `eigenvalues` of the Jacobian (K, M),
    largest modulus first, `starts` (K,) how many starts ended there, and how many starts were `lost`: they ended at no
    point as slow as was asked for.
    """

    states: Floats = field(repr=False)
    speed: Floats
    eigenvalues: NDArray[np.complex128] = field(repr=False)
    starts: NDArray[np.int64]
    lost: int

    def __len__(self) -> int:
        return len(self.states)

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """(K,) whether a point is fixed; the others are slow points."""
        return self.speed <= FIXED

    @property
    def unstable(self) -> NDArray[np.int64]:
        """(K,) number of directions in which the state is driven away: eigenvalues of a modulus over 1."""
        return (np.abs(self.eigenvalues) > 1).sum(axis=1)

    @property
    def stable(self) -> NDArray[np.bool_]:
        """(K,) whether there is no such direction; one of modulus 1 (a line of fixed points) decides nothing."""
        return self.unstable == 0

    def table(self) -> pd.DataFrame:
        """One row per point."""
        largest = np.abs(self.eigenvalues[:, 0]) if len(self) else np.zeros(0)
        columns = {"speed": self.speed, "fixed": self.fixed, "stable": self.stable, "unstable": self.unstable}
        return pd.DataFrame({**columns, "largest_modulus": largest, "starts": self.starts})


def fixed_points(
    network: LMRNN,
    observation: np.ndarray,
    rule: int,
    starts: np.ndarray,
    slow: float = SLOW,
    apart: float = APART,
    most_steps: int = 5000,
) -> FixedPoints:
    """Fixed and slow points of a network under a constant `observation` (33,) of task `rule`, from `starts` (n, N).

    Starts are best states that the network visits, with some noise. From each, q is minimised (L-BFGS, at most
    `most_steps` iterations); minima with q over `slow` are lost, and those closer than `apart` are one point. Where a
    ReLU is exactly 0 its slope is taken as 0. Raises ConfigError on shapes that do not fit the network.
    """
    step, starts = Step(network, observation, rule), np.asarray(starts, float)
    if starts.ndim != 2 or starts.shape[1] != network.neurons:
        raise ConfigError(f"starts are of shape {starts.shape}; allowed: (n, {network.neurons}), one state in each row")
    ends = np.array([_minimum(step, start, most_steps) for start in starts]).reshape(starts.shape)
    speeds = np.array([step.speed(end)[0] for end in ends])
    points: list[int] = []
    count: list[int] = []
    for end in np.argsort(speeds, kind="stable"):
        if not speeds[end] <= slow:
            continue
        near = [_distance(ends[end], ends[one]) <= apart for one in points]
        if any(near):
            count[near.index(True)] += 1
        else:
            points.append(int(end))
            count.append(1)
    eigenvalues = [step.eigenvalues(ends[one]) for one in points]
    width = min(network.neurons, LEADING) if network.neurons > MOST_DENSE else network.neurons
    spectra = np.array(eigenvalues, complex).reshape(len(points), width)
    return FixedPoints(ends[points], speeds[points], spectra, np.array(count, np.int64), len(starts) - sum(count))


def _distance(state: Floats, other: Floats) -> float:
    """Distance between two states over the larger of 1 and the norm of the latter."""
    return float(np.linalg.norm(state - other)) / max(1.0, float(np.linalg.norm(other)))


def _minimum(step: Step, start: Floats, most_steps: int) -> Floats:
    """Where q has a minimum, downhill from a start."""
    # ftol 0: it is measured against 1, but q is to become far smaller
    limits = {"maxiter": most_steps, "maxfun": 2 * most_steps, "ftol": 0.0, "gtol": 1e-12, "maxcor": 20}
    return np.asarray(minimize(step.speed, start, jac=True, method="L-BFGS-B", options=limits).x)
