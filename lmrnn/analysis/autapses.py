"""Units by themselves: how strongly each drives itself, how long it remembers, and which tasks it serves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def self_weights(recurrent: Floats, post: Integers, pre: Integers, neurons: int) -> Floats:
    """Weight of each unit's synapse onto itself.

    Parameters
    ----------
    recurrent : numpy.ndarray
        (E,) weights of the synapses.
    post, pre : numpy.ndarray
        (E,) receiving and sending unit of each.
    neurons : int
        N.

    Returns
    -------
    numpy.ndarray
        (N,), 0 where a unit has none.
    """
    weights = np.zeros(neurons)
    own = post == pre
    weights[post[own]] = recurrent[own]
    return weights


def time_constants(weights: Floats, leak: float, dt: float) -> Floats:
    """How long an active unit would remember if left to itself.

    With h_t = (1 - a) h_{t-1} + a f(w h_{t-1}) and f of slope 1 (ReLU above 0, tanh near 0; softplus has less), the
    state decays by the factor w_eff = 1 - a + a w in each time step, so its time constant is -dt / ln(w_eff).

    Parameters
    ----------
    weights : numpy.ndarray
        (N,) weights w onto oneself.
    leak : float
        a, in (0, 1].
    dt : float
        ms per time step.

    Returns
    -------
    numpy.ndarray
        (N,) ms: 0 where w_eff <= 0, infinity at 1 (an integrator), negative beyond (the state grows).
    """
    factor = 1 - leak + leak * np.asarray(weights, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        constants = -dt / np.log(factor)
    return np.where(factor <= 0, 0.0, np.where(factor == 1, np.inf, constants))


def readout_lesions(states: Floats, labels: Integers, readout: Floats, bias: Floats) -> tuple[float, Floats]:
    """Decision accuracy with all units, and the loss of it when a single unit no longer reaches the readout.

    In a network of autapses no unit acts on another, so that this is all that removing a unit does; in other networks
    it leaves out what the unit does through others.

    Parameters
    ----------
    states : numpy.ndarray
        (R, N), rows of the decision period.
    labels : numpy.ndarray
        (R,) right answers.
    readout, bias : numpy.ndarray
        (17, N) and (17,).

    Returns
    -------
    accuracy : float
        Share of rows whose largest logit is right.
    loss : numpy.ndarray
        (N,) accuracy lost without each unit; negative where the network does better without.
    """
    states = np.asarray(states, dtype=np.float32)
    logits = states @ readout.T.astype(np.float32) + bias.astype(np.float32)  # (R, 17)
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    loss = np.zeros(states.shape[1])
    for unit in np.flatnonzero(np.any(states != 0, axis=0)):
        without = logits - states[:, [unit]] * readout[:, unit].astype(np.float32)
        loss[unit] = accuracy - np.mean(without.argmax(axis=1) == labels)
    return accuracy, loss
