"""A sweep with a task and a mask of its own: what has changed is trained again, and nothing else."""

import re

import numpy as np
import pytest

from lmrnn import steps
from lmrnn.curves.tables import TABLES
from lmrnn.files.tables import read_table
from lmrnn.networks import PATHS
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from tests.studies import ROOT, Study

TASK = 'from lmrnn.tasks import own_task\nown_task("late", like="go", periods={"delay": 400})(None)\n'


def test_a_changed_plugin_or_mask_trains_its_cells_and_no_others(tmp_path):
    study = Study(tmp_path / "study")
    own = [
        {"connectivity": ["autapse"], "tasks": [["late"]], "trials_per_task": [8], "seed": [0]},
        {"connectivity": [{"kind": "file", "path": "own.npy"}], "tasks": [["go"]], "trials_per_task": [8], "seed": [0]},
    ]
    (study.folder / "mine.py").write_text(TASK)
    np.save(study.folder / "own.npy", np.eye(25))
    study.change(plugins=["mine.py"], grid=own)
    assert len(study.run("--until", "train_cell")) == 2
    (study.folder / "mine.py").write_text(TASK + "# another content\n")
    assert study.planned("--until", "train_cell") == {"generate_dataset": 3, "train_cell": 1}
    np.save(study.folder / "own.npy", np.eye(25) + np.eye(25, k=2))
    assert study.planned("--until", "train_cell") == {"generate_dataset": 3, "train_cell": 2}


def test_a_study_of_an_own_task_and_mask_without_noise_ends_with_its_figures_and_claims(tmp_path):
    study = Study(tmp_path / "study")
    (study.folder / "mine.py").write_text(TASK)
    np.save(study.folder / "own.npy", np.eye(25))
    networks = [{"kind": "file", "path": "own.npy"}, {"kind": "local", "radius": 2}, "full"]
    grid = {"connectivity": networks, "tasks": [["late", "dm1"]], "trials_per_task": [40], "noise": [0]}
    study.change(plugins=["mine.py"], grid=grid, claims=True)
    study.finish()
    shares = read_table(study.results / "tiny/cells.csv")["test_in_training"]
    assert (shares > 0.3).all()  # both tasks have few distinct trials
    assert (study.results / "tiny/figures/training_speed.png").exists()


EXAMPLES = ("go_nogo", "interval_timing", "parametric_memory")
WIRINGS = [
    {"kind": "file", "path": ["own.npy", "own.csv", "own.npz"]},
    {"kind": "distance", "length": 1.5, "density": 0.2, "profile": ["exponential", "gaussian"]},
    {"kind": "random_clusters", "clusters": 3},
]
CONSTRAINTS = [
    *({"excitatory": [0.8]}, {"input_share": [0.5]}, {"readout_share": [0.5]}, {"gradient_clip": [None]}),
    *({"weight_decay": [0.1]}, {"l1": [0.01]}, {"wiring_cost": [0.01]}),
]
NOT_OF_THE_KERNEL = [{"l2_rates": [0.1]}, {"loss": [{"grace": 100, "weights": {"decision": 5}}]}]


@pytest.mark.parametrize("path", PATHS)
def test_every_example_wiring_and_constraint_goes_to_its_own_curve_on_every_path(path, tmp_path, monkeypatch):
    study = Study(tmp_path / "study")
    monkeypatch.chdir(study.folder)
    plugins = [ROOT / "examples" / f"{name}.py" for name in (*EXAMPLES, "random_clusters")]
    np.save("own.npy", np.eye(25))
    (study.folder / "own.csv").write_text("post,pre\n0,1\n24,3\n")
    np.savez("own.npz", mask=np.eye(25), signs=np.where(np.arange(25) < 20, 1, -1))
    shared = {"trials_per_task": [4], "seed": [0]}
    settings = CONSTRAINTS + (NOT_OF_THE_KERNEL if path != "kernel" else [])
    grid = [
        {"connectivity": WIRINGS, "tasks": [list(EXAMPLES)], **shared},
        *({"connectivity": ["full"], "tasks": [["dm1"]], **shared, **one} for one in settings),
    ]
    study.change(plugins=list(map(str, plugins)), grid=grid, training={"steps": 3}, compute={"path": path})
    study.finish(drawn=False)
    config = load_config("study.yaml")
    cells, files = cells_of(config), Layout(config["results"]).study("tiny")
    steps.compute_curves(cells, config, files.cells, map(files.curve, TABLES))
    curves = read_table(files.curve("training_speed"))
    assert curves.groupby(["panel_id", "connectivity_id"]).ngroups == 6 + len(settings) == len(cells)
    assert curves["decision_accuracy"].notna().all()


ASKED = """from lmrnn.analysis.own import own_analysis
@own_analysis("asked")
def asked(cell):
    return {"count": COUNT}
"""


def test_a_changed_analysis_is_made_again_alone_and_trains_nothing(tmp_path):
    study = Study(tmp_path / "study")
    (study.folder / "mine.py").write_text(ASKED.replace("COUNT", "1"))
    study.change(plugins=["mine.py"], grid={"connectivity": ["autapse"]}, training={"steps": 2})
    study.finish(drawn=False)
    found, trained = study.results / "tiny/analysis/asked.csv", study.trained()
    assert list(read_table(found)["count"]) == [1]
    (study.folder / "mine.py").write_text(ASKED.replace("COUNT", "len(cell.tasks)"))
    done = study.snakemake(str(found.relative_to(study.folder)))
    assert re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout, re.M) == ["own_analysis_asked"]
    assert list(read_table(found)["count"]) == [2]
    assert study.trained() == trained
