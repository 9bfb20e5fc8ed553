"""The recurrence of a fleet in Triton: one program computes all time steps of some trials of one cell.

The recurrence mixes neurons, never trials, so that programs need not wait for each other; within a program all warps
meet after each time step, since the next one reads what they have written. Rows are those of
`lmrnn.training.fleet.rows`: time step t has the rows ``begin[t]`` to ``begin[t + 1]``, the first trials of the batch.
Rows of a trial that is no longer on do not exist, and are neither read nor written.

There are two kinds of cells, each computed in a launch of its own in which the programs of the other kind end at once:
those whose synapses are `LISTED`, and those whose whole matrix is multiplied. tanh and softplus are written out, since
Triton's interpreter, in which all of this is tested, knows exp alone.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr, tensor


@triton.jit
def tanh(z: tensor) -> tensor:
    """Of z, to rounding: below 1/2, where 1 - 2 / (e^2z + 1) cancels, by seven levels of Lambert's fraction."""
    s = z * z
    small = z * (135135 + s * (17325 + s * (378 + s))) / (135135 + s * (62370 + s * (3150 + s * 28)))
    large = 1 - 2 / (tl.exp(2 * tl.abs(z)) + 1)
    return tl.where(tl.abs(z) < 0.5, small, tl.where(z < 0, -large, large))


@triton.jit
def softplus(z: tensor) -> tensor:
    """Of z as torch has it, the identity above 20: max(z, 0) + log1p(x) with x = e^-|z|, where log1p(x) = 2 artanh(s),
    s = x / (2 + x), by its series in s^2 <= 1/9 up to s^33.
    """
    x = tl.exp(-tl.abs(z))
    s = x / (2 + x)
    square = s * s
    series = square * 0
    for n in tl.static_range(17):
        series = 1.0 / (33 - 2 * n) + square * series
    return tl.where(z > 20, z, tl.where(z <= 0, 0.0, z) + 2 * s * series)


@triton.jit
def activated(z: tensor, NONLINEARITY: constexpr) -> tensor:
    """Give f(z); NaN stays NaN, so that a cell that diverges is noticed."""
    if NONLINEARITY == "relu":
        z = tl.where(z <= 0, 0.0, z)
    elif NONLINEARITY == "tanh":
        z = tanh(z)
    else:
        z = softplus(z)
    return z


@triton.jit
def slope(f: tensor, NONLINEARITY: constexpr) -> tensor:
    """Give f'(z) from f(z); of softplus 1 - e^-f = 2 t / (1 + t) with t = tanh(f / 2)."""
    if NONLINEARITY == "relu":
        f = tl.where(f > 0, 1.0, f * 0)
    elif NONLINEARITY == "tanh":
        f = 1 - f * f
    else:
        t = tanh(f / 2)
        f = tl.where(f > 20, 1.0, 2 * t / (1 + t))
    return f


@triton.jit
def received(
    z: tensor, senders: tensor, on: tensor, weights: tensor, others: tensor, longest: tensor, neuron: tensor,
    N: constexpr, LISTED: constexpr, TURNED: constexpr, MANY: constexpr, PRECISION: constexpr,
) -> tensor:  # fmt: skip
    """Add to z (trials, neurons) what the neurons receive; `senders` (trials,) are pointers to the rows of all others.

    Listed: `others` (longest, N) has the neurons that send to each, -1 for none, and `weights` theirs. Else `weights`
    is the matrix [neuron, other], or [other, neuron] where it is `TURNED`, of which `MANY` others are taken at once.
    """
    inside = neuron < N
    if LISTED:
        for n in range(longest):
            other = tl.load(others + n * N + neuron, mask=inside, other=-1)
            weight = tl.load(weights + n * N + neuron, mask=inside, other=0.0)
            there = on[:, None] & (other >= 0)[None, :]
            z += tl.load(senders[:, None] + other[None, :], mask=there, other=0.0) * weight[None, :]
    else:
        for first in range(0, N, MANY):
            other = first + tl.arange(0, MANY)
            sent = tl.load(senders[:, None] + other[None, :], mask=on[:, None] & (other < N)[None, :], other=0.0)
            place = (other * N)[:, None] + neuron[None, :] if TURNED else other[:, None] + (neuron * N)[None, :]
            weight = tl.load(weights + place, mask=(other < N)[:, None] & inside[None, :], other=0.0)
            z = tl.dot(sent, weight, z, input_precision=PRECISION, out_dtype=z.dtype)
    return z


