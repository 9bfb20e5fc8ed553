"""Nothing is accepted in silence that its writer did not mean; messages name file, line, key, value and what to do."""

import os
import re

import pytest

from lmrnn.cli.main import main as cli
from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config, resolve_config
from lmrnn.study.grid import cells_of
from tests.studies import ROOT, Study

HEAD = "study: s\n"
GRID = "grid: {connectivity: [full], tasks: [2], trials_per_task: [4], seed: [0]}\n"
CASES = ROOT / ".." / "shared" / "cases"


def asked(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text)
    config = load_config(path)
    return config, cells_of(config)


def refusal(folder, text):
    with pytest.raises(ConfigError) as caught:
        asked(folder, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("010", "write 10, or 8"), ("0144", "write 144, or 100"), ("08", "write 8"), ("0o17", "write 15"),
        ("0x1F", "write 31"), ("0b11", "write 3"), ("1_000", "write 1000"), ("1:30", "write 90"),
        ("1:30:00", "write 5400"), ("yes", "write true or false"), ("Off", "write true or false"),
        ("2024-01-01", "in quotes"), (".inf", "finite"), ("-.INF", "finite"), (".nan", "finite"),
        ("010.5", "write 10.5"),
    ],
)  # fmt: skip
def test_what_yaml_reads_otherwise_is_refused_as_it_was_written(tmp_path, written, instead):
    for text, key in (
        (GRID.replace("[0]", f"[{written}]"), "grid.seed.0"),
        (f"network: {{leak: {written}}}", "network.leak"),
    ):
        said = refusal(tmp_path, HEAD + text)
        assert f"mine.yaml: line 2: {key} is {written}: " in said
        assert instead in said


@pytest.mark.parametrize("tag", ["!!int", "!!float"])
def test_a_tag_makes_no_number_plain(tmp_path, tag):
    assert "write 10, or 8" in refusal(tmp_path, HEAD + GRID + f"training: {{steps: {tag} 010}}\n")


def test_every_doubtful_value_is_named_at_once(tmp_path):
    text = HEAD + "grid: {connectivity: [full], tasks: [2], trials_per_task: [4], seed: [010]}\n"
    said = refusal(tmp_path, text + "network: {neurons: 0144}\ntraining: {steps: 1:30}\n").splitlines()
    assert [re.search("line (.)", line)[1] for line in said] == ["2", "3", "4"]


def test_a_number_in_quotes_is_that_number_whatever_its_form(tmp_path):
    quoted = asked(tmp_path, HEAD + GRID.replace("[0]", "['4'], learning_rate: ['0.001', \"1e-2\"]"))[1]
    plain = asked(tmp_path, HEAD + GRID.replace("[0]", "[4], learning_rate: [0.001, 1e-2]"))[1]
    assert quoted == plain
    assert "write 10, or 8" in refusal(tmp_path, HEAD + GRID.replace("[0]", "['010']"))


@pytest.mark.parametrize("name", ["2024", "1e5", "yes", "2024-01-01", "010"])
def test_a_name_that_looks_like_a_number_needs_quotes(tmp_path, name):
    assert "in quotes" in refusal(tmp_path, f"study: {name}\n{GRID}") or "write 10" in refusal(
        tmp_path, f"study: {name}\n{GRID}"
    )
    assert asked(tmp_path, f"study: '{name}'\n{GRID}")[0]["study"] == name


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("steps: 5", "line 3: top level: unknown key 'steps'; it belongs to training: {training: {steps: ...}}"),
        ("lr: 0.1", "that is 'learning_rate' here"),
        ("network: {alpha: 0.5}", "line 3: network: unknown key 'alpha'; that is 'leak' here (a = dt / tau"),
        ("training: {neurons: 9}", "belongs to network"),
        ("compute:\n  thresholds: [0.5]", "line 4: compute: unknown key 'thresholds'; it belongs to curves"),
        ("network: {study: x}", "it stands at top level"),
        ("seed: [0]", "belongs to grid"),
        ("sparsity: 0.04", "is called density here"),
        ("density: 0.04", "{kind: random, density: ...}"),
        ("training: {learning_rate: [0.1, 0.2]}", "grid: {learning_rate: [0.1, 0.2]}"),
        ("curves: {thresholds: 0.5}", "curves.thresholds is 0.5; allowed: a list, e.g. [0.5]"),
        ("training: {steps:}", "training.steps is empty"),
        ("results:", "results is empty"),
        ("curves: {thresholds: [0.1, 0.10]}", "line 3: curves.thresholds names 0.10 twice (values 1 and 2"),
        ("network: 5", "network is 5; allowed: keys with values: neurons"),
    ],
)  # fmt: skip
def test_messages_say_the_line_and_where_a_key_belongs(tmp_path, lines, says):
    said = refusal(tmp_path, f"{HEAD}{GRID}{lines}\n")
    assert says in said
    assert said.startswith(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ("seed: 0", "seed is 0; allowed: a list, e.g. [0]"),
        ("seed: [1, 1.0]", "names 1.0 twice"),
        ("seed: [1, '1']", "names 1 twice"),
        ("learning_rate: [0.001, 1e-3]", "names 1e-3 twice"),
        ("tasks: [go, dm1, dms]", "write [[go, dm1, dms]] for one battery of 3 tasks, or [[go], [dm1], [dms]] for 3"),
        ("tasks: [2, [go, rtgo]]", "the same tasks"),
        ("connectivity: [{kind: random, sparsity: 0.1}]", "is called density here"),
        ("connectivity: [{kind: local, radius: [2, 2]}]", "names 2 twice"),
        ("connectivity: [full, full]", "twice"),
        ("connectivity: [{radius: 3}]", "the key 'kind' is missing"),
        ("tasks: [dlygoo]", "dlygo"),
    ],
)  # fmt: skip
def test_messages_on_the_grid_name_its_line(tmp_path, grid, says):
    axes = {"connectivity": "[full]", "tasks": "[2]", "trials_per_task": "[4]", "seed": "[0]"}
    key, value = grid.split(": ", 1)
    lines = [f"  {axis}: {given}" for axis, given in {**axes, key: value}.items()]
    said = refusal(tmp_path, HEAD + "grid:\n" + "\n".join(lines) + "\n")
    assert says in said
    assert f"mine.yaml: line {3 + [*{**axes, key: value}].index(key)}: " in said


