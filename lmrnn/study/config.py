"""The configuration of a study: reading, checking against the schema, filling in defaults.

The schema, `config.schema.yaml` beside this file, is the one description of every key: its meaning, range and default.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from lmrnn import plugins
from lmrnn.errors import ConfigError, ConnectivityError
from lmrnn.networks.masks import read_mask
from lmrnn.study.messages import explain
from lmrnn.study.reading import MOST_LEVELS, MOST_VALUES, Key, Source, number, parse, read, truth
from lmrnn.study.settled import refuse_leak_and_tau

SCHEMA_FILE = Path(__file__).with_name("config.schema.yaml")
_LARGEST = 2**63 - 1
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class Config(dict[str, Any]):
    """A complete configuration, which knows where each of its values was written."""

    def __init__(self, values: Mapping[str, Any], source: Source) -> None:
        super().__init__(values)
        self.source = source


@cache
def plain_schema() -> dict[str, Any]:
    """What `config.schema.yaml` says."""
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


@cache
def schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a configuration, with each setting of network and training as a possible axis."""
    full = copy.deepcopy(plain_schema())
    axes = full["$defs"]["block"]["properties"]
    for section in ("network", "training"):
        for key, rule in full["properties"][section]["properties"].items():
            item = {name: value for name, value in rule.items() if name != "default"}
            axes[key] = {"type": "array", "minItems": 1, "items": item}
    return full


def complete(section: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's ``network`` or ``training`` with what its spec leaves out at the default (``x-since``)."""
    rules = schema()["properties"][section]["properties"]
    return {**{key: rule["default"] for key, rule in rules.items() if "x-since" in rule}, **settings}


def load_config(path: Path | str) -> Config:
    """Read a configuration file, check it and fill in its defaults; raises `ConfigError` with file, line and key."""
    return validate_config(*read(path))


def resolve_config(files: Sequence[Path | str], overrides: Sequence[str] | None, config: Mapping[str, Any]) -> Config:
    """The configuration of a run of Snakemake, read as `load_config` reads it.

    `files` are the configuration files, `overrides` the words of ``--config``, and `config` what Snakemake made of
    them, used where a workflow that includes this one gives the configuration itself. A study is one file: several are
    refused, since nobody could read from any of them what was run. Raises `ConfigError`.
    """
    if len(files) > 1:
        raise ConfigError(
            f"{len(files)} configuration files ({', '.join(map(str, files))}); a study is one file: copy it and change "
            "the copy, or give single values with --config KEY=VALUE"
        )
    value, source = read(_near(files[0])) if files else (config, Source("config"))
    for word in overrides or ():
        key, _, text = word.partition("=")
        other, said = _overriding(key, text)
        if isinstance(value, Mapping):
            value, source = _merged(value, {key: other}), source.overridden(said)
    return validate_config(value, source)


def _near(path: Path | str) -> str:
    """A file's name as people write it: below the current folder without that folder."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _overriding(key: str, text: str) -> tuple[Any, Source]:
    """Value of one ``KEY=VALUE``; what is no YAML is text, as for Snakemake."""
    try:
        yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text, Source("--config", {(key,): "--config"})
    return parse(text, "--config", (key,), line_numbers=False)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of another put in, level by level, as Snakemake does."""
    both = {key for key in new if isinstance(old.get(key), Mapping) and isinstance(new[key], Mapping)}
    return {**old, **{key: _merged(old[key], new[key]) if key in both else new[key] for key in new}}


def validate_config(config: object, source: Source | str = "config") -> Config:
    """Check a configuration, which is not changed, and fill in its defaults.

    Text that is a number, true or false becomes one, except where text is meant (``study``, ``results``), and an empty
    section is one without keys. Raises `ConfigError` naming place, key, value and what is allowed.
    """
    source = Source(source) if isinstance(source, str) else source
    if not isinstance(config, Mapping):
        what = "empty" if config is None else f"not {type(config).__name__}"
        raise ConfigError(f"{source.name}: a configuration is a mapping of keys to values, {what}")
    plain = _plain(config, (), source, iter(range(MOST_VALUES)))
    if isinstance(plain.get("grid"), dict):
        plain["grid"] = [plain["grid"]]
    for key, rule in plain_schema()["properties"].items():
        if rule.get("type") == "object" and key in plain and plain[key] is None:
            plain[key] = {}
    if isinstance(plain.get("results"), str):
        plain["results"] = _expanded(plain["results"], source)
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(plain))
    if error is not None:
        raise ConfigError(explain(error, source, schema()))
    for key, values in _lists(plain):
        _refuse_twice(values, key, source)
    if both := refuse_leak_and_tau(plain):
        what = "network.leak and network.tau are both given, and leak = dt / tau; allowed: one of them"
        raise ConfigError(f"{source.where(both)}: {what}")
    _find_plugins(plain, source)
    _find_masks(plain["grid"], source)
    return Config(_with_defaults(plain, schema()), source)


