"""Snakemake's jobs of cells meet: one of them trains all; what they leave behind is what cells by themselves leave."""

import os
import signal
import subprocess
import time

import pytest

from lmrnn.study.cells import read_cell
from tests.studies import Study

GRID = [{"connectivity": ["autapse", "full"], "tasks": [2], "trials_per_task": [8], "seed": [0, 1]}]
UNTIL = ("--until", "train_cell")


def fleet(folder, **training):
    study = Study(folder)
    study.change(grid=GRID, compute={"fleet": True, "checkpoint_seconds": 0.1}, training=training)
    return study


def command(study):
    return [*study.command(*UNTIL)[:-3], "4", *UNTIL]


def paths(study):
    return {read_cell(path).provenance["path"] for path in (study.results / "cells").rglob("*.h5")}


def test_the_jobs_of_a_sweep_are_trained_together_and_nothing_is_left_to_do(tmp_path):
    study = fleet(tmp_path / "study")
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        command(study), cwd=study.folder, env=study.environment(TMPDIR=str(tmp_path / "tmp")), capture_output=True,
        text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(study.trained()) == 4
    assert paths(study) == {"fleet"}
    assert study.planned(*UNTIL) == {}
    assert list((tmp_path / "tmp").glob("lmrnn*")) == []


@pytest.mark.soak
def test_a_driver_that_is_killed_is_followed_by_one_that_ends_the_sweep(tmp_path):
    study = fleet(tmp_path / "study", steps=4000, evaluate_every=1000)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        driver = subprocess.Popen(
            command(study), cwd=study.folder, env=study.environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        logs = study.results / "logs" / "cells"
        end = time.monotonic() + 120
        while time.monotonic() < end and not any("step" in log.read_text() for log in logs.rglob("*.log")):
            time.sleep(0.1)
        os.killpg(driver.pid, number)
        driver.wait(60)
    done = study.run(*UNTIL)
    assert paths(study) == {"fleet"}
    assert len(study.trained()) == 4, done
