"""Why tasks wait: a reason that will never pass by itself is told once, instead of waiting for ever without a word."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .states import Phase, meaning

if TYPE_CHECKING:
    from .clusters import Cluster
    from .ledger import Task

# Slurm's words for: no node or limit of the partition, account or QOS will ever allow this.
_STUCK = re.compile(
    r"Partition(TimeLimit|NodeLimit|Down|Inactive|Config)|BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|"
    r"QOSNotAllowed|NeverSatisfied|ReqNodeNotAvail|JobHeldAdmin|(Assoc|QOS)\w*(PerJob|MinCpu|MinGRES|Wall)\w*"
)
SECONDS = 60.0


class Reasons:
    """Asks a cluster now and then why tasks wait."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._next = time.monotonic() + SECONDS / 6
        self._told: set[tuple[str, str]] = set()

    def of(self, tasks: Iterable[Task], states: Mapping[str, str]) -> Iterator[str]:
        """A sentence for each array among tasks that wait (by their states) for what will not come; each only once."""
        waiting = [task for task in tasks if meaning(states[task.job_id]).phase == Phase.WAITS]
        if not waiting or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SECONDS
        for site in {task.site for task in waiting}:
            arrays = {task.job_id.split("_")[0] for task in waiting if task.site == site}
            for array, reason in self.cluster.reasons(site).items():
                if array in arrays and _STUCK.search(reason) and (array, reason) not in self._told:
                    self._told.add((array, reason))
                    yield f"{array} waits in the queue: {reason}. It may wait for ever; scancel {array} gives it up"
