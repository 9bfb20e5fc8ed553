"""The page on own tasks and wiring, walked as it is written: files are written, Python and commands run, in order."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/bring-your-own.md").read_text()
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.M | re.S)


def test_every_block_of_the_page_runs_as_it_is_written(tmp_path):
    for name in ("Snakefile", "workflow", "config", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    files = {name: text for _, name, text in BLOCKS if name}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert set(files) == {
        "my_tasks.py",
        "own.yaml",
        "varied.yaml",
        "wiring.yaml",
        "my_kinds.py",
        "my_questions.py",
        "asked.yaml",
    }
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for language, name, text in BLOCKS:
        if name:
            continue
        for command in text.splitlines() if language == "sh" else [None]:
            # whole sweeps are run by the tests of the workflow
            words = f"{command} --dry-run" if command and command.startswith("snakemake") else command
            call = ["bash", "-c", words] if words else [sys.executable, "-c", text]
            done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, (words or text) + done.stdout + done.stderr
    assert list((tmp_path / "results/cells").rglob("file-near-*/**/*.h5"))
    assert (tmp_path / "memory.png").exists()
    assert (tmp_path / "looked/long_delays.csv").read_text().count("\n") == 5
