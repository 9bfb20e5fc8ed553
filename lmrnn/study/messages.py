"""What is wrong with a configuration, in one line: the place, the key, its value, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from lmrnn.networks.kinds import KINDS
from lmrnn.study.reading import Key, Source, brief, misread

_ALLOWED = {
    "enum": lambda v: "one of " + ", ".join(map(str, v)),
    "minimum": lambda v: f"at least {v}",
    "exclusiveMinimum": lambda v: f"greater than {v}",
    "maximum": lambda v: f"at most {v}",
    "minItems": lambda v: f"a list of at least {v}",
    "minLength": lambda v: f"at least {v} character(s)",
    "maxLength": lambda v: f"at most {v} characters",
    "pattern": lambda v: _words(v) or f"text that matches {v}",
    "not": lambda v: "a name other than " + ", ".join(v["enum"]),
}
_SETTINGS = ("network", "training")


def explain(error: jsonschema.ValidationError, source: Source, schema: Mapping[str, Any]) -> str:
    """One line for what the schema refuses."""
    key = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        return _unknown(error, key, source, schema)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        needed = ", ".join(error.validator_value)
        if any(part == "connectivity" for part in key):
            needed += f" ({', '.join(KINDS)})"
        return f"{source.where(key)}: the key {missing!r} is missing; needed are {needed}"
    if error.validator == "type":
        allowed = _of_type(error, key)
    elif error.validator in _ALLOWED:
        allowed = _ALLOWED[error.validator](error.validator_value)
        if isinstance(error.schema.get("type"), list):  # a number or a word
            other = f"a number of {error.schema['minimum']} or more" if error.validator == "pattern" else ""
            allowed += f", or {other or _other(error.schema)}"
    else:
        allowed = error.schema.get("description", f"{error.validator} {error.validator_value}")
    return f"{source.where(key)} is {source.text(key, error.instance)}; allowed: {allowed}"


def _words(pattern: str) -> str:
    """The one word that a pattern matches, empty where it matches more."""
    word = pattern.removeprefix("^").removesuffix("(?!\\n)$")
    return word if word.isidentifier() else ""


def _other(rule: Mapping[str, Any]) -> str:
    """What a setting may be beside a number: a word, or null."""
    return _words(rule["pattern"]) if "pattern" in rule else "null"


def _of_type(error: jsonschema.ValidationError, key: Key) -> str:
    """What is allowed where a value is of another type, and how to write it so."""
    kind, value = error.validator_value, error.instance
    if kind == "array":
        return "a list" if value is None or isinstance(value, dict) else f"a list, e.g. [{brief(value, True)}]"
    if isinstance(kind, list):
        kind = f"{kind[0]}, or {_other(error.schema)}"
    if kind == "object":
        keys = error.schema.get("properties")
        return f"keys with values: {', '.join(keys)}" if keys else error.schema["description"]
    allowed = f"of type {kind}" + (" (true or false)" if kind == "boolean" else "")
    if isinstance(value, list) and key[0] in _SETTINGS:
        return f"{allowed}; several values are an axis of the grid, written there: grid: {{{key[-1]}: {brief(value)}}}"
    if kind == "string" and isinstance(value, (bool, int, float)):
        return f"{allowed}; write it in quotes where it is meant as text"
    surprise = misread(value) if isinstance(value, str) else ""
    return allowed + (f" ({surprise})" if surprise else "")


def _unknown(error: jsonschema.ValidationError, key: Key, source: Source, schema: Mapping[str, Any]) -> str:
    """A key that is misspelt, stands elsewhere, or has another name here."""
    known = list(error.schema["properties"])
    name = next(name for name in error.instance if name not in known)
    homes = {**_connectivity_homes(), **_homes(schema)}
    near = difflib.get_close_matches(name[:40], known, 1)
    hint = ""
    if name.lower() in homes:
        hint = f"; {homes[name.lower()]}."
    elif near:
        hint = f"; did you mean {near[0]!r}?"
    elif elsewhere := difflib.get_close_matches(name[:40].lower(), homes, 1, 0.8):
        hint = f"; did you mean {elsewhere[0]!r}? {homes[elsewhere[0]]}."
    place = source.where((*key, name), key)
    return f"{place}: unknown key {brief(name)}{hint} Allowed: {', '.join(sorted(known))}"


def _homes(schema: Mapping[str, Any]) -> dict[str, str]:
    """For each key, and each other name that people give it (``x-also``), where it belongs."""
    homes: dict[str, str] = {}
    for key, section, rule in _keys(schema):
        axis = f", or as an axis {{grid: {{{key}: [...]}}}}" if section in _SETTINGS else ""
        home = f"it belongs to {section}: {{{section}: {{{key}: ...}}}}{axis}" if section else "it stands at top level"
        meaning = f" ({rule['description'].rstrip('.')})" if "description" in rule else ""
        homes |= dict.fromkeys(rule.get("x-also", ()), f"that is {key!r} here{meaning}; {home}")
        homes[key] = home
    return homes


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each key with its section, empty at top level, and its rule; of two of one name the setting."""
    for key, rule in schema["$defs"]["block"]["properties"].items():
        yield key, "grid", rule
    for key, rule in schema["properties"].items():
        if "properties" not in rule:
            yield key, "", rule
    for section, rule in schema["properties"].items():
        for key, one in rule.get("properties", {}).items():
            yield key, section, one


def _connectivity_homes() -> dict[str, str]:
    """Where the keys of connectivities belong."""
    keys = {key: name for name, kind in reversed(KINDS.items()) for key in kind.keys}
    homes = {
        key: f"it is a key of a connectivity: {{grid: {{connectivity: [{{kind: {name}, {key}: ...}}]}}}}"
        for key, name in keys.items()
    }
    homes["sparsity"] = f"the share of synapses that exist is called density here; {homes['density']}"
    return homes
