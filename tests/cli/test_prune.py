"""Doubt removes no cell: files of an old name, and configurations that cannot be read, keep what they may ask for."""

import pytest
import yaml

from lmrnn.cli.main import main as cli
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from tests.studies import TINY


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A configuration and its cells, half of them under their old names, and a cell that nobody asks for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    layout = Layout("results")
    for number, cell in enumerate(cells_of(validate_config(TINY))):
        path = layout.cell(cell.stem if number else cell.old_stem)
        path.parent.mkdir(parents=True)
        path.touch()
    layout.cell("nobody").touch()
    return tmp_path


def left():
    return len(list(Layout("results").cells.rglob("*.h5")))


def test_files_of_old_names_are_asked_for(folder, capsys):
    cli(["prune", "--config", "mine.yaml", "--yes"])
    assert left() == 2


@pytest.mark.parametrize("text", ["grid: [", "some: other program\n", "study: half\ngrid: {seed: [010]}\n"])
def test_a_foreign_or_half_edited_file_beside_the_config_is_named_and_keeps_everything(folder, capsys, text):
    (folder / "other.yaml").write_text(text)
    cli(["prune", "--config", "mine.yaml"])
    assert "not a configuration: other.yaml" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli(["prune", "--config", "mine.yaml", "--yes"])
    assert left() == 3
    cli(["cells", "--config", "mine.yaml"])
    cli(["status", "--config", "mine.yaml"])
    assert "not a configuration: other.yaml" in capsys.readouterr().out
