"""Configurations as they are written: YAML whose every value is what its writer sees, with the line of each.

YAML 1.1, which PyYAML and Snakemake read, takes 010 for 8, 1:30 for 90, ``yes`` for true and 2024-01-01 for a date, but
1e-3 for text. Here a number is a decimal number, and what two readers would read differently is refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from lmrnn.errors import ConfigError

# Far beyond any study: a file that has more, or goes deeper, repeats itself through YAML's aliases.
MOST_VALUES, MOST_LEVELS = 100_000, 20
# The largest shipped configuration has 8 KB, and PyYAML takes some seconds for this; more is a file given by mistake.
_MOST_BYTES = 1_000_000
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TRUTH = {"true": True, "false": False}
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}
# the one key that these words are values of, whether a reader takes them for text or not
_SWITCH = ("compute", "fleet")
_BASES = {"x": 16, "b": 2, "o": 8}
_MOST_SHOWN = 10  # doubtful values in one message
_LONGEST = 100  # of a number that somebody wrote
_TAG = "tag:yaml.org,2002:"
_PLAIN = "allowed: plain values, lists and mappings"
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """Where the values of a configuration were written: for each key its place, such as a file's line, and its text."""

    name: str
    places: Mapping[Key, str] = field(default_factory=dict)
    texts: Mapping[Key, str] = field(default_factory=dict)

    def where(self, key: Key, shown: Key | None = None) -> str:
        """The beginning of a message on a key: its place, or that of the nearest part around it, and its name."""
        parts = [key[:length] for length in range(len(key), 0, -1)]
        found = (self.places[one] for part in parts for one in _spellings(part) if one in self.places)
        return f"{next(found, self.name)}: {'.'.join(map(str, key if shown is None else shown)) or 'top level'}"

    def text(self, key: Key, value: object) -> str:
        """A value as it was written where that is known, else as Python writes it."""
        written = next((self.texts[one] for one in _spellings(key) if one in self.texts), None)
        if value is None:
            return "empty"
        return brief(value) if written is None or isinstance(value, str) else brief(written, True)

    def overridden(self, other: Source) -> Source:
        """The places and texts of both, with those of the other in front."""
        return Source(self.name, {**self.places, **other.places}, {**self.texts, **other.texts})


def _spellings(key: Key) -> tuple[Key, ...]:
    """A key, and the same where the grid is one block and not a list of them."""
    return (key, ("grid", *key[2:])) if key[:2] == ("grid", 0) else (key,)


def brief(value: object, as_it_is: bool = False, most: int = 120) -> str:
    """A value in a message, cut where it is long."""
    text = value if as_it_is and isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= most else f"{text[: most - 20]} ... ({len(text)} characters)"


def number(text: str) -> int | float | None:
    """The decimal number that a text is, e.g. ``4`` or ``1e-3``; None where it is none."""
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST:
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def truth(text: str) -> bool | None:
    """What ``true`` or ``false`` says; None for another text."""
    return _TRUTH.get(text.lower() if text in (text.lower(), text.upper(), text.capitalize()) else "")


def misread(text: str) -> str:
    """What YAML or Python would read in a text that looks otherwise, and how to write it; empty for what is plain.

    >>> misread("010")
    'YAML reads it as the octal number 8; write 10, or 8'
    """
    sign, plain = ("-" if text.startswith("-") else ""), text.lstrip("+-").lower()
    quoted = f"'{text}' in quotes where text is meant"
    if len(text) > _LONGEST:
        return ""
    if re.fullmatch("0[0-7]+", plain):
        octal = int(plain, 8)
        return f"YAML reads it as the octal number {sign}{octal}; write {sign}{int(plain)}, or {sign}{octal}"
    if re.fullmatch("0x_*[0-9a-f][0-9a-f_]*|0b_*[01][01_]*|0o_*[0-7][0-7_]*", plain):
        value = int(plain[2:].replace("_", ""), _BASES[plain[1]])
        return f"a number is written in decimal digits; write {sign}{value}, or {quoted}"
    if re.fullmatch(r"[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", plain):
        sixty = f"{sign}{_sexagesimal(plain)}"
        return f"YAML reads it as {sixty}, a number of base 60; write {sixty}, or {quoted}"
    if re.fullmatch(r"[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?", plain) and number(plain) is None:
        decimal = re.sub("^0+(?=[0-9])", "", plain.replace("_", ""))
        return f"a number has no underscores and no zero before it; write {sign}{decimal}"
    if plain in _SWITCHES:
        return f"YAML reads it as {_SWITCHES[plain]}; write true or false, or {quoted}"
    return "a number here is finite" if plain.lstrip(".") in ("inf", "infinity", "nan") else ""


def _sexagesimal(text: str) -> int | Decimal:
    """Value of e.g. ``1:30``."""
    value = Decimal(0)
    for part in text.replace("_", "").split(":"):
        value = 60 * value + Decimal(part)
    return int(value) if value == int(value) else value


