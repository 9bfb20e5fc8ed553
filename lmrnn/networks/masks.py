"""Synapses that a file lists: ``{kind: file, path: mask.npz}``.

A file is read once, where the configuration names it. From there on a spec holds its name and the digest of its pairs,
so that a changed file is another cell, and a moved one the same.
"""

from __future__ import annotations

import hashlib
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lmrnn.errors import ConnectivityError
from lmrnn.networks.keys import Digest, Key, shown
from lmrnn.networks.kinds import Pairs, kind
from lmrnn.plugins import MASKS, remember, remembered

FORMS = (
    ".npy and .npz: a square matrix (in .npz named `mask`), not 0 where row i receives from column j; .npz also: whole "
    "numbers `post` and `pre`, or what scipy.sparse.save_npz writes, and `positions` and `signs` of the neurons beside "
    "either; "
    ".csv: a line `post,pre` and one such pair a line"
)
# What numpy and zipfile raise on files that are damaged, foreign or made to harm.
_BAD: tuple[type[Exception], ...] = (
    *(ValueError, LookupError, TypeError, ArithmeticError, AttributeError, EOFError, MemoryError, RuntimeError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_BEGINNINGS = {".npy": b"\x93NUMPY", ".npz": b"PK"}


# pairs, sorted, each once, of as many neurons (None: the file does not say), and what it has of _OF_NEURONS
Mask = tuple[int | None, np.ndarray, np.ndarray, dict[str, np.ndarray]]
_NOT_READ = "not read here; read the configuration that names its path first"
_OF_NEURONS = ("positions", "signs")  # arrays (N, any number of dimensions) and (N,)
# Of every mask that this process has read: the arrays of neurons and the pairs, by digest.
_ARRAYS: dict[str, np.ndarray] = {}
_KNOWN: dict[str, Pairs] = {}


def read_mask(path: Path | str) -> dict[str, Any]:
    """Read a mask and give what a spec holds of it: name, sha256 of its pairs, neurons (None: any) and synapses.

    Raises ConnectivityError that names the file, and what is wrong with it or allowed.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ConnectivityError(f"connectivity file: {path} is no file; give the path of a mask")
        stat = path.stat()
        remember([os.path.abspath(path)], MASKS)
        return dict(_read(path, stat.st_mtime_ns, stat.st_size))
    except OSError as error:
        raise ConnectivityError(f"connectivity file: {path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=1000)
def _read(path: Path, changed: int, size: int) -> dict[str, Any]:
    """As `read_mask`; kept, because a plan asks for the same file thousands of times."""
    try:
        neurons, post, pre, of_neurons = (*_csv(path), {}) if path.suffix == ".csv" else _arrays(path)
    except _BAD as error:
        raise ConnectivityError(f"connectivity file: {path} is no mask: {error}; allowed: {FORMS}") from error
    try:
        neurons, post, pre, of_neurons = _checked(neurons, post, pre, of_neurons)
    except ValueError as error:
        raise ConnectivityError(f"connectivity file: {path}: {error}") from error
    sha256 = hashlib.sha256(np.stack([post, pre]).astype("<i8").tobytes()).hexdigest()
    _KNOWN[sha256] = post, pre
    found: dict[str, Any] = {"name": path.stem, "sha256": sha256, "neurons": neurons, "synapses": len(post)}
    for which, array in of_neurons.items():
        content = repr(array.shape).encode() + array.astype("<f8").tobytes()
        found[which] = hashlib.sha256(content).hexdigest()
        _ARRAYS[found[which]] = array
    return found


def _csv(path: Path) -> tuple[None, np.ndarray, np.ndarray]:
    """Pairs of a table with the columns post and pre, in either order."""
    with open(path, encoding="utf-8-sig") as lines:
        header = [name.strip() for name in lines.readline().split(",")]
        if sorted(header) != ["post", "pre"]:
            raise ValueError(f"its first line is {','.join(header)[:80]!r}")
        pairs = [line.split(",") for line in lines if line.strip()]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return None, table[:, header.index("post")], table[:, header.index("pre")]


def _arrays(path: Path) -> Mask:
    """Pairs of a file of numpy or scipy, and what it says of neurons."""
    if path.suffix not in _BEGINNINGS:
        raise ValueError(f"its name ends in {path.suffix!r}")
    with open(path, "rb") as handle:
        if not handle.read(6).startswith(_BEGINNINGS[path.suffix]):
            raise ValueError(f"it is no {path.suffix} file")
        handle.seek(0)
        loaded = np.load(handle, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return *_matrix(loaded), {}
        with loaded as arrays:
            found = dict(arrays)
            of_neurons = {name: found.pop(name) for name in _OF_NEURONS if name in found}
            return *_of_many(found), of_neurons


def _of_many(arrays: Mapping[str, np.ndarray]) -> tuple[int | None, np.ndarray, np.ndarray]:
    """Pairs of a file with several arrays."""
    if "format" in arrays:
        return _sparse(arrays)
    if unknown := set(arrays) - {"mask", "post", "pre"}:
        raise ValueError(f"it has an array named {min(unknown)!r}, which nothing here would use")
    return _matrix(arrays["mask"]) if "mask" in arrays else (None, arrays["post"], arrays["pre"])


def _matrix(matrix: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "biuf":
        raise ValueError(f"its array is of {matrix.dtype}, {matrix.shape}")
    if matrix.dtype.kind == "f" and not np.isfinite(matrix).all():
        raise ValueError("its matrix has numbers that are not finite")
    post, pre = np.nonzero(matrix)
    return len(matrix), post, pre


def _sparse(arrays: Mapping[str, np.ndarray]) -> tuple[int, np.ndarray, np.ndarray]:
    """Pairs of a matrix as scipy.sparse.save_npz writes it."""
    form, (rows, columns) = bytes(arrays["format"].item()).decode(), arrays["shape"].tolist()
    if rows != columns or form not in ("csr", "csc", "coo"):
        raise ValueError(f"its matrix is {rows} by {columns}, in the form {form!r}; known are csr, csc and coo")
    if form == "coo":
        post, pre = arrays["row"], arrays["col"]
    else:
        major = np.repeat(np.arange(rows), np.diff(arrays["indptr"]))
        post, pre = (major, arrays["indices"]) if form == "csr" else (arrays["indices"], major)
    there = arrays["data"] != 0
    return rows, post[there], pre[there]


def _checked(neurons: int | None, post: np.ndarray, pre: np.ndarray, of_neurons: dict[str, np.ndarray]) -> Mask:
    """The mask, sorted; refuses pairs that no network can have."""
    post, pre = np.asarray(post), np.asarray(pre)
    if post.ndim != 1 or post.shape != pre.shape or not {post.dtype.kind, pre.dtype.kind} <= set("iu"):
        raise ValueError(f"post is of {post.dtype}, {post.shape}, pre of {pre.dtype}, {pre.shape}")
    if len(post) and min(post.min(), pre.min()) < 0:
        raise ValueError("a neuron has a negative number; they count from 0")
    if len(post) and neurons is not None and max(post.max(), pre.max()) >= neurons:
        raise ValueError(f"a neuron has the number {max(post.max(), pre.max())}, but there are {neurons}")
    order = np.lexsort((pre, post))
    post, pre = post[order].astype(np.int64), pre[order].astype(np.int64)
    twice = np.flatnonzero((np.diff(post) == 0) & (np.diff(pre) == 0))
    if len(twice):
        first = twice[0]
        raise ValueError(f"the pair post {post[first]}, pre {pre[first]} stands twice; allowed: each pair once")
    for which, array in of_neurons.items():
        neurons = _number_of_neurons(which, array, neurons)
        if len(post) and max(post.max(), pre.max()) >= neurons:
            highest = max(post.max(), pre.max())
            raise ValueError(f"there are {which} of {neurons} neurons, but one has the number {highest}")
    signs = {"signs": of_neurons["signs"].astype(np.int8)} if "signs" in of_neurons else {}
    return neurons, post, pre, {**of_neurons, **signs}


def _number_of_neurons(which: str, array: np.ndarray, neurons: int | None) -> int:
    """How many neurons an array of positions or signs is of; refuses what is neither."""
    numbers = array.dtype.kind in "iuf" and array.ndim and array.size and neurons in (None, len(array))
    if which == "positions":
        good, allowed = numbers and array.ndim == 2 and np.isfinite(array).all(), "finite numbers, one row for each"
    else:
        good, allowed = numbers and array.ndim == 1 and np.all(np.abs(array) == 1), "1 or -1 for each"
    if not good:
        what = f"{which} are of {array.dtype}, {array.shape}"
        raise ValueError(f"{what}; allowed: {allowed} of {neurons or 'the'} neurons")
    return len(array)


T = TypeVar("T")


def _found(known: Mapping[str, T], sha256: str) -> T | None:
    """What was read with this digest, here or only by a process that started this one, or handed in a cell."""
    if sha256 not in known:
        for path in filter(os.path.isfile, remembered(MASKS)):
            read_mask(path)
    return known.get(sha256)


def has_signs(spec: Mapping[str, Any]) -> bool:
    """Whether a connectivity's file gives the signs of its neurons; a kind of one's own may have a key of that name."""
    return spec["kind"] == "file" and "signs" in spec


def array_of(spec: Mapping[str, Any], which: str) -> np.ndarray | None:
    """``positions`` (N, dimensions) or ``signs`` (N,), 1 and -1, of the neurons, where the file of a mask has them."""
    if spec["kind"] != "file" or which not in spec:
        return None
    array = _found(_ARRAYS, spec[which])
    if array is None:
        raise ConnectivityError(f"connectivity file: the {which} of the mask {spec['name']} were {_NOT_READ}")
    return array


def _known(given: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec holds of a file: of the path where there is one, else what it says already."""
    if said.get("path") is None:
        if "sha256" not in said:
            raise ConnectivityError("connectivity file: the key 'path' is missing: the file with the mask")
        left_out = {"path", *(key for key in _OF_NEURONS if given[key] is None)}
        return {key: value for key, value in given.items() if key not in left_out}
    found = read_mask(str(said["path"]))
    for key in found:
        if key in said and said[key] != found[key]:
            raise ConnectivityError(f"connectivity file: {said['path']} has {key} {found[key]}, not {said[key]}")
    return found


def _size(spec: dict[str, Any], neurons: int) -> tuple[int, int]:
    """The file's synapses; refuses a network of another size."""
    pairs = _found(_KNOWN, spec["sha256"])
    least = 1 + max(int(one.max(initial=0)) for one in pairs) if pairs else 1
    if spec["neurons"] not in (None, neurons) or neurons < least:
        needed = spec["neurons"] or f"{least} or more"
        what = f"{spec['name']} is of {needed} neurons, network.neurons is {neurons}"
        raise ConnectivityError(f"connectivity file: {what}")
    return neurons, spec["synapses"]


class _Name(Key):
    """The file's name without its folder and ending."""

    def label(self, name: str, value: object) -> str:
        return shown(value)


class _Hidden(Key):
    """What the digest says already."""

    def label(self, name: str, value: object) -> str:
        return ""


@kind(
    *("file", _size, _known),
    path=_Hidden(None),
    name=_Name(None),
    sha256=Digest(None),
    neurons=_Hidden(None),
    synapses=_Hidden(None),
    positions=Digest(None),
    signs=Digest(None),
)
def _file(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """The pairs of the file."""
    pairs = _found(_KNOWN, spec["sha256"])
    if pairs is None:
        what = f"the mask {spec['name']} with sha256 {spec['sha256'][:12]}... was"
        raise ConnectivityError(f"connectivity file: {what} {_NOT_READ}")
    return pairs
