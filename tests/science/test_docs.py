"""Every block of docs/science.md runs as it stands, after those before it."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/science.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_page_runs_from_beginning_to_end(cell_file, tmp_path, monkeypatch, capsys):
    results = next(folder for folder in cell_file.parents if folder.name == "cells").parent
    (tmp_path / "results").symlink_to(results)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/science.md, block {number}", "exec"), names)
    assert len(BLOCKS) >= 10
    for picture in ("psychometric.png", "state_space.png", "fixed_points.svg", "network.npz"):
        assert (tmp_path / picture).stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "decision_accuracy" in printed
    assert names["info"]["trial"]["task"] == "dm1"
    assert abs(names["readout"](names["states"])).sum() > 0


def test_the_page_names_only_what_there_is():
    import importlib

    for module, listed in re.findall(r"from (lmrnn[\w.]*) import ([\w, ]+)", PAGE):
        for name in listed.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
