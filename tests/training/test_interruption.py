"""Real processes, killed at real moments: whatever happens, the next run ends as an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from lmrnn.cli.exits import EXIT_INTERRUPTED
from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.training import checkpoint as checkpoints
from tests.conftest import ROOT
from tests.studies import TINY, merged
from tests.training.test_train import assert_same

KILLS = int(os.environ.get("LMRNN_SOAK_KILLS", "30"))
CONFIG = merged(
    TINY,
    {
        "network": {"recurrent_noise": 0.05},
        "training": {"steps": 160, "evaluate_every": 20, "batch_size": 8},
        "compute": {"checkpoint_seconds": 0.03},
        "validation_trials": 20,
        "test_trials": 60,
    },
)
# where a child kills itself: stage, point in it, at which call
POINTS = [
    ("dataset", "create", 5),
    ("dataset", "replace", 2),
    ("training", "clip", 9),
    ("evaluation", "counts", 1),
    ("evaluation", "counts", 4),
    ("checkpoint", "create", 1),
    ("checkpoint", "create", 40),
    ("checkpoint", "header", 1),
    ("checkpoint", "header", 2),
    ("checkpoint", "replace", 1),  # the first checkpoint appears
    ("checkpoint", "replace", 2),  # it becomes the one before
    ("checkpoint", "replace", 3),  # a second one appears
    ("cell", "create", 10),
    ("cell", "header", 1),
    ("cell", "replace", 1),
]


class Nursery:
    """Children that train the one cell of a study in a folder; see `tests.nursery`."""

    def __init__(self):
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **threads},
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def run(self, study, **order):
        self.process.stdin.write(json.dumps({"config": str(study.config), **order}) + "\n")
        self.process.stdin.flush()
        return SimpleNamespace(**json.loads(self.process.stdout.readline()))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def nursery():
    one = Nursery()
    yield one
    one.close()


def make_study(folder):
    config = folder / "study.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, "results": str(folder / "results")}))
    complete = load_config(config)
    cell, results = cells_of(complete)[0], complete["results"]
    return SimpleNamespace(
        config=config,
        results=folder / "results",
        cell=cell,
        path=cell.path(results),
        checkpoint=cell.checkpoint(results),
    )


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(nursery, tmp_path_factory):
    """The result that every other run is to equal, and how long it takes."""
    study = make_study(tmp_path_factory.mktemp("undisturbed"))
    done = nursery.run(study)
    assert done.status == 0
    return SimpleNamespace(result=read_cell(study.path, study.cell.spec), seconds=done.seconds)


def newest(study):
    """What the newest checkpoint says, if there is a whole one; looks without touching it."""
    for path in (study.checkpoint, checkpoints.previous(study.checkpoint)):
        if path.exists():
            return checkpoints.read(path, study.cell.spec).values
    return None


def check_finished(study, undisturbed):
    """The cell's file is that of an undisturbed run, and nothing else is left."""
    result = read_cell(study.path, study.cell.spec)
    assert_same(result, undisturbed.result)
    strays = [path for path in study.results.rglob("*") if ".tmp" in path.name or "checkpoints" in path.parts]
    assert [path for path in strays if path.is_file()] == []
    for clock in ("training_seconds", "evaluation_seconds"):
        assert np.all(np.diff(result.history[clock]) > 0)
        assert result.provenance[clock] >= result.history[clock][-1]
    return result


def start_over(study):
    for path in sorted(study.results.rglob("*.h5")):
        path.unlink()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_killed_at_the_worst_moments(point, nursery, undisturbed, study):
    killed = nursery.run(study, point=point)
    assert killed.status == -signal.SIGKILL
    assert killed.stage == point[0]
    before = newest(study)
    assert nursery.run(study).status == 0
    restarts = check_finished(study, undisturbed).provenance["restarts"]
    assert restarts == (0 if before is None else before["restarts"] + 1)


