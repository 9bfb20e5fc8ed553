"""The configuration of a study: reading, checking against the schema, filling in defaults.

The schema, `config.schema.yaml` beside this file, is the one description of every key: its meaning, range and default.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from lmrnn.errors import ConfigError

SCHEMA_FILE = Path(__file__).with_name("config.schema.yaml")
# YAML 1.1 reads 1e-3 as text because it lacks the dot; people write it all the same
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


@cache
def _plain_schema() -> dict[str, Any]:
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


@cache
def schema() -> dict[str, Any]:
    """Schema of a study's configuration, with every setting of network and training as a possible axis of the grid.

    Returns
    -------
    dict
        JSON schema (draft 2020-12).
    """
    full = copy.deepcopy(_plain_schema())
    axes = full["$defs"]["block"]["properties"]
    for section in ("network", "training"):
        for key, rule in full["properties"][section]["properties"].items():
            item = {name: value for name, value in rule.items() if name != "default"}
            axes[key] = {"type": "array", "minItems": 1, "items": item}
    return full


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
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(str(found) for found in Path(path).parent.glob("*.yaml")))
        raise ConfigError(f"{path}: no such configuration file; in that folder are: {known or 'none'}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file: {error}") from error
    return validate_config(content, str(path))


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
    plain = _numbers(config)
    if isinstance(plain.get("grid"), dict):
        plain["grid"] = [plain["grid"]]
    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(plain))
    if error is not None:
        raise ConfigError(f"{where}: {_explain(error)}")
    return _with_defaults(plain, schema())


def _numbers(value: object) -> Any:
    """Plain copy in which text that is a number has become one."""
    if isinstance(value, Mapping):
        return {str(key): _numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value) and re.search(r"[eE.]", value):
        return float(value)
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
        "pattern": lambda v: f"text that matches {v}",
        "oneOf": lambda v: error.schema.get("description", "one of the forms in config/README.md"),
    }.get(error.validator, lambda v: f"{error.validator} {v}")(error.validator_value)
    return f"{key} is {error.instance!r}; allowed: {allowed}"


def _explain_unknown(error: jsonschema.ValidationError, key: str) -> str:
    known = list(error.schema["properties"])
    unknown = next(name for name in error.instance if name not in known)
    near = difflib.get_close_matches(str(unknown), known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{key}: unknown key {unknown!r}{hint} Allowed: {', '.join(sorted(known))}"
