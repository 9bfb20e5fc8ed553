"""A generation of data that is killed, whenever, leaves nothing that the next one does not put right."""

import os
import subprocess
import sys

import pytest

from lmrnn.datasets import DatasetSpec, load_dataset
from lmrnn.tasks import battery_names
from tests.conftest import ROOT

SPEC = DatasetSpec("corrected", 100, battery_names(20), 150, "train", 0)
KILLS = int(os.environ.get("LMRNN_SOAK_KILLS", "20"))

# One process forks the children that are killed, so that each costs no imports. Prints what each had left, and checks
# what the next one makes of it.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from lmrnn.datasets import DatasetSpec, generate_dataset

spec, path, kills = DatasetSpec.from_json(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def start(target):
    child = os.fork()
    if child == 0:
        generate_dataset(spec, target)
        os._exit(0)
    return child

began = time.monotonic()
undisturbed = path.with_name("undisturbed.h5")
os.waitpid(start(undisturbed), 0)
seconds = time.monotonic() - began
chance = random.Random(7)
killed = 0
while killed < kills:
    delay = chance.random() * seconds
    child = start(path)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:  # it was quicker this time
        path.unlink()
        continue
    assert status == -signal.SIGKILL, status
    killed += 1
    left = "whole" if path.exists() else "half" if list(path.parent.glob(f".{path.name}.*.tmp")) else "nothing"
    print(left, flush=True)
    assert os.waitstatus_to_exitcode(os.waitpid(start(path), 0)[1]) == 0
    assert path.read_bytes() == undisturbed.read_bytes()
    assert sorted(os.listdir(path.parent)) == [".locks", path.name, undisturbed.name], os.listdir(path.parent)
    path.unlink()
"""


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_killed_at_random_moments(tmp_path):
    path = tmp_path / "sets" / "set.h5"
    path.parent.mkdir()
    command = [sys.executable, "-c", KILLER, SPEC.to_json(), str(path), str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    left = done.stdout.split()
    assert len(left) == KILLS
    assert left.count("half") >= KILLS // 4
    assert load_dataset(path.with_name("undisturbed.h5"), SPEC).n_trials == SPEC.n_trials