def _plain(value: object, key: Key, source: Source, values_left: Iterator[int]) -> Any:
    """Plain copy in which text that is a number has become one, and a whole number is an integer."""
    if next(values_left, None) is None or len(key) > MOST_LEVELS:
        raise ConfigError(f"{source.name}: over {MOST_VALUES} values or {MOST_LEVELS} levels (an alias in itself?)")
    if isinstance(value, Mapping):
        return {str(name): _plain(item, (*key, str(name)), source, values_left) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, (*key, index), source, values_left) for index, item in enumerate(value)]
    if isinstance(value, str) and plain_schema()["properties"].get(key[0] if key else "", {}).get("type") != "string":
        said = number(value) if truth(value) is None else truth(value)
        value = value if said is None else said
    if isinstance(value, (int, float)) and not abs(value) <= _LARGEST:  # NaN is not, either
        raise ConfigError(
            f"{source.where(key)} is {source.text(key, value)}: not a finite number of at most {_LARGEST}"
        )
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1e4 steps are 10000 steps
    return value


def _lists(plain: Mapping[str, Any]) -> Iterator[tuple[Key, list[Any]]]:
    """Every list whose values are counted: the axes of the grid, with the lists inside, thresholds and budgets."""
    for number_of_block, block in enumerate(plain["grid"]):
        for axis, values in block.items():
            yield ("grid", number_of_block, axis), values
        for index, entry in enumerate(block["connectivity"]):
            for setting, values in entry.items() if isinstance(entry, dict) else ():
                if isinstance(values, list):
                    yield ("grid", number_of_block, "connectivity", index, setting), values
    for key in ("thresholds", "budgets"):
        yield ("curves", key), plain.get("curves", {}).get(key, [])


def _refuse_twice(values: list[Any], key: Key, source: Source) -> None:
    """Refuse a list that names a value twice: one of the two is a slip, and each seed or threshold counts once."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        said = first.setdefault(json.dumps(value, sort_keys=True, default=repr), index)
        if said != index:
            what = f"names {source.text((*key, index), value)} twice (values {said + 1} and {index + 1} of the list)"
            raise ConfigError(f"{source.where((*key, index), key)} {what}; allowed: each value once")


def _find_masks(grid: Sequence[Mapping[str, Any]], source: Source) -> None:
    """Make the paths of masks, which are relative to the configuration, absolute, and read each file once."""
    folder = Path(source.name).parent
    for number_of_block, block in enumerate(grid):
        for index, entry in enumerate(block["connectivity"]):
            if isinstance(entry, dict) and entry.get("kind") == "file" and "path" in entry:
                paths = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
                found = [os.path.abspath(folder / os.path.expanduser(str(path))) for path in paths]
                entry["path"] = found if isinstance(entry["path"], list) else found[0]
                try:
                    for path in found:
                        read_mask(path)
                except ConnectivityError as error:
                    place = source.where(("grid", number_of_block, "connectivity", index, "path"))
                    raise ConfigError(f"{place}: {error}") from error


def _find_plugins(plain: dict[str, Any], source: Source) -> None:
    """Make the paths of plugins, which are relative to the configuration, absolute, and read each file."""
    folder = Path(source.name).parent
    owner: dict[tuple[str, str], str] = {}
    for index, path in enumerate(plain.get("plugins", ())):
        place = source.where(("plugins", index))
        plain["plugins"][index] = found = os.path.abspath(folder / os.path.expanduser(path))
        try:
            registered = plugins.load(found).registered
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error
        for sort, name in ((sort, name) for sort, names in registered.items() for name in names):
            if owner.setdefault((sort, name), found) != found:
                raise ConfigError(f"{place}: {found} and {owner[sort, name]} both have {name!r} among their {sort}")


def own_tasks(config: Mapping[str, Any]) -> dict[str, str]:
    """Names of a configuration's own tasks, and the sha256 of the file of each."""
    return {name: task.plugin.sha256 for name, task in _own("tasks", config).items()}


def own_analyses(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration's own analyses (`lmrnn.analysis.own.OwnAnalysis`) by name."""
    return _own(plugins.ANALYSES, config)


def _own(sort: str, config: Mapping[str, Any]) -> dict[str, Any]:
    loaded = [plugins.load(path) for path in config.get("plugins", ())]
    return {name: thing for plugin in loaded for name, thing in plugin.registered.get(sort, {}).items()}


def _expanded(folder: str, source: Source) -> str:
    """The folder of results with the home folder and the variables of the environment put in."""

    def put_in(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            what = f"the environment has no variable {name}; set it, or write the folder's name"
            raise ConfigError(f"{source.where(('results',))} is {folder!r}: {what}")
        return os.environ[name]

    whole = os.path.expanduser(_VARIABLE.sub(put_in, folder))
    if folder.startswith("~") and whole.startswith("~"):
        what = "there is no such home folder; write the folder's name, or ./ before a name that begins with ~"
        raise ConfigError(f"{source.where(('results',))} is {folder!r}: {what}")
    return whole


def _with_defaults(value: dict[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    """Copy with the defaults of the schema where a key is missing."""
    complete = dict(value)
    for key, sub in rule.get("properties", {}).items():
        if key not in complete and "default" in sub:
            complete[key] = copy.deepcopy(sub["default"])
        if isinstance(complete.get(key), dict):
            complete[key] = _with_defaults(complete[key], sub)
    return complete
