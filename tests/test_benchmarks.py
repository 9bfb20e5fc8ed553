"""The benchmarks, small: that they run against the package as it is."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks import cell, checkpointing, gpu, gpu_cells, gpu_right, step
from lmrnn.training.state import Compute


def test_a_step_can_be_measured_against_the_usual_loop():
    row = step.against_usual(step.local(64, 2), step.unpadded_batch(5), rounds=1)
    assert row["path"] in ("kernel", "dense")
    assert row["ours"] > 0
    assert row["theirs"] > 0


def test_a_whole_cell_can_be_measured(monkeypatch):
    monkeypatch.setattr(cell, "TRIALS", 4)
    assert cell.our_cell(steps=2) > 0


def test_a_training_with_and_without_checkpoints_can_be_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpointing, "EVERY", 1)
    training = checkpointing.make(64, (checkpointing.dataset("train", 4), checkpointing.dataset("validation", 1)))
    assert checkpointing.seconds(training, tmp_path / "checkpoint.h5") > 0
    assert (tmp_path / "checkpoint.h5").exists()


def test_a_sheet_can_be_measured():
    measured = json.loads(cell.sheet(side=8, radius=2, steps=30))
    assert measured["last"] < measured["first"]
    assert measured["gb"] > 0


def test_what_is_measured_on_a_gpu_is_rehearsed_with_torch_numpy_and_h5py_alone(tmp_path):
    for absent in ("pandas", "psutil", "filelock", "scipy", "jsonschema", "yaml", "snakemake", "matplotlib"):
        (tmp_path / f"{absent}.py").write_text("raise ImportError('not there')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks", "gpu", "--device", "cpu"]
    root = Path(gpu.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "REHEARSAL" in done.stdout
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {row["part"] for row in rows} == {"machine", "right", "scan right", "fleet", "fused scan", "single", "pack"}
    assert all(row["ok"] for row in rows if row["part"] == "right")
    assert all(row["cell_steps_s"] > 0 for row in rows if row["part"] in ("fleet", "pack"))
    scans = [row for row in rows if row["part"] in ("scan right", "fused scan")]
    if find_spec("triton") is None:
        assert all("pip install triton" in row["left_out"] for row in scans)
    else:
        assert [row.get("ok", row.get("cell_steps_s", 0) > 0) for row in scans] == [True, True]


def test_what_no_time_is_left_for_is_named_and_nothing_is_wrong_with_it(capsys):
    assert gpu.main(["--device", "cpu", "--seconds", "0"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(rows) == sum(len(part.cases) for part in gpu.parts(tiny=True))
    assert {row["left_out"] for row in rows} == {"time was up"}


def test_a_part_that_is_stopped_by_its_time_or_fails_says_so_for_each_case_left():
    part = gpu.Part("right", 60, [{"check": gpu.CHECKS[0]}, {"check": "no such"}])
    assert [row["left_out"] for row in gpu.measured(part, "cpu", 0.1)] == ["time was up"] * 2
    assert [row["failed"] for row in gpu.measured(gpu.Part("none", 60, [{}]), "cpu", 60)] == ["KeyError: 'none'"]


def test_two_cells_of_which_one_took_a_step_more_are_told_apart():
    def after(steps):
        cells = gpu_cells.Cells(gpu_cells.Sizes(**gpu.TINY), 100)
        made = [cells.training({"kind": "full"}, 0, Compute(path="fleet"))]
        return gpu_right.stepped(cells.crew(made, "cpu"), steps)

    assert gpu_right.distance(after(3), after(3)) == 0
    assert gpu_right.distance(after(3), after(4)) > gpu_right.SINGLE_BOUND


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_fused_scan_is_right_on_a_gpu():
    part = gpu.Part("scan right", 240, [{"check": check} for check in gpu.SCAN_CHECKS])
    rows = list(gpu.measured(part, "cuda", part.seconds))
    assert all(row.get("ok") for row in rows), rows
