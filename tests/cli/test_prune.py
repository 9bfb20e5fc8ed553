"""Doubt removes no cell: files of an old name, and configurations that cannot be read, keep what they may ask for."""

import pytest
import yaml

from lmrnn.cli.main import main as cli
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import note_study
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


@pytest.mark.parametrize("text", ["grid: [", '{"grid" : 3', "study: half\ngrid: {seed: [010]}\n", "\xff"])
def test_a_half_edited_or_unreadable_file_beside_the_config_is_named_and_keeps_everything(folder, capsys, text):
    (folder / "other.yaml").write_text(text, encoding="latin-1")
    cli(["prune", "--config", "mine.yaml"])
    assert "not known what it asks for: other.yaml" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli(["prune", "--config", "mine.yaml", "--yes"])
    assert left() == 3
    cli(["cells", "--config", "mine.yaml"])
    cli(["status", "--config", "mine.yaml"])
    assert "not known what it asks for: other.yaml" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["some: other program\n", "a: !!python/name:of.another\n", "- [", "studying: 1"])
def test_a_file_of_another_program_beside_the_config_asks_for_nothing(folder, capsys, text):
    (folder / ".other.yml").write_text(text)
    cli(["status", "--config", "mine.yaml"])
    assert "other.yml" not in capsys.readouterr().out
    cli(["prune", "--config", "mine.yaml", "--yes"])
    assert left() == 2


def ran(config):
    """A study that has run, with its cells; its configuration is nowhere."""
    config = validate_config(config)
    layout = Layout(config["results"])
    for cell in cells_of(config):
        layout.cell(cell.stem).parent.mkdir(parents=True, exist_ok=True)
        layout.cell(cell.stem).touch()
    note_study(layout.study(config["study"]), config, cells_of(config))
    return config


def test_a_study_of_which_only_its_study_file_is_left_keeps_its_cells(folder, capsys):
    ran({**TINY, "study": "again", "seed_offset": 100})
    cli(["prune", "--config", "mine.yaml", "--yes"])
    said = capsys.readouterr().out
    assert left() == 4
    assert "kept        2 cells for results/again/study.json" in said
    assert "kept        2 cells for mine.yaml" in said
    assert [path.name for path in Layout("results").trash.rglob("*.h5")] == ["nobody.h5"]


def test_what_a_study_file_asks_for_stays_until_the_study_is_run_again(folder, capsys):
    ran({**TINY, "training": {**TINY["training"], "steps": 7}})
    (folder / "mine.yaml").write_text(yaml.safe_dump({**TINY, "training": {**TINY["training"], "steps": 8}}))
    cli(["status", "--config", "mine.yaml"])
    assert "5 files that none of mine.yaml asks for" in capsys.readouterr().out
    cli(["prune", "--config", "mine.yaml", "--yes", "--delete"])
    assert left() == 2
    assert not Layout("results").trash.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 2}', '{"format": 1, "config": {}, "cells": []}']
)
def test_a_study_file_that_cannot_be_read_is_named_and_keeps_everything(folder, capsys, text):
    path = Layout("results").study("torn").file
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(SystemExit):
        cli(["prune", "--config", "mine.yaml", "--yes"])
    assert left() == 3
    assert f"not known what it asks for: {path}" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["cells"], ["status"], ["plan", "--step-ms", "1"], ["prune"]])
def test_a_study_is_known_by_its_name_as_it_was_run(folder, capsys, command):
    ran({**TINY, "study": "again", "seed_offset": 100, "grid": {**TINY["grid"], "seed": [0, 1]}})
    cli([*command, "--study", "again"])
    said = capsys.readouterr().out
    assert {"cells": "seed101", "status": "4", "plan": "4 done", "prune": "kept        4 cells"}[command[0]] in said
    with pytest.raises(SystemExit):
        cli([*command, "--study", "agani"])
    assert "it has again" in capsys.readouterr().err
