"""The page on own tasks, wiring and analyses, walked as it is written: files are written, Python and commands run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from lmrnn import plugins
from lmrnn.cli.main import main
from lmrnn.files.tables import read_table

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/bring-your-own.md").read_text()
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.M | re.S)
FILES = {"my_tasks.py", "own.yaml", "varied.yaml", "wiring.yaml", "my_kinds.py", "my_questions.py", "asked.yaml"}


def run(command):
    """Run a command as it is typed; Snakemake plans only, since whole sweeps are run by the tests of the workflow."""
    program, *words = shlex.split(command)
    if program == "lmrnn":  # in this process: each would load torch for seconds
        assert main(words) == 0
        return
    assert program == "snakemake"
    call = [sys.executable, "-m", program, *words, "--dry-run"]
    done = subprocess.run(call, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, command + done.stdout + done.stderr


def test_every_block_of_the_page_runs_as_it_is_written(tmp_path, monkeypatch):
    for name in ("Snakefile", "workflow", "config", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    files = {name: text for _, name, text in BLOCKS if name}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert set(files) == FILES
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_known", {})
    for variable in (plugins.VARIABLE, plugins.MASKS):
        monkeypatch.setenv(variable, "")
    for language, name, text in BLOCKS:
        if not name and language == "sh":
            for command in text.splitlines():
                run(command)
        elif not name:
            assert language == "python"
            exec(compile(text, "docs/bring-your-own.md", "exec"), {"__name__": "page"})
    assert list((tmp_path / "results/cells").rglob("file-near-*/**/*.h5"))
    assert (tmp_path / "memory.png").exists()
    assert list(read_table("looked/long_delays.csv")["delay_ms"]) == [500, 1000, 2000, 4000]
