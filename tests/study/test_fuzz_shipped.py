"""The shipped configurations, mutated in structure and text: a complete study or one message, and that soon."""

import copy
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from tests.study.test_fuzz_config import WEIRD, edited, places

CONFIGS = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in CONFIGS}
VALUES = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
# what people type: numbers that YAML reads otherwise, other names, a value where a list belongs, half a line
WORDS = [
    *("010", "1:30", "0x1F", "1_000", "yes", "off", ".inf", ".nan", "1e400", "-1", "0", "2024-01-01", "~", "''", "'4'"),
    *("'1e-3'", "full", "[]", "{}", "[[]]", "&a", "*a", "<<", "%", "@"),
    *("[0, 0]", "[go, dm1]", "[full, full]", "{kind: ring}", "# ", "- ", ": ", "\t", "!!int 7", "!!set {a}", "tau: 1"),
]
MUTATIONS = int(os.environ.get("LMRNN_SOAK_MUTATIONS", "300"))
SECONDS, MEGABYTES = 20, 600  # of one configuration, on a machine that does other things too


def changed_values(rng):
    """One to three keys or entries gone, doubled, renamed, moved elsewhere or replaced."""
    name = str(rng.choice(list(VALUES)))
    config = copy.deepcopy(VALUES[name])
    for _ in range(int(rng.integers(1, 4))):
        everywhere = list(places(config))
        if not everywhere:
            break
        path = everywhere[rng.integers(len(everywhere))]
        what = int(rng.integers(6))
        if what == 0:
            config = edited(config, path, lambda part, key: part.pop(key))
        elif what == 1:
            wrong = WEIRD[rng.integers(len(WEIRD))]
            config = edited(config, path, lambda part, key, wrong=wrong: part.__setitem__(key, copy.deepcopy(wrong)))
        elif what == 2:
            config = edited(config, path, lambda part, key: part.__setitem__(key, [part[key], part[key]]))
        elif what == 3:
            config = edited(config, path, lambda part, key: _renamed(part, key))
        elif what == 4:
            other = everywhere[rng.integers(len(everywhere))]
            value = _at(config, path)
            config = edited(config, other, lambda part, key, value=value: part.__setitem__(key, copy.deepcopy(value)))
        else:
            config = edited(config, path, lambda part, key: part.__setitem__(key, str(part[key])))
    return name, yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _renamed(part, key):
    if isinstance(part, dict):
        part[f"{key}s"] = part.pop(key)
    else:
        part.append(part[key])


def _at(config, path):
    for key in path:
        config = config[key]
    return config


def changed_text(rng):
    """One to three lines gone, doubled, moved in or out, or with a value replaced by a word."""
    name = str(rng.choice(list(TEXTS)))
    lines = TEXTS[name].splitlines()
    for _ in range(int(rng.integers(1, 4))):
        at, word = int(rng.integers(len(lines))), str(rng.choice(np.array(WORDS, dtype=object)))
        what = int(rng.integers(6))
        if what == 0 and len(lines) > 1:
            lines.pop(at)
        elif what == 1:
            lines.insert(at, lines[int(rng.integers(len(lines)))])
        elif what == 2:
            lines[at] = "  " * int(rng.integers(3)) + lines[at].lstrip()
        elif what == 3:
            lines[at] = f"{lines[at].split(':')[0]}: {word}"
        elif what == 4:
            cut = int(rng.integers(len(lines[at]) + 1))
            lines[at] = lines[at][:cut] + word + lines[at][cut:]
        else:
            lines[at] = lines[at][: int(rng.integers(len(lines[at]) + 1))]
    return name, "\n".join(lines) + "\n"


def judged(path, text):
    """``good``, ``refused``, or what is wrong with the answer."""
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    start = time.monotonic()
    try:
        config = load_config(path)
        cells = cells_of(config)
        answer = "good"
        if len({cell.stem for cell in cells}) != len(cells) or not cells:
            answer = "cells were lost"
    except ConfigError as error:
        said = str(error)
        answer = "refused"
        if str(path) not in said or len(said) > 5000 or "Traceback" in said:
            answer = f"unclear: {said[:300]}"
    except Exception as error:
        answer = f"{type(error).__name__}: {str(error)[:300]}"
    took = time.monotonic() - start
    return answer if took < SECONDS else f"took {took:.0f} s"


def judge_many(folder, seed, count):
    """Mutations of both sorts in turn."""
    rng, counts, wrong = np.random.default_rng(seed), {"good": 0, "refused": 0}, []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    path = folder / "mutated.yaml"
    for number in range(count):
        name, text = (changed_values if number % 2 else changed_text)(rng)
        answer = judged(path, text)
        if answer in counts:
            counts[answer] += 1
        else:
            wrong.append(f"seed {seed}, mutation {number} of {name}: {answer}")
    assert not wrong, "\n".join(wrong)
    assert min(counts.values()) > count // 20  # neither everything refused nor everything taken
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before < MEGABYTES


@pytest.mark.soak
def test_mutated_configurations_are_studies_or_messages(tmp_path):
    judge_many(tmp_path, 2, MUTATIONS)
