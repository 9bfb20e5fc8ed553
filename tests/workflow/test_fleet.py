"""Snakemake's jobs of cells meet: one of them trains all; what they leave behind is what cells by themselves leave."""

import os
import random
import shutil
import signal
import subprocess
import time
from functools import partial

import pytest

from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from tests.studies import Study
from tests.training.fleets import by_hand
from tests.training.node import until
from tests.training.test_train import assert_same

KILLS = int(os.environ.get("LMRNN_SOAK_KILLS", "0"))
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
    done = subprocess.run(
        command(study), cwd=study.folder, env=study.environment(), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert len(study.trained()) == 4
    assert paths(study) == {"fleet"}
    assert study.planned(*UNTIL) == {}
    assert is_tidy(study.temporary)


def start(study):
    """Snakemake in a session of its own, as a terminal has it."""
    with open(study.folder / "said.txt", "ab") as said:
        return subprocess.Popen(
            command(study), cwd=study.folder, env=study.environment(), start_new_session=True, stdout=said,
            stderr=subprocess.STDOUT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip


def trains_or_has_ended(study, driver, since):
    """Whether a cell is trained by a process that began after some time, or Snakemake has ended."""
    logs = [path for path in (study.results / "logs" / "cells").rglob("*.log") if path.stat().st_mtime > since]
    return driver.poll() is not None or any("trains on" in log.read_text(errors="replace") for log in logs)


def disturbed(study, kills, rng):
    """Run a study again and again until it has ended, and kill its drivers at random moments; how many were."""
    files, killed = {}, 0
    while True:
        driver = start(study)
        if killed < kills:
            until(partial(trains_or_has_ended, study, driver, time.time()), 120)
            time.sleep(rng.uniform(0, 1.5))
        if killed < kills and driver.poll() is None:
            kill = rng.choice([os.kill, os.killpg])  # the driver alone, or with all that it has started
            kill(driver.pid, rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            killed += 1
        status = driver.wait(120)
        for path in (study.results / "cells").rglob("*.h5"):
            assert files.setdefault(path, path.stat().st_ino) == path.stat().st_ino  # written once
        if status == 0:
            return killed


def is_tidy(temporary):
    """Whether nothing of the meetings of cells lies there."""
    return not list(temporary.glob("lmrnn*"))


@pytest.mark.soak
@pytest.mark.skipif(not KILLS, reason="started by `make soak`")
@pytest.mark.timeout(300 + 60 * KILLS)
def test_whichever_drivers_are_killed_every_cell_ends_once_with_the_undisturbed_bits(tmp_path):
    rng, done, restarts = random.Random(KILLS), 0, 0
    while done < KILLS:
        study = fleet(tmp_path / f"{done}", steps=1500, evaluate_every=500)
        done += (killed := disturbed(study, min(KILLS - done, 5), rng))
        cells = cells_of(load_config(study.config_file))
        by_hand(cells, study.results, tmp_path / "by hand")
        for cell in cells:
            found = read_cell(cell.path(study.results), cell.spec)
            assert_same(found, read_cell(cell.path(tmp_path / "by hand")))
            restarts += found.provenance["restarts"]
        until(partial(is_tidy, study.temporary))  # a leader that outlived its driver ends after its cells
        assert not list((study.results / "checkpoints").rglob("*.h5*"))
        print(f"{done} drivers were killed, {killed} of this study; {restarts} restarts of cells", flush=True)
        shutil.rmtree(study.folder)
    assert restarts or KILLS < 5
