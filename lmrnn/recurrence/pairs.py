"""The synapses in the order in which the compiled kernel uses them: by pairs of rows that share columns.

Two neighbouring neurons have most of their synapses from the same neurons. Computed together, a shared column is read
once for both. The columns of a pair come in three runs: shared, the first row's own, the second row's own; so no
product is computed that no synapse asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pairs:
    """A sparse matrix by pairs of rows.

    Parameters
    ----------
    rows : numpy.ndarray (P, 2), int32
        The rows of each pair; -1 for the second where there is only one.
    counts : numpy.ndarray (P, 3), int32
        Columns that both rows have, that only the first has, that only the second has.
    columns : numpy.ndarray, int32
        The runs of all pairs, end to end.
    order : numpy.ndarray (E,), int64
        Which synapse each weight belongs to, in order of use; a shared column has two weights in a row.
    fresh : numpy.ndarray, int32
        The columns, each once, in order of the first pair that has it.
    fresh_counts : numpy.ndarray (P,), int32
        How many columns each pair is the first to have.
    """

    rows: np.ndarray
    counts: np.ndarray
    columns: np.ndarray
    order: np.ndarray
    fresh: np.ndarray
    fresh_counts: np.ndarray


def pair_rows(row: np.ndarray, column: np.ndarray, size: int) -> Pairs:
    """Arrange a sparse matrix by pairs of rows 0 and 1, 2 and 3, ...

    Parameters
    ----------
    row, column : numpy.ndarray (E,), int64
        Of each synapse, 0 <= value < size, no pair twice.
    size : int
        Number of rows.

    Returns
    -------
    Pairs

    Examples
    --------
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