def test_one_name_alone_and_names_in_brackets_are_batteries(tmp_path):
    for tasks, batteries in (("[go]", 1), ("[[go, dm1]]", 1), ("[[go], [dm1]]", 2), ("[20, seq60, go]", 3)):
        assert len(asked(tmp_path, HEAD + GRID.replace("[2]", tasks))[1]) == batteries


def test_an_empty_section_is_an_empty_section(tmp_path):
    empty = asked(tmp_path, f"{HEAD}{GRID}network:\ntraining:\ncompute:\ncurves:\n")[0]
    assert empty == asked(tmp_path, HEAD + GRID)[0]


def test_the_home_folder_and_variables_in_results(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", "/fast/me")
    monkeypatch.delenv("NOSUCH", raising=False)
    home = os.path.expanduser("~")
    for written, means in {
        "~/x": f"{home}/x",
        "$SCRATCH/x": "/fast/me/x",
        "'${SCRATCH}/x'": "/fast/me/x",
        "a~b": "a~b",
    }.items():
        assert asked(tmp_path, f"{HEAD}{GRID}results: {written}\n")[0]["results"] == means
    assert "no variable NOSUCH" in refusal(tmp_path, f"{HEAD}{GRID}results: $NOSUCH/x\n")
    assert "no such home folder" in refusal(tmp_path, f"{HEAD}{GRID}results: ~nobodyatall/x\n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (lambda path: None, "no such configuration file"),
        (lambda path: path.write_bytes("study: größe".encode("latin-1")), "UTF-8"),
        (lambda path: path.write_text("study: s\n", encoding="utf-16"), "UTF-8"),
        (lambda path: path.write_bytes(b"#" * 2_000_000), "2,000,000 bytes"),
        (lambda path: path.write_text("study: s\n__use_yte__: true\n"), "templates"),
    ],
)  # fmt: skip
def test_what_is_no_text_in_utf8_is_one_line(tmp_path, make, says, capsys):
    make(tmp_path / "mine.yaml")
    with pytest.raises(SystemExit):
        cli(["cells", "--config", str(tmp_path / "mine.yaml")])
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'mine.yaml'}: ")
    assert says in said
    assert len(said.splitlines()) == 1


def test_values_given_with_config_follow_the_same_rules(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + GRID)

    def with_words(*words):
        return resolve_config([path], words, {})

    done = with_words("study=again", "training={steps: 5}", "training={layout: stream}", "claims=true", "results=@x")
    assert (done["study"], done["training"]["steps"], done["claims"]) == ("again", 5, True)
    assert (done["training"]["layout"], done["results"]) == ("stream", "@x")
    for word, says in {
        "seed_offset=010": "--config: seed_offset is 010: YAML reads it as the octal number 8; write 10, or 8",
        "training={steps: 1:30}": "--config: training.steps is 1:30",
        "study=2024": "in quotes",
        "steps=4": "--config: top level: unknown key 'steps'; it belongs to training",
        "seed_offset=": "seed_offset is empty",
        "claims=yes": "write true or false",
    }.items():
        with pytest.raises(ConfigError) as caught:
            with_words(word)
        assert says in str(caught.value)
    with pytest.raises(ConfigError, match="a study is one file"):
        resolve_config([path, path], [], {})


def test_snakemake_names_the_file_and_line_too(tmp_path):
    study = Study(tmp_path)
    study.config_file.write_text(study.config_file.read_text() + "claims: yes\n")
    done = study.snakemake("-n")
    assert done.returncode != 0
    lines = len(study.config_file.read_text().splitlines())
    assert f"study.yaml: line {lines}: claims is yes: YAML reads it as true" in done.stdout


@pytest.mark.parametrize(
    ("case", "cells"),
    [("collision", 2), ("duplicate_thresholds", 0), ("silent_numbers", 0), ("list_of_names", 0)],
)
@pytest.mark.skipif(not CASES.is_dir(), reason="the cases lie beside the project")
def test_cases_that_were_accepted_in_silence(case, cells):
    try:
        found = len(cells_of(load_config(CASES / f"{case}.yaml")))
    except ConfigError:
        found = 0
    assert found == cells


def test_two_specs_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lmrnn.study.grid.HASH_DIGITS", 8)
    text = HEAD + GRID.replace("[0]", "[0], learning_rate: [0.0054728, 0.0115878]")
    text = text.replace("full", "autapse").replace("[2]", "[1]").replace("[4]", "[2]")
    text += "validation_trials: 1\ntest_trials: 1\nnetwork: {neurons: 4}\n"
    text += "training: {steps: 2, evaluate_every: 1, batch_size: 2}\n"
    assert "two different cells have the name" in refusal(tmp_path, text)


@pytest.mark.parametrize("word", ["on", "off"])
def test_a_switch_is_read_as_it_is_written(tmp_path, word):
    (tmp_path / "mine.yaml").write_text(HEAD + GRID + f"compute: {{fleet: {word}}}\n")
    assert load_config(tmp_path / "mine.yaml")["compute"]["fleet"] == word
