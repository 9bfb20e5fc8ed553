"""Starts processes that train a cell, cheaply, and kills them at chosen moments.

One process imports torch once and forks a child for each order: a real process that can really be killed, without two
seconds of imports. An order is one line of JSON, the answer another:

    {"config": ..., "signal": 9, "delay": 0.1}             send the signal after that many seconds, if it still runs
    {"config": ..., "point": ["checkpoint", "replace", 3]}  the child kills itself at the third such call in that stage,
                                                            or sends itself the signal given as "number"
    -> {"status": -9, "stage": "training", "seconds": 0.1}

Run as `python -m tests.nursery` with one thread.
"""

import json
import mmap
import os
import signal
import sys
import time

import h5py

from lmrnn.cli.exits import EXIT_INTERRUPTED
from lmrnn.errors import Interrupted
from lmrnn.files import storage
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.training import checkpoint, evaluation, run
from lmrnn.training import step as training_step
from lmrnn.training import train as training

STAGES = ("start", "dataset", "training", "evaluation", "checkpoint", "cell")
# stage -> what computes it; found under these names when it is called
ENTRANCES = {
    "dataset": (run, "ensure_datasets"),
    "training": (training, "take_step"),
    "evaluation": (training, "evaluate"),
    "checkpoint": (checkpoint, "save"),
    "cell": (run, "write_cell"),
}
# calls at which a child can kill itself: in the midst of a file, before its header, before it is renamed, ...
POINTS = {
    "create": (h5py.Group, "create_dataset"),
    "header": (storage, "_digest"),
    "replace": (os, "replace"),
    "counts": (evaluation, "trial_counts"),
    "remove": (checkpoint, "remove"),
    "clip": (training_step, "clip"),
}


def wrap(owner, name, before, after=lambda: None):
    """Have something done before and after each call of a function."""
    function = getattr(owner, name)

    def wrapped(*arguments, **options):
        undo = before()
        try:
            return function(*arguments, **options)
        finally:
            after(undo) if undo is not None else after()

    setattr(owner, name, wrapped)


def mark_stages(stage):
    """Keep the stage that the child is in, in memory that outlives it."""

    def enter(index):
        def before():
            outer, stage[0] = stage[0], index
            return outer

        return before

    def leave(outer):
        stage[0] = outer

    for name, (owner, function) in ENTRANCES.items():
        wrap(owner, function, enter(STAGES.index(name)), leave)


def kill_itself_at(stage, number, wanted, point, count):
    """Have the child send itself a signal at one call of a point within a stage."""
    left = [count]

    def before():
        if stage[0] == STAGES.index(wanted):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), number)

    wrap(*POINTS[point], before)


def child(order, stage):
    """Train the first cell of the order's configuration; the status to leave with."""
    config = load_config(order["config"])
    cell = cells_of(config)[0]
    os.makedirs(config["results"], exist_ok=True)
    mark_stages(stage)
    if "point" in order:
        kill_itself_at(stage, order.get("number", signal.SIGKILL), *order["point"])
    with open(os.path.join(config["results"], "log.txt"), "a", buffering=1) as log:
        try:
            run.run_cell(cell, config["results"], config["compute"], log)
        except Interrupted:
            return EXIT_INTERRUPTED
    return 0


def wait(pid, order, stage):
    """Wait for a child and send it the signal when its time has come; its status, and the stage in which it was hit."""
    hit = None
    due = time.monotonic() + order["delay"] if "signal" in order else float("inf")
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), STAGES[stage[0] if hit is None else hit]
        if time.monotonic() >= due:
            hit = stage[0]
            os.kill(pid, order["signal"])  # not yet waited for: the number cannot be another process's
            due = float("inf")
        time.sleep(0.001)


def main():
    stage = mmap.mmap(-1, 1)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        stage[0] = 0
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(child(order, stage))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(70)
        status, hit = wait(pid, order, stage)
        answer = {"status": status, "stage": hit, "seconds": time.monotonic() - began}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
