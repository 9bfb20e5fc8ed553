"""A configuration file that cannot be read is one line with its name."""

import subprocess
import sys

import pytest
from snakemake.exceptions import WorkflowError
from snakemake.settings import types
from snakemake_executor_plugin_submitit.configfiles import explain_unreadable_files

CONTENTS = {
    "a folder": None,
    "missing": None,
    "no text": b"a: \xff",
    "a date that is none": b"when: 2024-13-45",
    "half": b"a: [",
    "deep": b"[" * 5000,
    "a list": b"[1, 2]",
    "empty": b"",
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_whatever_is_wrong_with_it(tmp_path, kind):
    explain_unreadable_files()
    path = tmp_path / "config.yaml"
    if CONTENTS[kind] is not None:
        path.write_bytes(CONTENTS[kind])
    elif kind == "a folder":
        path.mkdir()
    with pytest.raises(WorkflowError, match=r"config\.yaml: .*onfig"):
        types.load_configfile(path)


def test_snakemake_shows_one_line_and_no_traceback(tmp_path):
    (tmp_path / "Snakefile").write_text("rule all:\n    input: []\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "nothere.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert (
        "nothere.yaml: this configuration file cannot be read (No such file or directory)" in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
