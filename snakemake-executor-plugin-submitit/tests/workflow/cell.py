"""A stand-in for a training: counts in steps, saves its state, continues from it, and misbehaves on demand."""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil

name, spec = sys.argv[1], {"steps": 3, "seconds": 0.1, "every": 5, "fault": None, **json.loads(sys.argv[2])}
checkpoint, output = Path("checkpoints", f"{name}.json"), Path("out", f"{name}.txt")
stop = []


def note(what):
    """One line in the cell's diary: the tests read from it how often and when it ran."""
    Path("diary").mkdir(exist_ok=True)
    with open(Path("diary", name), "a") as diary:
        diary.write(
            json.dumps(
                {
                    "what": what,
                    "time": time.time(),
                    "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"),
                    "threads": os.environ.get("OMP_NUM_THREADS"),
                    "pid": os.getpid(),
                }
            )
            + "\n"
        )


def save(state):
    """Write the checkpoint whole or not at all, slowly if so wished."""
    checkpoint.parent.mkdir(exist_ok=True)
    temporary = checkpoint.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    if spec["fault"] == "slow checkpoint":
        note("saving")
        time.sleep(3)
    temporary.rename(checkpoint)


def parent(word):
    """Number of the nearest process above this one whose command has a word in it."""
    pid = os.getppid()
    while pid > 1:
        if word in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    raise LookupError(word)


def misbehave(fault):
    """Do what the configuration asks for, unless the cell has been repaired."""
    if fault == "exception":
        raise RuntimeError("the cell raised this")
    if fault == "exit":
        sys.exit(3)
    if fault == "exit without output":
        sys.exit(0)
    if fault == "kill":
        # The whole step, as a kernel out of memory or an administrator would.
        task = psutil.Process(parent("submitit.core._submit"))
        for process in [task, *task.children(recursive=True)]:
            if process.pid != os.getpid():
                process.kill()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "orphan":
        # The task alone; what runs below it goes on, as on a cluster that does not look after processes.
        os.kill(parent("submitit.core._submit"), signal.SIGKILL)
        end = time.time() + 60
        while len(list(Path(".snakemake/submitit").glob("*/*/0"))) < 2 and time.time() < end:
            time.sleep(0.5)  # until it is given up and sent on its way again
    if fault == "memory":
        hog = bytearray(3_000_000_000)
        for i in range(0, len(hog), 4096):
            hog[i] = 1
        time.sleep(60)


if spec["fault"] == "deaf":
    note("start")
    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.append(1))
note("start")
Path("locks").mkdir(exist_ok=True)
lock = open(Path("locks", name), "a")  # noqa: SIM115 - held until the process ends
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("overlap")
if spec["fault"] and not Path("repaired").exists():
    misbehave(spec["fault"])
state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"step": 0, "value": 1}
while state["step"] < spec["steps"]:
    time.sleep(spec["seconds"])
    state = {"step": state["step"] + 1, "value": (state["value"] * 1103515245 + 12345) % 2**31}
    if stop or state["step"] % spec["every"] == 0:
        save(state)
    if stop:
        note("interrupted")
        sys.exit(75)
temporary = output.with_suffix(".tmp")
temporary.write_text(f"{state['step']} {state['value']}\n")
if spec["fault"] == "late":
    os.system(f"(sleep 4; mv {temporary} {output}) &")
else:
    temporary.rename(output)
checkpoint.unlink(missing_ok=True)
note("end")
