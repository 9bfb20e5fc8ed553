"""A configuration is complete, or refused with the key, its value and what is allowed."""

import copy
from pathlib import Path

import pytest
import yaml

from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config, validate_config

CONFIGS = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
MINIMAL = {"study": "s", "grid": {"connectivity": ["full"], "tasks": [2], "trials_per_task": [4], "seed": [0]}}


def changed(key, value):
    """The minimal configuration with one key, given as a path with dots, set or added."""
    config = copy.deepcopy(MINIMAL)
    *folders, last = key.split(".")
    part = config
    for folder in folders:
        part = part.setdefault(folder, {})
    part[last] = value
    return config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_the_shipped_configurations_are_valid(path):
    assert load_config(path)["study"]


def test_defaults_are_filled_in():
    config = validate_config(MINIMAL)
    assert config["network"]["neurons"] == 256
    assert config["training"]["learning_rate"] == 0.001
    assert config["definition"] == "corrected"


def test_validation_does_not_change_its_argument():
    before = copy.deepcopy(MINIMAL)
    validate_config(MINIMAL)
    assert before == MINIMAL


def test_numbers_as_people_write_them():
    config = yaml.safe_load("study: s\ngrid: {connectivity: [full], tasks: [2], trials_per_task: [4], seed: [0]}\n")
    config["training"] = yaml.safe_load("learning_rate: 1e-3")
    assert config["training"]["learning_rate"] == "1e-3"  # YAML 1.1 reads text
    assert validate_config(config)["training"]["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("definition", "correct", r"definition is 'correct'; allowed: one of corrected, released"),
        ("dt", 30, r"dt is 30; allowed: one of 1, 2, 4"),
        ("test_trials", 0, r"test_trials is 0; allowed: at least 1"),
        ("training.steps", -5, r"training.steps is -5; allowed: at least 1"),
        ("training.learning_rate", 0, r"training.learning_rate is 0; allowed: greater than 0"),
        ("network.leak", 1.5, r"network.leak is 1.5; allowed: at most 1"),
        ("network.neurons", "many", r"network.neurons is 'many'; allowed: of type integer"),
        ("training.stesp", 5, r"training: unknown key 'stesp'; did you mean 'steps'"),
        ("grid.seed", [], r"grid.0.seed is \[\]; allowed: a list of at least 1"),
        ("grid.trials_per_task", [-1], r"grid.0.trials_per_task.0 is -1; allowed: at least 1"),
        ("grid.tasks", [{}], r"grid.0.tasks.0 is \{\}; allowed:"),
        ("grid.neurons", [0], r"grid.0.neurons.0 is 0; allowed: at least 1"),
        ("study", "../x", r"study is '\.\./x'"),
    ],
)
def test_errors_name_key_value_and_what_is_allowed(key, value, says):
    with pytest.raises(ConfigError, match=says):
        validate_config(changed(key, value))


@pytest.mark.parametrize("content", ["just text", "[1, 2]", "a: [", "\x00"])
def test_what_is_no_configuration_is_refused_by_name(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"study\.yaml"):
        load_config(path)


def test_a_missing_file_names_those_that_are_there():
    with pytest.raises(ConfigError, match=r"no such configuration file; .*smoke\.yaml"):
        load_config(CONFIGS[0].with_name("nosuch.yaml"))
