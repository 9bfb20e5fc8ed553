"""The configuration of a study: reading, checking against the schema, filling in defaults.

The schema, `config.schema.yaml` beside this file, is the one description of every key: its meaning, range and default.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from lmrnn.errors import ConfigError

SCHEMA_FILE = Path(__file__).with_name("config.schema.yaml")
# YAML 1.1 reads 1e-3 as text because it lacks the dot; people write it all the same
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
# Far beyond any study: a file that has more, or goes deeper, repeats itself through YAML's aliases.
_MOST_VALUES, _MOST_LEVELS = 100_000, 20
_LARGEST = 2**63 - 1


class _Loader(yaml.SafeLoader):
    """YAML, but a key that stands twice is an error; YAML itself would silently take the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                what = f"the key {_brief(key.value)} stands twice; which one is meant? Leave one out"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return node


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]} ... ({len(text)} characters)"


@cache
def plain_schema() -> dict[str, Any]:
    """What `config.schema.yaml` says."""
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


@cache
def schema() -> dict[str, Any]:
    """Schema of a study's configuration, with every setting of network and training as a possible axis of the grid.

    Returns
    -------
    dict
        JSON schema (draft 2020-12).
    """
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


def load_config(path: Path | str) -> dict[str, Any]:
    """Read and check a configuration file.

    Parameters
    ----------
    path : Path or str
        YAML file.

    Returns
    -------
    dict
        Complete configuration, defaults filled in.

    Raises
    ------
    ConfigError
        When the file cannot be read or a key or value is not allowed.
    """
    return validate_config(read_yaml(path), str(path))


def read_yaml(path: Path | str) -> object:
    """Read a YAML file in which no key stands twice.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    object
        What it says.

    Raises
    ------
    ConfigError
        When it cannot be read.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError as error:
        known = ", ".join(sorted(str(found) for found in Path(path).parent.glob("*.yaml")))
        raise ConfigError(f"{path}: no such configuration file; in that folder are: {known or 'none'}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not a configuration: lists or mappings too deep in each other") from error
    # PyYAML lets these through from what it makes of dates, numbers and its own tags
    except (OSError, yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable YAML file: {error}") from error


def validate_config(config: object, where: str = "config") -> dict[str, Any]:
    """Check a configuration and fill in its defaults.

    Parameters
    ----------
    config : object
        What was read; not changed.
    where : str
        Its name in messages.

    Returns
    -------
    dict
        A complete copy.

    Raises
    ------
    ConfigError
        Naming the key, its value and what is allowed.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"{where}: a configuration is a mapping of keys to values, not {type(config).__name__}")
    plain = _plain(config, where, iter(range(_MOST_VALUES)))
    if isinstance(plain.get("grid"), dict):
        plain["grid"] = [plain["grid"]]
    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(plain))
    if error is not None:
        raise ConfigError(f"{where}: {_explain(error)}")
    return _with_defaults(plain, schema())


def _plain(value: object, where: str, values_left: Iterator[int], level: int = 0) -> Any:
    """Plain copy in which text that is a number has become one, and a whole number is an integer."""
    if next(values_left, None) is None or level > _MOST_LEVELS:
        raise ConfigError(f"{where}: over {_MOST_VALUES} values or {_MOST_LEVELS} levels (an alias in itself?)")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}: {key}", values_left, level + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where, values_left, level + 1) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value) and re.search(r"[eE.]", value):
        value = float(value)
    if isinstance(value, (int, float)) and not abs(value) <= _LARGEST:  # NaN is not, either
        raise ConfigError(f"{where}: not a finite number of at most {_LARGEST}")
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1e4 steps are 10000 steps
    return value


def _with_defaults(value: dict[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    """Copy with the defaults of the schema where a key is missing."""
    complete = dict(value)
    for key, sub in rule.get("properties", {}).items():
        if key not in complete and "default" in sub:
            complete[key] = copy.deepcopy(sub["default"])
        if isinstance(complete.get(key), dict):
            complete[key] = _with_defaults(complete[key], sub)
    return complete


def _explain(error: jsonschema.ValidationError) -> str:
    """One line: the key, its value, what is allowed."""
    key = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties":
        return _explain_unknown(error, key)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}: the key {missing!r} is missing; needed are {', '.join(error.validator_value)}"
    allowed = {
        "enum": lambda v: "one of " + ", ".join(map(str, v)),
        "type": lambda v: f"of type {v}",
        "minimum": lambda v: f"at least {v}",
        "exclusiveMinimum": lambda v: f"greater than {v}",
        "maximum": lambda v: f"at most {v}",
        "minItems": lambda v: f"a list of at least {v}",
        "minLength": lambda v: f"at least {v} character(s)",
        "maxLength": lambda v: f"at most {v} characters",
        "pattern": lambda v: f"text that matches {v}",
        "oneOf": lambda v: error.schema.get("description", "one of the forms in config/README.md"),
    }.get(error.validator, lambda v: f"{error.validator} {v}")(error.validator_value)
    return f"{key} is {_brief(error.instance)}; allowed: {allowed}"


def _explain_unknown(error: jsonschema.ValidationError, key: str) -> str:
    known = list(error.schema["properties"])
    unknown = next(name for name in error.instance if name not in known)
    near = difflib.get_close_matches(str(unknown)[:40], known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{key}: unknown key {_brief(unknown)}{hint} Allowed: {', '.join(sorted(known))}"
