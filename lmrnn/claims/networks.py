"""The networks of a panel or family: which are compared with which."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

# columns of `lmrnn.curves.comparison.prepare` that the claims read: a part of a narrow table is quickly taken
READ = [
    *("panel_id", "panel", "family_id", "family", "tasks", "kind", "synapses", "connectivity", "connectivity_id"),
    *("learning_rate", "seed", "steps", "trials_per_task", "final_validation", "final_test"),
]
# Controls with a density of their own: held against local networks of as many synapses, not against the best radius.
AT_EQUAL_SYNAPSES = ("random", "full_matched", "small_world")
_ALIKE = 0.05  # relative difference of synapses that a random draw makes


class Networks:
    """The connectivities of some cells, rows of `lmrnn.curves.comparison.prepare`."""

    def __init__(self, rows: pd.DataFrame) -> None:
        columns = ["connectivity_id", "kind", "connectivity", "synapses"]
        # a random network's synapses are drawn anew for each seed
        self._rows = [tuple(row) for row in rows.drop_duplicates("connectivity_id")[columns].itertuples(index=False)]

    def ids(self, kind: str) -> set[str]:
        """Ids of the connectivities of a kind."""
        return {network for network, own, _, _ in self._rows if own == kind}

    def radii(self) -> list[tuple[str, str]]:
        """Id and label of each local network, where there are several."""
        found = [(network, label) for network, kind, label, _ in self._rows if kind == "local"]
        return sorted(found, key=lambda one: one[1]) if len(found) > 1 else []

    def at_equal_synapses(self) -> Iterator[tuple[str, tuple[str, str], set[str], set[str]]]:
        """Kind, names and ids: each control of `AT_EQUAL_SYNAPSES`, and the local networks of as many synapses."""
        for network, kind, label, synapses in self._rows:
            if kind not in AT_EQUAL_SYNAPSES:
                continue
            near = [row for row in self._rows if row[1] == "local" and abs(row[3] - synapses) <= _ALIKE * synapses]
            if near:
                yield kind, (label, " or ".join(sorted(row[2] for row in near))), {network}, {row[0] for row in near}
