"""A study with tasks and kinds of its own, and with timing and noise as axes: cells, identities, messages, curves."""

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lmrnn import plugins
from lmrnn.cli.main import main
from lmrnn.errors import ConfigError
from lmrnn.networks import build_connectivity
from lmrnn.steps import collect_cells, compute_curves
from lmrnn.study.config import load_config, validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import note_study, read_study
from lmrnn.study.requirements import longest_steps
from lmrnn.training.run import run_cell

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
PLAIN = {
    "study": "own",
    "grid": {"connectivity": ["autapse"], "tasks": [["go"]], "trials_per_task": [4], "seed": [0]},
    "network": {"neurons": 9},
    "training": {"steps": 2, "batch_size": 2, "evaluate_every": 1},
    "validation_trials": 2,
    "test_trials": 2,
}


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setattr(plugins, "_known", {})
    monkeypatch.setenv(plugins.VARIABLE, "")


def study(folder, grid=None, **changes):
    """A configuration file with some keys changed."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**PLAIN, **changes, "grid": {**PLAIN["grid"], **(grid or {})}}))
    return path


def task_file(folder, name="late", extra="", file="mine.py"):
    path = folder / file
    line = f'own_task("{name}", like="go", periods={{"delay": 400}})(None)'
    path.write_text(f"from lmrnn.tasks import own_task\n{line}\n{extra}")
    return path


def trained(config, folder):
    """Train every cell of a study and make its table and curves; the curve of training speed."""
    results, cells = str(folder / "results"), cells_of(config)
    config["results"] = results
    for cell in cells:
        run_cell(cell, results, config["compute"], io.StringIO())
    collect_cells(cells, results, folder / "cells.csv")
    outputs = [str(folder / f"{name}.csv") for name in ("training_speed", "task_accuracy")]
    compute_curves(cells, config, folder / "cells.csv", outputs)
    return [pd.read_csv(path) for path in outputs]


@pytest.mark.parametrize("name", STUDIES)
def test_an_example_goes_from_its_file_to_curves(name, tmp_path):
    config = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    config["plugins"] = [str(EXAMPLES / path) for path in config["plugins"]]
    config["grid"] |= {"trials_per_task": [8], "seed": [0], "connectivity": config["grid"]["connectivity"][:1]}
    config |= {"network": {"neurons": 16}, "training": PLAIN["training"], "test_trials": 3, "validation_trials": 2}
    speed, accuracy = trained(validate_config(config), tmp_path)
    assert len(speed) == 3
    assert accuracy["test_decision_accuracy"].between(0, 1).all()
    own = config["grid"]["tasks"][0][0]
    assert set(accuracy["task"]) == {own, "dlygo"}


def test_a_kind_of_a_plugin_goes_from_its_file_to_curves(tmp_path):
    shutil.copy(EXAMPLES / "random_clusters.py", tmp_path)
    grid = {"connectivity": [{"kind": "random_clusters", "clusters": [1, 3]}]}
    config = load_config(study(tmp_path, grid, plugins=["random_clusters.py"]))
    speed, _ = trained(config, tmp_path)
    assert speed["connectivity"].nunique() == 2
    first = cells_of(config)[0]
    assert build_connectivity(first.spec["connectivity"], 9).synapses == 81


def test_only_cells_that_use_a_plugin_know_of_it(tmp_path):
    grid = {"tasks": [["late", "go"], ["go"]]}
    before = cells_of(load_config(study(tmp_path, {"tasks": [["go"]]})))
    task_file(tmp_path)
    own, plain = cells_of(load_config(study(tmp_path, grid, plugins=["mine.py"])))
    assert plain == before[0]
    task_file(tmp_path, extra="# another content\n")
    changed, again = cells_of(load_config(study(tmp_path, grid, plugins=["mine.py"])))
    assert again == plain
    assert changed.hash != own.hash
    assert changed.dataset("test").path("d") != own.dataset("test").path("d")
    task_file(tmp_path, extra="# another content\n").rename(tmp_path / "moved.py")
    assert cells_of(load_config(study(tmp_path, grid, plugins=["moved.py"])))[0] == changed


def test_a_kind_of_a_changed_plugin_is_another_kind_of_its_cells_alone(tmp_path):
    grid = {"connectivity": [{"kind": "random_clusters", "clusters": 3}, "autapse"]}
    text, found = (EXAMPLES / "random_clusters.py").read_text(), []
    for extra in ("", "# changed\n"):
        (tmp_path / "kinds.py").write_text(text + extra)
        found.append(cells_of(load_config(study(tmp_path, grid, plugins=["kinds.py"]))))
    (first, plain), (second, still) = found
    assert plain == still
    assert first.connectivity_label != second.connectivity_label


def test_two_configurations_in_one_process_each_have_their_own_task_of_one_name(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    configs = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        task_file(folder, extra=f"# {number}\n")
        configs.append(load_config(study(folder, {"tasks": [["late"]]}, plugins=["mine.py"])))
    hashes = [cells_of(config)[0].spec["own_tasks"]["late"] for config in configs]
    assert hashes[0] != hashes[1]
    assert cells_of(configs[0])[0].dataset("train").battery[0].own.plugin.path.parent == folders[0]


def test_a_study_as_it_was_run_finds_its_plugins(tmp_path):
    task_file(tmp_path)
    config = load_config(study(tmp_path, {"tasks": [["late"]]}, plugins=["mine.py"], results=str(tmp_path / "r")))
    cells, place = cells_of(config), Layout(tmp_path / "r").study("own")
    note_study(place, config, cells)
    plugins._known.clear()
    record = read_study(place.file)
    assert record.cells == cells
    assert record.cells[0].dataset("train").battery[0].name == "late"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["none.py"], r"line \d+: plugins\.0: .*none\.py: this plugin cannot be read: No such file"),
        (["study.yaml"], r"line \d+: plugins\.0: .*study\.yaml: a plugin is a Python file"),
        (
            ["mine.py", "twice.py"],
            r"plugins\.1: .*mine\.py and .*twice\.py both have 'late' among their tasks|twice.*both",
        ),
        (["broken.py"], r"line \d+: plugins\.0: .*broken\.py: line 2: SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_plugin_names_the_line_that_names_it(files, message, tmp_path):
    task_file(tmp_path)
    task_file(tmp_path, extra="# other\n", file="twice.py")
    (tmp_path / "broken.py").write_text("\ndef f(:\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(study(tmp_path, plugins=files))
    assert len(str(caught.value).splitlines()) == 1


def test_the_command_lists_and_draws_own_tasks(tmp_path, capsys, monkeypatch):
    task_file(tmp_path, extra='own_task("unused", like="dms")(None)\n')
    config = study(tmp_path, {"tasks": [["late", "go"]]}, plugins=["mine.py"], timing={"stimulus": 200})
    main(["tasks", "--config", str(config)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["task", "late", "go", "unused"]
    assert "(mine.py)" in lines[1]
    monkeypatch.chdir(tmp_path)
    main(["show", "late", "--config", str(config)])
    assert (tmp_path / "late.png").stat().st_size > 1000


def test_timing_and_noise_are_axes_whose_defaults_stand_in_no_spec(tmp_path):
    plain = cells_of(load_config(study(tmp_path)))[0]
    axes = {"noise": [1, 1.0e0 * 2], "timing": [{}, {"delay": 300}], "noise_where": ["stimuli"]}
    cells = cells_of(load_config(study(tmp_path, axes)))
    assert [sorted(set(cell.spec) - set(plain.spec)) for cell in cells] == [
        [],
        ["timing"],
        ["noise"],
        ["noise", "timing"],
    ]
    assert cells[0] == plain
    assert len({cell.dataset("test").path("d") for cell in cells}) == 4
    section = cells_of(load_config(study(tmp_path, noise=2, timing={"delay": [300, 300]})))
    assert section[0] == cells[3]
    speed, _ = trained(load_config(study(tmp_path, axes)), tmp_path)
    assert speed["panel"].nunique() == speed["panel_id"].nunique() == 4
    table = pd.read_csv(tmp_path / "cells.csv", keep_default_na=False)
    assert table["timing"].tolist() == ["", json.dumps({"delay": 300}, separators=(",", ":"))] * 2
    assert table["noise"].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"timing": {"delya": 300}},
            r"grid\.0: timing: no task here has a period named 'delya'; they have: decision, delay",
        ),
        ({"timing": {"stimulus": 0}}, r"task go: the period stimulus lasts 0 ms; allowed: at least 100"),
        ({"timing": {"delay": 150}}, r"task go: 150 ms of the period delay are no whole number of steps of dt = 100"),
        ({"timing": {"delay": [300, 100]}}, r"timing: delay is \[300, 100\]"),
        ({"timing": 5}, r"timing is 5; allowed: How long periods last"),
        ({"timing": {"delay": "long"}}, r"timing\.delay is 'long'; allowed: ms: a number"),
        ({"noise": -1}, r"noise is -1; allowed: at least 0"),
        ({"noise_where": "rings"}, r"noise_where is 'rings'; allowed: one of stimuli, throughout"),
    ],
)
def test_timing_and_noise_that_cannot_be_are_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        cells_of(load_config(study(tmp_path, **changes)))


def test_an_int_task_moves_by_whole_positions(tmp_path):
    with pytest.raises(ConfigError, match=r"dlygointr moves by one position in 100 ms of its delay.*multiples of 100"):
        cells_of(load_config(study(tmp_path, {"tasks": [["dlygointr"]]}, dt=20, timing={"delay": 220})))


def test_memory_is_asked_for_by_the_longest_trial_of_an_own_timing(tmp_path):
    axes = {"timing": [{}, {"delay": 60_000}]}
    short, long = cells_of(load_config(study(tmp_path, axes)))
    assert longest_steps(short.spec) == 36
    assert longest_steps(long.spec) == 615
