"""The synapses in the order in which the compiled kernel uses them: by pairs of rows that share columns.

Two neighbouring neurons have most of their synapses from the same neurons. Computed together, a shared column is read
once for both. The columns of a pair come in three runs: shared, the first row's own, the second row's own; so no
product is computed that no synapse asks for.

The states of a very large network at one time step are more than the caches hold. Where its synapses are local, several
time steps are therefore computed together, each a few strips of rows behind the one before it: see `walk`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Networks of up to so many neurons are computed whole, larger ones in strips of STRIP rows.
LARGEST_WHOLE, STRIP = 512, 128
# Of networks of up to so many neurons, a time step's states and weights stay in the caches as they are.
LARGEST_CACHED = 4096
MOST_TOGETHER = 5  # the kernel has the same number
# Of all strips, those that lie between the first and the last of the time steps that are computed together.
LARGEST_WINDOW = 0.25


@dataclass(frozen=True)
class Walk:
    """How the kernel goes through a network and its time steps.

    `strip` rows are computed before the next ones, a multiple of 4 (0: all at once); `together` time steps are computed
    together, 1 to MOST_TOGETHER. Each of them begins `shift` strips after the first strip of the one before it, and
    goes round; its strip number k needs none of the one before it after number k + `lag`, where lag >= shift.
    """

    strip: int = 0
    together: int = 1
    shift: int = 0
    lag: int = 0


def walk(post: np.ndarray, pre: np.ndarray, size: int) -> Walk:
    """Find how closely time steps can follow each other, forward and backward, by the neurons (E,) of each synapse.

    One time step at a time where the network is not very large, or its synapses reach far. Strips that need their
    neighbours on both sides, from end to end and round a torus:

    >>> post = np.arange(64 * STRIP - STRIP)
    >>> walk(post, post + STRIP, 64 * STRIP)
    Walk(strip=128, together=5, shift=0, lag=1)
    >>> post = np.arange(64 * STRIP)
    >>> walk(post, (post + STRIP) % len(post), 64 * STRIP)
    Walk(strip=128, together=5, shift=1, lag=2)
    """
    if size <= LARGEST_WHOLE:
        return Walk()
    if size <= LARGEST_CACHED or len(post) == 0:
        return Walk(STRIP)
    strips = -(-size // STRIP)
    apart = np.unique(np.abs(post // STRIP - pre // STRIP))
    reach, round_reach = int(apart.max()), int(np.minimum(apart, strips - apart).max())
    # Where going round pays, a time step begins with the first strip whose neighbours on both sides are computed.
    shift, lag = (0, reach) if reach <= 2 * round_reach else (round_reach, 2 * round_reach)
    together = min(MOST_TOGETHER, 1 + int(LARGEST_WINDOW * strips / max(1, lag)))
    return Walk(STRIP, together, shift, lag)


@dataclass(frozen=True, eq=False)
class Pairs:
    """A sparse matrix by P pairs of rows.

    `rows` (P, 2) int32 are those of each pair, -1 for the second where there is only one; `counts` (P, 3) int32 the
    columns that both rows have, only the first, only the second; `columns` int32 the runs of all pairs, end to end;
    `order` (E,) int64 says which synapse each weight belongs to, in order of use (a shared column has two weights in a
    row). `fresh` int32 are the columns, each once, in order of the first pair that has it, `fresh_counts` (P,) int32
    how many each pair is the first to have.
    """

    rows: np.ndarray
    counts: np.ndarray
    columns: np.ndarray
    order: np.ndarray
    fresh: np.ndarray
    fresh_counts: np.ndarray


def pair_rows(row: np.ndarray, column: np.ndarray, size: int) -> Pairs:
    """Arrange a sparse matrix, its entries (E,) int64 given by row and column, none twice, by pairs of rows 0 and 1, 2
    and 3, ...

    >>> pairs = pair_rows(np.array([0, 0, 1]), np.array([0, 2, 2]), 2)
    >>> pairs.counts.tolist(), pairs.columns.tolist(), pairs.order.tolist()
    ([[1, 1, 0]], [2, 0], [1, 2, 0])
    >>> pairs.fresh.tolist(), pairs.fresh_counts.tolist()
    ([2, 0], [2])
    """
    pair, second = row // 2, row % 2
    by_column = np.lexsort((second, column, pair))
    same = (np.diff(pair[by_column]) == 0) & (np.diff(column[by_column]) == 0)
    shared = np.zeros(len(row), dtype=bool)
    shared[by_column[:-1][same]] = shared[by_column[1:][same]] = True
    run = np.where(shared, 0, 1 + second)
    order = np.lexsort((second, column, run, pair))
    counts = np.bincount(pair * 3 + run, minlength=(size + 1) // 2 * 3).reshape(-1, 3)
    counts[:, 0] //= 2
    once = ~(shared[order] & (second[order] == 1))
    rows = np.arange(len(counts) * 2).reshape(-1, 2)
    rows[rows >= size] = -1
    columns = column[order][once].astype(np.int32)
    _, first_use = np.unique(columns, return_index=True)
    first_use.sort()
    first_pair = np.repeat(np.arange(len(counts)), counts.sum(axis=1))[first_use]
    fresh_counts = np.bincount(first_pair, minlength=len(counts)).astype(np.int32)
    return Pairs(rows.astype(np.int32), counts.astype(np.int32), columns, order, columns[first_use], fresh_counts)