def random_order(rng, number, seconds):
    """Kill at any time; or, every third SIGKILL, at any call within what takes too short a time to be hit by chance."""
    if number == signal.SIGKILL and rng.random() < 1 / 3:
        stage = str(rng.choice(["evaluation", "checkpoint", "cell"]))
        point = "counts" if stage == "evaluation" else str(rng.choice(["create", "header", "replace"]))
        reach = (
            {"counts": 6, "create": 33, "header": 4, "replace": 6}[point] if stage != "cell" or point == "create" else 1
        )
        return {"point": [stage, point, int(rng.integers(1, reach + 1))]}
    return {"signal": int(number), "delay": float(rng.uniform(0.05, 1) * seconds)}


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2], ids=lambda n: n.name)
def test_killed_at_random_moments(number, nursery, undisturbed, study, capsys):
    """Kill again and again; whenever a run gets through, compare it and begin anew."""
    rng = np.random.default_rng(int(number))
    kills, finished, spent, stages = 0, 0, 0.0, Counter()
    wanted = KILLS if number == signal.SIGKILL else max(KILLS // 3, 10)
    restarts = 0
    while kills < wanted or not finished:
        order = random_order(rng, number, undisturbed.seconds) if kills < wanted else {}
        done = nursery.run(study, **order)
        spent += done.seconds
        if done.status == 0:
            result = check_finished(study, undisturbed)
            assert result.provenance["training_seconds"] + result.provenance["evaluation_seconds"] < spent
            assert result.provenance["restarts"] == restarts
            finished, spent, restarts = finished + 1, 0.0, 0
            start_over(study)
            continue
        assert done.status in (-number, EXIT_INTERRUPTED), f"a child ended with {done.status} in {done.stage}"
        kills += 1
        stages[done.stage] += 1
        saved = newest(study)
        restarts = 0 if saved is None else saved["restarts"] + 1
        if study.path.exists():  # killed between the cell's file and the end: there is nothing to go on with
            restarts = read_cell(study.path).provenance["restarts"]
    with capsys.disabled():
        print(f"\n{kills} x {number.name}, {finished} trainings finished; killed in {dict(stages)}", end=" ")
    assert number != signal.SIGKILL or {"training", "evaluation", "checkpoint", "cell"} <= set(stages)


def test_a_signal_asks_for_a_checkpoint_and_a_status_that_says_resumable(nursery, undisturbed, study):
    numbers = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
    steps, seconds = [], []
    for restarts, number in enumerate(numbers):
        stopped = nursery.run(study, point=["training", "clip", 7], number=int(number))
        assert stopped.status == EXIT_INTERRUPTED
        saved = newest(study)
        assert saved["restarts"] == restarts
        steps.append(saved["step"])
        seconds.append(saved["watch"]["wall"]["training"])
    assert steps == [7, 14, 21], "each at the boundary of the step that was under way"
    assert seconds == sorted(seconds)
    assert nursery.run(study).status == 0
    result = check_finished(study, undisturbed)
    assert result.provenance["restarts"] == len(numbers)
    assert result.provenance["training_seconds"] > seconds[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2], ids=lambda n: n.name)
def test_the_command_says_that_it_was_interrupted_and_goes_on_when_given_again(number, undisturbed, study):
    command = [sys.executable, "-m", "lmrnn.cli.main", "train", "--config", str(study.config)]
    command += ["--cell", study.cell.hash]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    for _ in range(5):  # on a busy machine the training may end before the signal is sent
        with subprocess.Popen(command, **options) as process:
            lines = iter(process.stdout.readline, "")
            assert any(line.startswith("step 0/") for line in lines)
            process.send_signal(number)
            said = "".join(lines)
        if process.returncode != 0:
            break
        start_over(study)
    assert process.returncode == EXIT_INTERRUPTED, said
    assert "resumable" in said
    done = subprocess.run(command, **options, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "resumed at step" in done.stdout
    assert check_finished(study, undisturbed).provenance["restarts"] == 1
