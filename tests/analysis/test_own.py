"""Analyses of a study's own: from a file to a table of every cell; what is wrong is one message with file and line."""

import io
from pathlib import Path

import numpy as np
import pytest

import lmrnn
from lmrnn import plugins
from lmrnn.cli.main import main
from lmrnn.errors import ConfigError
from lmrnn.files.tables import read_table
from lmrnn.steps import analyse_own, collect_cells
from lmrnn.study.config import load_config, own_analyses
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import note_study, parts_of
from lmrnn.training.run import run_cell
from tests.studies import Study

EXAMPLE = Path(__file__).parents[2] / "examples" / "long_synapses.py"
HEAD = "import numpy as np\nimport pandas as pd\nfrom lmrnn.analysis.own import own_analysis\n"
DEF = '@own_analysis("asked")\ndef asked(cell):\n'
PAIR = '{"task": name, "count": 5}'


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setattr(plugins, "_known", {})
    monkeypatch.setenv(plugins.VARIABLE, "")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of four trained cells, two of which have diverged, with its table."""
    study = Study(tmp_path_factory.mktemp("asked"))
    study.change(results=str(study.results), grid={"learning_rate": [0.001, 1e18]}, training={"steps": 3})
    config = load_config(study.config_file)
    for cell in cells_of(config):
        run_cell(cell, study.results, config["compute"], io.StringIO())
    collect_cells(cells_of(config), study.results, study.folder / "cells.csv")
    return study


def asked(study, text, folder):
    """The table of the analysis of a file with this text."""
    path = folder / "mine.py"
    path.write_text(text)
    (own,) = plugins.load(path).registered["analyses"].values()
    analyse_own(own, study.folder / "cells.csv", folder / "asked.csv")
    return read_table(folder / "asked.csv")


@pytest.mark.parametrize(
    "body",
    [
        f"    for name in cell.tasks:\n        yield {PAIR}\n",
        f"    return [{PAIR} for name in cell.tasks]\n",
        f"    return pd.DataFrame([{PAIR} for name in cell.tasks])\n",
        f"    return pd.DataFrame([{PAIR} for name in cell.tasks]).set_index('task')\n",
        "    return pd.Series(np.full(len(cell.tasks), 5), pd.Index(cell.tasks, name='task'), name='count')\n",
    ],
)
def test_rows_of_any_form_stand_behind_what_names_the_cell_for_every_cell_that_did_not_diverge(body, study, tmp_path):
    found, cells = asked(study, HEAD + DEF + body, tmp_path), read_table(study.folder / "cells.csv")
    assert set(cells["status"]) == {"completed", "diverged"}
    completed = cells[cells["status"] == "completed"]
    assert list(found["hash"]) == list(completed["hash"].repeat(2))
    assert list(found)[:4] == ["connectivity", "tasks", "trials_per_task", "seed"]
    assert {"radius", "learning_rate"} < set(found)  # in which the study's cells differ
    assert "batch_size" not in found
    assert list(found.iloc[:, -2:]) == ["task", "count"]
    assert set(found["count"]) == {5}
    assert found["task"].nunique() == 2


def test_one_row_for_each_cell_or_none_at_all(study, tmp_path):
    mean = '    return {"size": np.abs(cell.network.recurrent.numpy(force=True)).mean(), "even": True}\n'
    found = asked(study, HEAD + DEF + mean, tmp_path)
    assert len(found) == 2
    assert found["size"].between(0, 1).all()
    none = asked(study, HEAD + DEF + "    return []\n", tmp_path)
    assert not len(none)
    assert "hash" in none


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{HEAD}{DEF}    size = 0\n    return 1 / size\n", 7, "ZeroDivisionError"),
        (f"{HEAD}{DEF}    return [1, 2]\n", 4, "asked returns int"),
        (f"{HEAD}{DEF}    return None\n", 4, "asked returns NoneType"),
        (f"{HEAD}{DEF}    return {{'seed': 5}}\n", 4, "'seed'; allowed: text that is no column of cells.csv"),
        (f"{HEAD}{DEF}    return {{'states': np.zeros(3)}}\n", 4, "ndarray under 'states'"),
        (f"{HEAD}{DEF}    return {{'sum': cell.network.recurrent.sum()}}\n", 4, "Tensor under 'sum'"),
        (f"{HEAD}{DEF}    return {{3: 5}}\n", 4, "a column 3"),
        (f"{HEAD}{DEF}    cell.run('no_task')\n", 6, "no_task"),
        (f"{HEAD}{DEF}    yield {{'a': 1}}\n    raise SystemExit\n", 7, "SystemExit"),
    ],
)
def test_a_mistake_in_what_an_analysis_does_names_file_line_and_cell(text, line, words, study, tmp_path):
    with pytest.raises(plugins.PluginError) as error:
        asked(study, text, tmp_path)
    (message,) = str(error.value).splitlines()
    assert message.startswith(f"{tmp_path / 'mine.py'}: line {line}: ")
    assert words in message
    assert "(asked of " in message
    assert ".h5)" in message
    assert not (tmp_path / "asked.csv").exists()


TASK = 'from lmrnn.tasks import own_task\nown_task("late", like="go", periods={"delay": 400})(None)\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{HEAD}{DEF.replace('asked', 'clusters', 1)}    return []\n", 4, "an analysis named 'clusters'"),
        (f"{HEAD}{DEF.replace('asked', '../up', 1)}    return []\n", 4, "an analysis named '../up'"),
        (f"{HEAD}{DEF}    return []\n{DEF}    return []\n", 7, "two analyses of this file are named 'asked'"),
        (f"{HEAD}{DEF}    return []\n{TASK}", 8, "analyses in a file of their own"),
        (f"{TASK}{HEAD}{DEF}    return []\n", 6, "analyses in a file of their own"),
    ],
)
def test_what_cannot_be_registered_is_one_message_with_file_and_line(text, line, words, study, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError) as error:
        plugins.load(tmp_path / "mine.py")
    assert str(error.value).startswith(f"{tmp_path / 'mine.py'}: line {line}: ")
    assert words in str(error.value)


def test_an_analysis_is_part_of_no_cell_and_is_asked_by_the_command_as_by_the_study(study, tmp_path, capsys):
    before = [cell.stem for cell in cells_of(load_config(study.config_file))]
    (study.folder / "mine.py").write_text(f'{HEAD}{DEF}    return {{"count": len(cell.tasks)}}\n')
    study.change(plugins=["mine.py"])
    config = load_config(study.config_file)
    cells = cells_of(config)
    assert [cell.stem for cell in cells] == before
    note_study(Layout(study.results).study("tiny"), config, cells)
    chosen = next(cell for cell in cells if cell.spec["training"]["learning_rate"] == 0.001)
    options = [chosen.hash, "--output", str(tmp_path)]
    main(["analyse", "--study", "tiny", "--results", str(study.results), *options])
    assert f"{tmp_path}/asked.csv" in capsys.readouterr().out.splitlines()
    found = read_table(tmp_path / "asked.csv")
    assert (list(found["hash"]), list(found["count"])) == ([chosen.hash], [2])


def test_what_a_study_asks_for_changes_with_the_content_of_a_file_alone(study, tmp_path):
    (study.folder / "first.py").write_text(f"{HEAD}{DEF}    return []\n")
    (study.folder / "other.py").write_text(f"{HEAD}{DEF.replace('asked', 'second')}    return []\n")

    def parts(*files):
        study.change(plugins=list(files))
        return parts_of(load_config(study.config_file), [])

    before = parts("first.py", "other.py")
    (study.folder / "first.py").rename(study.folder / "moved.py")
    assert parts("moved.py", "other.py") == before
    (study.folder / "moved.py").write_text(f"{HEAD}{DEF}    return [{{}}]\n")
    after = parts("moved.py", "other.py")
    assert [name for name in before if before[name] != after[name]] == ["analysis_asked"]
    study.change(plugins=[])


def test_the_example_lesions_the_longest_synapses(study, tmp_path):
    assert len(EXAMPLE.read_text().splitlines()) <= 30
    plugins.load(EXAMPLE)
    own = own_analyses({"plugins": [str(EXAMPLE)]})["long_synapses"]
    path = next(path for path in (study.results / "cells").rglob("local*/**/*.h5"))
    cell = lmrnn.load(path)
    found = own.rows(cell, ())
    assert len(found) == len(cell.tasks) * 2 * 2
    assert found["lost"].between(-1, 1).all()
    gone = found.groupby(["cut", "share", "task"]).size()
    assert set(np.unique(gone)) == {1}
