"""Neurogym's side of `benchmarks/generation.py`; runs in an environment of its own that has neurogym and no lmrnn.

Reads one number of trials per task from each line of its input, generates at least so many trials of every yang19 task
through neurogym's Dataset, and answers with a line of JSON: trials and CPU seconds.
"""

import json
import sys
import time

import neurogym
from neurogym.envs.collections import get_collection

TIME_STEP = 100  # ms, as on the other side
BATCH, SEQUENCE = 16, 100


class Source:
    """One task's Dataset, and how many trials it has made."""

    def __init__(self, name):
        self.dataset = neurogym.Dataset(name, env_kwargs={"dt": TIME_STEP}, batch_size=BATCH, seq_len=SEQUENCE)
        self.trials = 0
        for environment in self.dataset.envs:
            environment.new_trial = self._counted(environment.new_trial)

    def _counted(self, new_trial):
        def counted(**kwargs):
            self.trials += 1
            return new_trial(**kwargs)

        return counted

    def make(self, n):
        """Make n trials or a few more; how many."""
        before = self.trials
        while self.trials - before < n:
            self.dataset()
        return self.trials - before


def main():
    """Answer every line of input with a round."""
    sources = [Source(name) for name in get_collection("yang19")]
    print(json.dumps({"version": neurogym.__version__, "tasks": len(sources)}), flush=True)
    for line in sys.stdin:
        start = time.process_time()
        trials = sum(source.make(int(line)) for source in sources)
        print(json.dumps({"trials": trials, "seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()
