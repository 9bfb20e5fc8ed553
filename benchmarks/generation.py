"""How many trials a second does one core make, against neurogym's Dataset of its yang19 tasks?

Ours: the 82-task battery at true trial lengths, noise included, float32, in memory, as datasets are generated. Theirs:
neurogym 2.3.1's Dataset of each of its 20 yang19 tasks at the same time step. Both take turns in one run, in CPU
seconds, into buffers that are used again; goal: at least 15 times as many. Neurogym pins numpy and needs torch without
saying so, hence an environment of its own under .lmrnn/, made on the first run, that borrows this environment's torch.

    python -m benchmarks.generation
"""

import json
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np

from benchmarks.compare import compared
from lmrnn.datasets import DatasetSpec, dataset_bytes
from lmrnn.datasets.generation import fill_rows, trial_columns
from lmrnn.tasks import CHANNELS, battery_names

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".lmrnn" / "bench-neurogym"
NEUROGYM = "neurogym==2.3.1"
ROUNDS = 7
OUR_TRIALS, THEIR_TRIALS = 512, 150  # per task and round
GOAL = 15


def neurogym_python() -> Path:
    """Interpreter that can import neurogym; its environment is made when it is missing or unfinished."""
    python, finished = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "finished"
    if not finished.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", NEUROGYM], check=True)
        # a .pth entry comes after the environment's own packages: only what is missing there is borrowed
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = ENVIRONMENT / "lib" / version / "site-packages"
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        finished.touch()
    return python


class Neurogym:
    """The other side, in a process of its own."""

    def __init__(self) -> None:
        command = [neurogym_python(), "-W", "ignore", ROOT / "benchmarks" / "neurogym_worker.py"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.about = self._answer()

    def _answer(self) -> dict:
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"the neurogym process ended with status {self.process.wait()}")

    def rate(self) -> float:
        """Trials per CPU second of one round."""
        self.process.stdin.write(f"{THEIR_TRIALS}\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer["trials"] / answer["seconds"]

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """Our side; its buffers are allocated once, as neurogym's are."""

    def __init__(self) -> None:
        steps = dataset_bytes(self._spec(0)) // (CHANNELS * 4)  # a little more than the mean, which is what is needed
        self.observations, self.labels = np.zeros((steps, CHANNELS), np.float32), np.zeros(steps, np.int8)

    @staticmethod
    def _spec(seed: int) -> DatasetSpec:
        return DatasetSpec("corrected", 100, battery_names(82), OUR_TRIALS, "train", seed)

    def rate(self, seed: int) -> float:
        """Trials per CPU second of one round."""
        spec = self._spec(seed)
        start = time.process_time()
        steps = int(trial_columns(spec)["length"].sum())
        fill_rows(spec, self.observations[:steps], self.labels[:steps])
        return spec.n_trials / (time.process_time() - start)


def rows() -> list[dict]:
    """Measure: one row with question, ours and theirs (trials per CPU second), ratio, its spread over rounds, goal."""
    ours, theirs = Ours(), Neurogym()
    try:
        pairs = [(ours.rate(seed), theirs.rate()) for seed in range(ROUNDS + 1)][1:]  # the first warms up
    finally:
        theirs.close()
    other = f"neurogym {theirs.about['version']}'s Dataset of its {theirs.about['tasks']} yang19 tasks"
    question = f"trials per second on one core: 82-task battery with noise against {other}"
    return [{"question": question, **compared(pairs), "goal": GOAL}]


def main() -> int:
    """Print the rows; status 1 when a goal is missed."""
    from benchmarks.__main__ import show

    return show(rows())


if __name__ == "__main__":
    sys.exit(main())