@triton.jit
def forward(
    values: tensor, states: tensor, weights: tensor, others: tensor,
    longest: tensor, begin: tensor, reach: tensor, rows: tensor,
    N: constexpr, LIST: constexpr, LEAK: constexpr, NONLINEARITY: constexpr, PRECISION: constexpr,
    LISTED: constexpr, TRIALS: constexpr, NEURONS: constexpr, MANY: constexpr,
) -> None:  # fmt: skip
    """The drive in `values` (K, rows, N) becomes f(z), and `states` (K, rows, N), the same where the leak is 1, theirs.

    `weights` and `others` (K, LIST, N) are of the listed cells, or weights (K, N, N) [post, pre] of the others;
    `longest` (K, 2) is the length of each cell's longest list forward and backward, -1 where it is not listed; `reach`
    (B,) says how many time steps each trial has, the first of a program's most.
    """
    cell, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(longest + 2 * cell)
    last = tl.where((length >= 0) == LISTED, tl.load(reach + tile * TRIALS), 0)
    trial = tile * TRIALS + tl.arange(0, TRIALS)
    f, h = values + cell * rows * N, states + cell * rows * N
    w, other = weights + cell * N * (LIST if LISTED else N), others + cell * N * LIST
    for t in range(last):
        row = tl.load(begin + t)
        on = trial < tl.load(begin + t + 1) - row
        before = (tl.load(begin + tl.maximum(t - 1, 0)) + trial) * N
        for first in range(0, N, NEURONS):
            post = first + tl.arange(0, NEURONS)
            here, inside = (row + trial)[:, None] * N + post[None, :], on[:, None] & (post < N)[None, :]
            z = tl.load(f + here, mask=inside, other=0.0)
            if t > 0:
                z = received(z, h + before, on, w, other, length, post, N, LISTED, False, MANY, PRECISION)
            z = activated(z, NONLINEARITY)
            tl.store(f + here, z, mask=inside)
            if LEAK != 1:
                state = tl.load(h + before[:, None] + post[None, :], mask=inside & (t > 0), other=0.0)
                tl.store(h + here, state + LEAK * (z - state), mask=inside)
        tl.debug_barrier()


@triton.jit
def backward(
    deltas: tensor, values: tensor, weights: tensor, others: tensor,
    longest: tensor, begin: tensor, reach: tensor, rows: tensor,
    N: constexpr, LIST: constexpr, LEAK: constexpr, NONLINEARITY: constexpr, PRECISION: constexpr,
    LISTED: constexpr, TRIALS: constexpr, NEURONS: constexpr, MANY: constexpr,
) -> None:  # fmt: skip
    """The readout's gradient by the states in `deltas` (K, rows, N) becomes the gradient by z; as `forward`, where
    `others` are those that each neuron sends to.
    """
    cell, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(longest + 2 * cell + 1)
    last = tl.where((length >= 0) == LISTED, tl.load(reach + tile * TRIALS), 0)
    trial = tile * TRIALS + tl.arange(0, TRIALS)
    d, f = deltas + cell * rows * N, values + cell * rows * N
    w, other = weights + cell * N * (LIST if LISTED else N), others + cell * N * LIST
    for back in range(last):
        t = last - 1 - back
        row, after = tl.load(begin + t), tl.load(begin + t + 1)
        on = trial < after - row
        still_on = trial < tl.load(begin + tl.minimum(t + 2, last)) - after
        before = tl.load(begin + tl.maximum(t - 1, 0)) + trial
        for first in range(0, N, NEURONS):
            pre = first + tl.arange(0, NEURONS)
            here, inside = (row + trial)[:, None] * N + pre[None, :], on[:, None] & (pre < N)[None, :]
            g = tl.load(d + here, mask=inside, other=0.0)
            if back > 0:
                later = d + (after + trial) * N
                g = received(g, later, still_on, w, other, length, pre, N, LISTED, True, MANY, PRECISION)
            if LEAK != 1:
                earlier = d + before[:, None] * N + pre[None, :]
                carried = tl.load(earlier, mask=inside & (t > 0), other=0.0)
                tl.store(earlier, carried + (1 - LEAK) * g, mask=inside & (t > 0))
            g = g * slope(tl.load(f + here, mask=inside, other=0.0), NONLINEARITY)
            tl.store(d + here, g * LEAK, mask=inside)
        tl.debug_barrier()
