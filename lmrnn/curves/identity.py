"""What makes networks and panels the same, and the labels that tell them apart for people.

Identity is the settings themselves, as canonical JSON, shortened to a hash that a table can carry. Labels are made
afterwards: whatever differs within a study has another label, and no label is ever compared with another one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from lmrnn.networks.keys import digest
from lmrnn.study.cells import canonical_json

# in which cells of one panel may differ: what is compared, and the seeds over which is averaged
_COMPARED = ("connectivity", "seed", "data_seed", "version")
_DIGEST = re.compile("[0-9a-f]{64}")


def identity(value: object) -> str:
    """16 hex digits that are the same for equal settings, and for those alone."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def panel_settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All that the cells of a panel share: a cell's spec without connectivity, learning rate and seeds."""
    shared = {key: value for key, value in spec.items() if key not in _COMPARED}
    training = {key: value for key, value in spec["training"].items() if key != "learning_rate"}
    return {**shared, "training": training}


def without(settings: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Settings without some keys, also of the sections inside."""
    kept = {key: value for key, value in settings.items() if key not in keys}
    return {key: without(value, *keys) if isinstance(value, Mapping) else value for key, value in kept.items()}


def told_apart(labels: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels as they are, and where different settings share one, followed by the settings in which those differ."""
    known: dict[str, dict[Hashable, dict[str, str]]] = {}
    for label, own in zip(labels, settings, strict=True):
        known.setdefault(label, {})[identity(own)] = _flat(own)
    return [
        label if len(known[label]) == 1 else f"{label} ({_differing(_flat(own), list(known[label].values()))})"
        for label, own in zip(labels, settings, strict=True)
    ]


def without_digests(labels: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels without the digests of files, except where different settings would share what is left."""
    short = [_without_digests(label, own) for label, own in zip(labels, settings, strict=True)]
    meant: dict[str, set[str]] = {}
    for label, own in zip(short, settings, strict=True):
        meant.setdefault(label, set()).add(identity(own))
    return [one if len(meant[one]) == 1 else label for one, label in zip(short, labels, strict=True)]


def _without_digests(label: str, settings: Mapping[str, Any]) -> str:
    for value in settings.values():
        if isinstance(value, str) and _DIGEST.fullmatch(value):
            label = label.replace(f"-{digest(value)}", "")
    return label


def _flat(settings: Mapping[str, Any], section: str = "") -> dict[str, str]:
    """Settings by their dotted names, each as canonical JSON."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{section}{key}.") if isinstance(value, Mapping) else {section + key: _text(value)}
    return flat


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _differing(own: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> str:
    """The settings that do not have one value in all of the others, the values as short as tells them apart."""
    words = []
    for key in dict.fromkeys(key for other in others for key in other):
        values = list(dict.fromkeys(other.get(key, "") for other in others))
        if len(values) > 1:
            word = brief_texts(values)[values.index(own.get(key, ""))]
            nothing = word == "null" and not {"", "none"} & set(values)  # else told apart from what is not there at all
            words.append(f"{key.split('.')[-1]} {'none' if nothing else word or 'none'}")
    return ", ".join(words)


def brief_texts(values: Sequence[str], longest: int = 30) -> list[str]:
    """Texts, long ones cut to their two ends, or numbered where that leaves two alike."""
    cut = [one if len(one) <= longest else f"{one[: longest // 2]}...{one[-longest // 2 :]}" for one in values]
    return cut if len(set(cut)) == len(set(values)) else [f"no. {values.index(one) + 1}" for one in values]


def number_texts(values: Sequence[float]) -> list[str]:
    """Numbers as short as tells them apart, e.g. ``0.001``; never fewer than six digits."""
    for digits in range(6, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts
