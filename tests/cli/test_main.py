"""The command line, as a newcomer types it."""

import subprocess
import sys

import pytest

from tests.studies import Study


def lmrnn(*arguments, cwd=None):
    return subprocess.run([sys.executable, "-m", "lmrnn.cli.main", *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize(("battery", "n"), [("20", 20), ("126", 126), ("132", 132), ("seq60", 60), ("go,dlygointr", 2)])
def test_tasks_lists_a_battery(battery, n):
    lines = lmrnn("tasks", "--battery", battery).stdout.splitlines()
    assert len(lines) == n + 1
    assert lines[1].split()[1:] == ["go", "reach", "-", "-"]


def test_show_draws_a_trial(tmp_path):
    done = lmrnn("show", "dlydm1intlseqr", "-o", "trial.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trial.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "dlygoo"], "dlygo"),
        (["tasks", "--battery", "200"], "132"),
        (["cells", "--config", "nosuch.yaml"], "no such configuration file"),
        (["show", "go", "-o", "go.docx"], "png"),
    ],
)
def test_an_error_is_one_message_and_a_status(arguments, says, tmp_path):
    done = lmrnn(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_train_trains_one_cell_and_takes_it_when_it_is_done(tmp_path):
    study = Study(tmp_path)
    listed = lmrnn("cells", "--config", "study.yaml", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["missing", "missing"]
    cell = listed[0].split()[1]
    done = lmrnn("train", "--config", "study.yaml", "--cell", cell, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 6/6" in done.stdout
    assert list(study.trained()) == [f"{cell}.h5"]
    again = lmrnn("train", "--config", "study.yaml", "--cell", cell, cwd=tmp_path)
    assert "nothing to train" in again.stdout
