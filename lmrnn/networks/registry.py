"""The registry of kinds of connectivity: those of this package, and those that a study's plugins register."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from lmrnn import plugins
from lmrnn.errors import ConfigError, ConnectivityError
from lmrnn.networks.keys import COMMON, Digest, Key, digest
from lmrnn.seeds import stream

Pairs = tuple[np.ndarray, np.ndarray]  # post (E,), pre (E,), in any order
PairsFunction = Callable[[dict[str, Any], int, np.random.Generator], Pairs]
SizeFunction = Callable[[dict[str, Any], int], tuple[int, int]]
_LONGEST_LABEL = 120  # a folder's name has at most 255 bytes


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of connectivity, by its name in configurations.

    `pairs` makes of complete settings, number of neurons and generator post and pre, integers, each (E,); `keys` are
    its settings. `exact_size` makes of complete settings and ``network.neurons`` the neurons and synapses, without
    listing the pairs, and raises ConnectivityError where no such network exists; without it the pairs are counted.
    `settle` makes of settings in which the defaults are filled in, and the keys that were given, those that a spec
    holds.
    """

    name: str
    pairs: PairsFunction
    keys: dict[str, Key]
    exact_size: SizeFunction | None = None
    settle: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None

    def size(self, spec: dict[str, Any], neurons: int, seed: int = 0) -> tuple[int, int]:
        """Neurons and synapses of the network that a seed gives."""
        if self.exact_size:
            return self.exact_size(spec, neurons)
        return neurons, len(self.pairs(spec, neurons, pairs_stream(seed))[0])

    def label(self, spec: Mapping[str, Any]) -> str:
        """Name of complete settings that is fit for files and legends; different settings have different labels."""
        parts = [self.keys[key].label(key, spec[key]) for key in self.keys if key in spec]
        label = "-".join([self.name, *filter(None, parts)])
        return label if len(label) <= _LONGEST_LABEL else f"{label[:_LONGEST_LABEL]}-{digest(label)}"


def pairs_stream(seed: int) -> np.random.Generator:
    """Source of randomness of a network's pairs."""
    return stream(seed, "connectivity")


KINDS: dict[str, Kind] = {}


def kind(
    name: str,
    exact_size: SizeFunction | None = None,
    settle: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None,
    /,
    **keys: object,
) -> Callable[[PairsFunction], PairsFunction]:
    """Register the function under it as a kind of connectivity; it returns the pairs, as `Kind` says of all arguments.

    Each key has a default (``...``: must be given), or a `lmrnn.networks.keys.Key` that also says what is allowed. Keys
    that many kinds share (`COMMON`: radius, density, boundary, ...) are known with their ranges. Raises
    ConnectivityError on a name that is taken by a kind of this package or unfit, and on a key named ``kind``.
    """
    taken = name in KINDS and KINDS[name].pairs.__module__.startswith("lmrnn.")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,39}", name) or taken:
        raise ConnectivityError(f"a kind named {name!r}: allowed are letters, digits and _, and no name that is taken")
    if "kind" in keys:
        raise ConnectivityError(f"kind {name}: a key named 'kind' is taken by the name of the kind")

    def register(pairs: PairsFunction) -> PairsFunction:
        known = {
            key: value if isinstance(value, Key) else replace(COMMON.get(key, Key()), default=value)
            for key, value in keys.items()
        }
        if plugins.loading() is None:
            KINDS[name] = Kind(name, pairs, known, exact_size, settle)
        else:
            _register_own(name, pairs, known, exact_size, settle)
        return pairs

    return register


def _register_own(name: str, pairs: PairsFunction, keys: dict[str, Key], exact_size: Any, settle: Any) -> None:
    """Register the kind of a study's plugin: the digest of its file is one of its keys."""
    plugin = plugins.current()
    if "plugin" in keys or name in KINDS:
        what = "a kind of this package has that name" if name in KINDS else "the key 'plugin' is taken"
        raise ConfigError(f"kind {name}: {what}; choose another")
    keys = {**keys, "plugin": Digest(plugin.sha256)}
    size, settling = (None if one is None else _blaming(plugin.path, one) for one in (exact_size, settle))
    plugin.register("kinds", name, Kind(name, _blaming(plugin.path, pairs, _two_arrays), keys, size, settling))


def _blaming(path: Path, function: Callable[..., Any], check: Callable[[Any], object] = bool) -> Callable[..., Any]:
    @wraps(function)
    def called(*arguments: Any) -> Any:
        with plugins.blamed(path, function):
            result = function(*arguments)
            check(result)
            return result

    return called


def _two_arrays(pairs: Any) -> None:
    """Refuse what cannot be the pairs of a kind."""
    arrays = [np.asarray(one) for one in pairs] if isinstance(pairs, tuple) and len(pairs) == 2 else []
    fits = [one.ndim == 1 and (one.dtype.kind in "iu" or not one.size) and one.size == arrays[0].size for one in arrays]
    if not fits or not all(fits):
        shapes = ", ".join(f"{one.dtype} {one.shape}" for one in arrays) or type(pairs).__name__
        raise ConfigError(f"the pairs are {shapes}; allowed: post and pre, two arrays of whole numbers of one length")


def find_kind(name: object, sha256: str | None = None) -> Kind:
    """The kind of a name; of those of plugins the one of the file with this sha256, or of the last file that was read.

    Raises ConnectivityError on an unknown name, ConfigError where the file is not there.
    """
    if sha256 is not None and name not in KINDS:
        return plugins.find("kinds", str(name), sha256)
    known = {**plugins.latest("kinds"), **KINDS}
    if not isinstance(name, str) or name not in known:
        hint = did_you_mean(name, known)
        raise ConnectivityError(f"connectivity kind is {name!r}{hint}; allowed: {', '.join(known)}")
    return known[name]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint at the nearest known name; empty where none is near."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
