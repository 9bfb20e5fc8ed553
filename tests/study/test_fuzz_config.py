"""Damaged configurations: a complete study, or one message that names the key or the file; never anything else."""

import copy

import numpy as np
import pytest
import yaml

from lmrnn.cli.main import main as cli
from lmrnn.datasets import dataset_bytes
from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config, validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.requirements import cell_memory_mb
from tests.studies import TINY, Study, merged

FULL = merged(validate_config(TINY), {"grid": TINY["grid"], "network": {"neurons": 25}})
WEIRD = [
    *(
        None,
        True,
        "",
        "words",
        "1e3",
        "\uff11\uff12",
        "\0",
        "x" * 5000,
        "../..",
        "{wildcard}",
        "tiny\n",
        "ünïcode",
        "cells",
    ),
    *(0, -1, 1, 10**30, 2**63, -(2**70), 0.5, 1e308, float("inf"), float("nan"), 1e-320, 1e9, b"bytes"),
    *([], {}, [[]], [None], [[[1]]], [0], [2**53], [20, 20], ["go", "go"], [["go", "go"]], ["local"], list(range(300))),
    *({1: 2}, {"a": {"b": [1]}}, {"kind": "local"}, {"kind": {"kind": "full"}}, [{"kind": ["full"]}]),
    *(
        [{"kind": "local", "radius": []}],
        [{"kind": "local", "radius": [2, None]}],
        [{"kind": "random", "density": 1e-9}],
    ),
]
TEXTS = {
    "binary": b"\xff\xfe\x00\x01\x80garbage",
    "latin1": "study: größe\n".encode("latin-1"),
    "empty": b"",
    "blank": b"\n\n# nothing\n",
    "null byte": b"study: a\0b\n",
    "a list": b"- study\n- grid\n",
    "two documents": b"study: a\n---\nstudy: b\n",
    "a tab": b"grid:\n\tseed: [0]\n",
    "a python object": b"study: !!python/object/apply:os.system ['true']\n",
    "an unknown tag": b"study: !mine x\n",
    "no integer": b"study: !!int words\n",
    "an empty integer": b"study: !!int ''\n",
    "a set": b"study: !!set {a, b}\n",
    "a date": b"study: 2024-01-01\n",
    "no date": b"study: 2024-13-45\n",
    "an alias in itself": b"study: &a [*a]\n",
    "a mapping in itself": b"study: t\ngrid: &g {connectivity: *g}\n",
    "an unknown alias": b"study: *nowhere\n",
    "aliases of aliases": b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 10)) for i in range(9)),
    "deep": b"study: " + b"[" * 20_000,
    "deep and closed": b"study: " + b"[" * 300 + b"]" * 300 + b"\n",
    "a key twice": b"study: a\nstudy: b\ngrid: {connectivity: [full], tasks: [2], trials_per_task: [4], seed: [0]}\n",
    "a key of a list": b"? [a, b]\n: 1\n",
    "a huge number": b"study: 0x" + b"f" * 10_000 + b"\n",
    "a long number": b"study: " + b"9" * 10_000 + b"\n",
    "sexagesimal": b"study: 190:20:30\n",
    "merge of no mapping": b"<<: 3\nstudy: a\n",
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500),
}


def places(value, path=()):
    """Path of every key and list entry."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def edited(config, path, edit):
    config = copy.deepcopy(config)
    part = config
    for key in path[:-1]:
        part = part[key]
    edit(part, path[-1])
    return config


def structures(rng):
    """One or two keys missing, of another type, renamed or out of range at a time."""
    everywhere = list(places(FULL))
    for path in everywhere:
        yield f"{path} missing", edited(FULL, path, lambda part, key: part.pop(key))
        for index in rng.choice(len(WEIRD), 6, replace=False):
            wrong = WEIRD[index]
            yield (
                f"{path} = {wrong!r:.40}",
                edited(FULL, path, lambda part, key, wrong=wrong: part.__setitem__(key, wrong)),
            )
    for wrong in WEIRD:
        for key in (
            "connectivity",
            "tasks",
            "trials_per_task",
            "seed",
            "learning_rate",
            "neurons",
            "layout",
            "unknown",
        ):
            for value in (wrong, [wrong]):
                yield f"grid.{key} = {value!r:.40}", merged(FULL, {"grid": {**TINY["grid"], key: value}})


def texts(rng):
    """Files that were cut off or had some characters changed."""
    whole = yaml.safe_dump(TINY).encode()
    yield from TEXTS.items()
    for _ in range(60):
        cut = int(rng.integers(len(whole)))
        yield f"cut at {cut}", whole[:cut]
    for number in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=int(rng.integers(1, 6))):
            damaged[place] = int(rng.choice(np.frombuffer(b"\0 \n:-[]{}&*!|>'\"%@`#,?0aZ\xff", np.uint8)))
        yield f"characters {number}", bytes(damaged)


def use(config):
    """All that is done with a configuration before anything starts."""
    cells = cells_of(config)
    assert cells
    for cell in cells[:: max(len(cells) // 5, 1)]:
        assert cell.path("r").is_relative_to("r/cells")
        assert "\n" not in str(cell.path(config["results"]))
        assert cell_memory_mb(cell) > 0
        assert dataset_bytes(cell.dataset("train")) > 0
        whole = (cell.spec["seed"], cell.spec["trials_per_task"], cell.spec["network"]["neurons"])
        assert all(type(value) is int for value in whole)
        assert type(cell.spec["training"]["steps"]) is int


def judge(name, call, counts, wrong):
    try:
        call()
        counts["good"] += 1
    except ConfigError as error:
        counts["refused"] += 1
        if not str(error) or len(str(error)) > 5000:
            wrong.append(f"{name}: unclear: {str(error)[:200]}")
    except Exception as error:
        wrong.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")


def test_configurations_with_wrong_parts():
    counts, wrong = {"good": 0, "refused": 0}, []
    for name, config in structures(np.random.default_rng(1)):
        judge(name, lambda config=config: use(validate_config(config)), counts, wrong)
    assert not wrong, "\n".join(wrong)
    assert counts["refused"] > 700


def test_configuration_files_with_wrong_text(tmp_path):
    counts, wrong, path = {"good": 0, "refused": 0}, [], tmp_path / "study.yaml"

    def load():
        try:
            config = load_config(path)
        except ConfigError as error:
            if str(path) not in str(error):
                raise RuntimeError(f"does not name the file: {error}") from error
            raise
        use(config)

    for name, text in texts(np.random.default_rng(2)):
        path.write_bytes(text)
        judge(name, load, counts, wrong)
    assert not wrong, "\n".join(wrong)
    assert counts["refused"] > 150


@pytest.mark.parametrize("name", TEXTS)
def test_the_command_line_answers_with_one_message(name, tmp_path, capsys):
    path = tmp_path / "study.yaml"
    path.write_bytes(TEXTS[name])
    for command in (["cells"], ["train", "--cell", "x"]):
        with pytest.raises(SystemExit) as stop:
            cli([*command, "--config", str(path)])
        assert stop.value.code == 1
        printed = capsys.readouterr()
        assert printed.err.startswith(f"error: {path}: ")
        assert "Traceback" not in printed.err
        assert printed.out == ""


@pytest.mark.parametrize("name", ["empty", "a tab", "a key twice", "an alias in itself", "a list"])
def test_snakemake_answers_with_one_message(name, tmp_path):
    study = Study(tmp_path)
    study.config_file.write_bytes(TEXTS[name])
    done = study.snakemake("-n")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "study.yaml" in done.stdout or "onfig" in done.stdout
    assert len(done.stdout.splitlines()) < 15
