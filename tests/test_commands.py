"""Every command that a page shows is taken by the program that it calls, and run where that is a matter of moments."""

import importlib.util
import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from lmrnn.cli.main import build_parser, main
from lmrnn.study.config import load_config, validate_config
from lmrnn.study.grid import cells_of, find_cell

ROOT = Path(__file__).parents[1]
PLUGIN = "snakemake-executor-plugin-submitit"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "*/README.md", "docs/*.md", "tests/*/README.md", f"{PLUGIN}/docs/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md" and not path.parent.name.startswith(".")
)
# Blocks that another test runs, one after the other as they stand.
WALKED = {"README.md": ("python",), "docs/science.md": ("python",), "docs/bring-your-own.md": ("python", "yaml", "sh")}
# What a reader is to put in, and what stands for it here.
MEANT = {"FILE": "config/config.yaml", "HASH": cells_of(load_config(ROOT / "config/config.yaml"))[0].hash}
# Commands that cannot run in a test, and why.
LEFT_OUT = {
    "git clone <this repository> lmrnn": "a reader's own copy",
    "cd lmrnn": "goes with it",
    "source .venv/bin/activate": "the tests run in that environment",
    f"pip install ./{PLUGIN} snakemake": "needs a network; hatch builds the package where the tests are set up",
}
PROGRAMS = ("lmrnn", "snakemake", "make", "pytest", ".venv/bin/pytest", "python", "pip", "tests/slurm/")


def fences(page):
    """Language and text of every fenced block of a page."""
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)


@cache
def cells(config):
    return cells_of(load_config(ROOT / config))


def is_command(line):
    return line.startswith(PROGRAMS) or line.split(" && ")[0] in LEFT_OUT


def shown(page):
    """Every line of a page that is a command: in blocks, indented, and within sentences."""
    lines = []
    for language, text in fences(page):
        if language in WALKED.get(page, ()):
            continue
        if language == "console":
            lines += [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
        elif language in ("", "sh"):
            lines += filter(is_command, text.splitlines())
    prose = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.M | re.S)
    lines += filter(is_command, re.findall(r"^    (\S.*)$", prose, re.M))
    lines += [code for code in re.findall(r"`([^`\n]+)`", prose) if is_command(code) and " " in code]
    for line in lines:
        yield from re.split(r" && | \| head", re.split(r"\s+#|\s{3,}", line)[0].strip())


COMMANDS = {command: page for page in reversed(PAGES) for command in shown(page)}


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_run_by_some_test(page):
    for language, text in fences(page):
        if language in WALKED.get(page, ()) or language in ("console", "text"):
            continue
        if language == "yaml":
            config = validate_config({"study": "shown", **yaml.safe_load(text)})
            assert cells_of(config), page
            continue
        assert language in ("", "sh"), f"{page}: nothing runs blocks of {language}"
        commands = [line for line in text.splitlines() if is_command(line)]
        assert not commands or commands == text.splitlines(), f"{page}: {text}"


@pytest.fixture
def clone(tmp_path, monkeypatch, command):
    """What of a clone the commands read, in a folder in which they may write."""
    named = {"config/config.yaml", *re.findall(r"config/\w+\.yaml", command)}  # prune reads all that there are
    (tmp_path / "config").mkdir()
    for name in ("profiles", "slurm", *named):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.usefixtures("clone")
def test_a_command_is_one_that_its_program_takes(command):
    if command in LEFT_OUT:
        return
    words = [MEANT.get(word, word) for word in shlex.split(command)]
    program, words = Path(words[0]).name, words[1:]
    TAKERS.get(program, take_script)(command.split()[0], words)


def take_lmrnn(_, words):
    """Run it, unless it trains, measures trainings or looks into them: those are run by tests of their own."""
    if len(words) == 1 and words[0] in ("train", "analyse", "show"):  # named without what must be given
        with pytest.raises(SystemExit) as end:
            main([*words, "--help"])
        assert end.value.code == 0
    elif words[0] == "train" or (words[0] == "plan" and "--step-ms" not in words):
        arguments = build_parser().parse_args(words)
        found = cells(arguments.config or "config/config.yaml")
        assert words[0] == "plan" or find_cell(found, arguments.cell)
    else:
        assert main(words) == 0


def take_snakemake(_, words):
    if words == ["--help"]:
        return
    _, arguments = parse_args(words)
    assert all(cells(str(path)) for path in arguments.configfile)


def take_make(_, words):
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def take_pytest(_, words):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    paths = [word for word in words if word.startswith("tests")]
    assert all((ROOT / path).exists() for path in paths)
    if "-m" in words:
        assert any(marker.startswith(f"{words[-1]}:") for marker in settings["markers"])
    if "-k" in words:
        assert re.search(rf"def test_\w*{words[-1]}", (ROOT / paths[0]).read_text())


def take_python(_, words):
    assert importlib.util.find_spec(words[1]) if words[0] == "-m" else (ROOT / words[0]).exists()


def take_pip(_, words):
    extra = re.fullmatch(r"install lmrnn\[(\w+)\]", " ".join(words))[1]
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def take_script(path, _):
    assert (ROOT / path).stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", ROOT / path]).returncode == 0


TAKERS = {
    "lmrnn": take_lmrnn,
    "snakemake": take_snakemake,
    "make": take_make,
    "pytest": take_pytest,
    "python": take_python,
    "pip": take_pip,
}
