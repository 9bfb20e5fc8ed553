"""Processes of cells that meet on one node, with a temporary folder of its own; and one such process.

`python -m tests.training.node STUDY CELL LOG` trains a cell as the workflow's jobs do, and prints what it took.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "meeting",
    "validation_trials": 3,
    "test_trials": 3,
    "grid": [{"connectivity": ["full", {"kind": "local", "radius": [2]}], "tasks": [2], "trials_per_task": [8]}],
    "network": {"neurons": 25, "recurrent_noise": 0.05},
    "training": {"batch_size": 6, "steps": 300, "evaluate_every": 100},
    "compute": {"fleet": True, "checkpoint_seconds": 0.1},
}


class Node:
    """Cells of one study, and the processes that were started for them."""

    def __init__(self, folder, seeds=3, gpus=1, **changes):
        from lmrnn.datasets import SPLITS, generate_dataset
        from lmrnn.study.config import validate_config
        from lmrnn.study.grid import cells_of
        from tests.studies import merged

        self.folder, self.temporary = Path(folder), Path(folder) / "tmp"
        self.temporary.mkdir(parents=True)
        changed = {
            **STUDY,
            "results": str(self.folder / "results"),
            "grid": [{**STUDY["grid"][0], "seed": [*range(seeds)]}],
        }
        self.study = validate_config(merged(changed, changes))
        self.cells = cells_of(self.study)
        for path, spec in {
            c.dataset_path(self.study["results"], s): c.dataset(s) for c in self.cells for s in SPLITS
        }.items():
            generate_dataset(spec, path)
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
        self.environment = {**os.environ, **threads, "TMPDIR": str(self.temporary), "LMRNN_REHEARSED_GPUS": str(gpus)}
        self.started = 0
        (self.folder / "study.json").write_text(json.dumps({**self.study, "cells": [cell.spec for cell in self.cells]}))

    def start(self, number, prefix=(), **environment):
        """A process for one of the cells; has a `log`."""
        self.started += 1
        log = self.folder / f"{number}-{self.started}.log"
        command = [
            *prefix,
            sys.executable,
            "-m",
            "tests.training.node",
            str(self.folder / "study.json"),
            str(number),
            str(log),
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, cwd=ROOT, env={**self.environment, **environment}, **pipes)
        process.log, process.number = log, number
        return process

    def result(self, number):
        """What is in the file of a cell."""
        from lmrnn.study.cells import read_cell

        cell = self.cells[number]
        return read_cell(cell.path(self.study["results"]), cell.spec)

    def left(self):
        """What lies in the temporary folder, but for what Python's own caches leave."""
        return sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))


def said(process):
    """What a process that has ended says it took, with what its log says and its `status`."""
    out, _ = process.communicate(timeout=120)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    text = process.log.read_text() if process.log.exists() else ""
    return {"status": process.returncode, "out": out, "log": text, **(json.loads(lines[-1]) if lines else {})}


def leads(process):
    """Whether a process is a leader, and trains already."""
    return process.poll() is None and process.log.exists() and "leads the cells" in process.log.read_text()


def until(condition, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def used():
    """CPU seconds and most resident MB so far; getrusage's maximum is that of the process that forked this one."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return usage.ru_utime + usage.ru_stime, int(most.split()[1]) / 1024


def main():
    """One cell's process."""
    before = used()
    from lmrnn.cli.exits import logged
    from lmrnn.training.cell import train_cell

    study = json.loads(Path(sys.argv[1]).read_text())
    status = 0
    try:
        with logged(sys.argv[3]) as log:
            train_cell(study["cells"][int(sys.argv[2])], study, study["compute"], log)
    except SystemExit as end:
        status = end.code
    cpu, memory = (now - then for now, then in zip(used(), before, strict=True))
    print(json.dumps({"cpu": round(cpu, 3), "mb": round(memory, 1), "torch": "torch" in sys.modules}), flush=True)
    sys.exit(status)


SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2)

if __name__ == "__main__":
    main()