class _Loader(yaml.SafeLoader):
    """YAML's nodes, but a key that stands twice is an error; YAML itself would silently take the last."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                what = f"the key {brief(key.value)} stands twice; which one is meant? Leave one out"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return node


class _Values:
    """Turns nodes into values, and notes the place and the text of each."""

    def __init__(self, name: str, loader: _Loader, line_numbers: bool) -> None:
        self.name, self.loader, self.line_numbers = name, loader, line_numbers
        self.places: dict[Key, str] = {}
        self.texts: dict[Key, str] = {}
        self.doubtful: list[str] = []

    def value(self, node: yaml.Node, key: Key) -> Any:
        """The value of a node, which stands under this key."""
        self.places.setdefault(key, self._place(node))
        if len(self.places) > MOST_VALUES or len(key) > MOST_LEVELS:
            raise ConfigError(f"{self.name}: over {MOST_VALUES} values or {MOST_LEVELS} levels (an alias in itself?)")
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            self.loader.flatten_mapping(node)
            return {self._name(name, key): self._entry(name, item, key) for name, item in node.value}
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        raise self._refused(node, key, f"has the tag {brief(node.tag, True)}; {_PLAIN}")

    def _place(self, node: yaml.Node) -> str:
        return f"{self.name}: line {node.start_mark.line + 1}" if self.line_numbers else self.name

    def _refused(self, node: yaml.Node, key: Key, what: str) -> ConfigError:
        return ConfigError(f"{Source(self.name, {key: self._place(node)}).where(key)} {what}")

    def _entry(self, name: yaml.ScalarNode, item: yaml.Node, key: Key) -> Any:
        below = (*key, name.value)
        self.places[below] = self._place(name)
        return self.value(item, below)

    def _name(self, node: yaml.Node, key: Key) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refused(node, key, "has a key that is a list or a mapping; allowed: names")
        if node.value == "__use_yte__":
            raise self._refused(node, key, "asks for templates (__use_yte__), which only Snakemake would fill in")
        return node.value

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        """The value of a scalar; one that two readers would read differently is noted as doubtful."""
        self.texts[key] = text = node.value
        tag, written = node.tag.removeprefix(_TAG), brief(node.value, True)
        if tag == "str" and (node.style is not None or self._said_to_be_text(text)):
            return text
        if tag == "null" and text in ("", "~", "null", "Null", "NULL"):
            return None
        if key == _SWITCH and text in ("on", "off"):
            return text
        if tag == "bool" and truth(text) is not None:
            return truth(text)
        if tag in ("int", "float", "str"):
            if number(text) is not None:
                return number(text)
            if tag == "str" and not misread(text):
                return text
        if tag not in ("int", "float", "str", "bool", "null", "timestamp", "value"):
            raise self._refused(node, key, f"has the tag {brief(node.tag, True)}; {_PLAIN}")
        reads = {"timestamp": "a date", "value": "a default value"}.get(tag, f"of type {tag}")
        what = misread(text) or f"YAML reads it as {reads}; write '{written}' in quotes where text is meant"
        self.doubtful.append(str(self._refused(node, key, f"is {written}: {what}")))
        return None

    def _said_to_be_text(self, text: str) -> bool:
        """Whether a plain scalar is text only because its tag, !!str, says so."""
        return self.loader.resolve(yaml.ScalarNode, text, (True, False)) != f"{_TAG}str"


def read(path: Path | str) -> tuple[Any, Source]:
    """What a configuration file says and where; raises `ConfigError` on one that cannot be read or is doubtful."""
    return parse(_text(Path(path)), str(path))


def parse(text: str, name: str, key: Key = (), line_numbers: bool = True) -> tuple[Any, Source]:
    """What a YAML text says, below a key, and where; `name` stands for it in messages. Raises `ConfigError`."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        values = _Values(name, loader, line_numbers)
        value = None if node is None else values.value(node, key)
    except RecursionError as error:
        raise ConfigError(f"{name}: not a configuration: lists or mappings too deep in each other") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: {_explain(error)}") from error
    if values.doubtful:
        more = len(values.doubtful) - _MOST_SHOWN
        raise ConfigError("\n".join([*values.doubtful[:_MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]))
    return value, Source(name, values.places, values.texts)


def _explain(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    tab = "; indent with spaces, never with tabs" if "\\t" in what else ""
    return f"{where}not a readable YAML file: {what}{tab}"


def _text(path: Path) -> str:
    """Text of a file that is one, and no endless one."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise ConfigError(f"{path}: this is {kind}; name a configuration file")
        if found.st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: {found.st_size:,} bytes; a configuration has at most {_MOST_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        known = ", ".join(sorted(str(found) for found in path.parent.glob("*.y*ml")))
        raise ConfigError(f"{path}: no such configuration file; in that folder are: {known or 'none'}") from error
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is not of this encoding; save the file as UTF-8"
        raise ConfigError(f"{path}: a configuration is a text in UTF-8, and {what}") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
