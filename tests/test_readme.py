"""The README's Python runs as it stands, and the commands it names exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmrnn.cli.main import build_parser

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_a_python_block_runs_as_it_stands(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(block.splitlines()) <= 16


def test_there_are_python_blocks():
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`lmrnn ([a-z]+)", README))))
def test_a_command_that_is_named_exists(command):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args([command, "--help"])
    assert end.value.code == 0


def test_make_targets_that_are_named_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.M), target
