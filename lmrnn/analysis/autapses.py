"""Units by themselves: how strongly each drives itself, how long it remembers, and which tasks it serves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def self_weights(recurrent: Floats, post: Integers, pre: Integers, neurons: int) -> Floats:
    """Weight of each unit's synapse onto itself, (N,), 0 where a unit has none, from the synapses' weights, receiving
    and sending units, each (E,).
    """
    weights = np.zeros(neurons)
    own = post == pre
    weights[post[own]] = recurrent[own]
    return weights


def time_constants(weights: Floats, leak: float, dt: float) -> Floats:
    """How long, in ms (N,), active units would remember if left to themselves, from their weights w onto themselves
    (N,).

    With h_t = (1 - a) h_{t-1} + a f(w h_{t-1}), a the leak in (0, 1], and f of slope 1 (ReLU above 0, tanh near 0;
    softplus has less), the state decays by the factor w_eff = 1 - a + a w in each time step of dt ms, so its time
    constant is -dt / ln(w_eff): 0 where w_eff <= 0, infinity at 1 (an integrator), negative beyond (the state grows).
    """
    factor = 1 - leak + leak * np.asarray(weights, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        constants = -dt / np.log(factor)
    return np.where(factor <= 0, 0.0, np.where(factor == 1, np.inf, constants))


def readout_lesions(states: Floats, labels: Integers, readout: Floats, bias: Floats) -> tuple[float, Floats]:
    """Decision accuracy with all units, and the loss of it, (N,), when a single unit no longer reaches the readout.

    `states` are rows of the decision period, (R, N), `labels` their right answers (R,), `readout` and `bias` (17, N)
    and (17,). A loss is negative where the network does better without the unit. In a network of autapses no unit acts
    on another, so that this is all that removing a unit does; in other networks it leaves out what the unit does
    through others.
    """
    states = np.asarray(states, dtype=np.float32)
    logits = states @ readout.T.astype(np.float32) + bias.astype(np.float32)  # (R, 17)
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    loss = np.zeros(states.shape[1])
    for unit in np.flatnonzero(np.any(states != 0, axis=0)):
        without = logits - states[:, [unit]] * readout[:, unit].astype(np.float32)
        loss[unit] = accuracy - np.mean(without.argmax(axis=1) == labels)
    return accuracy, loss
