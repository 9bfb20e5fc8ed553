"""Damaged variants of HDF5 files: of their bytes, and of their content with a checksum that is right again."""

from __future__ import annotations

import json

import h5py
import numpy as np

from lmrnn.files.storage import USER_BLOCK, write_h5

VIEWED_AS_EMPTY = h5py.Empty("f")


def content(path):
    """Attributes and arrays of a file, by name."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return dict(file.attrs), arrays


def sign(path, kind, attributes, arrays, change=lambda file: None):
    """Write a file as lmrnn does, whatever is in it."""

    def fill(file):
        file.attrs.update(attributes)
        for name, values in arrays.items():
            file[name] = values
        change(file)

    write_h5(path, kind, 1, fill)


def broken_bytes(whole, rng, truncated, flipped):
    """Contents of files that lost their end, had some bytes changed, or are something else."""
    for _ in range(truncated):
        yield "truncated", whole[: int(rng.integers(len(whole)))]
    for _ in range(flipped):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=int(rng.integers(1, 5))):
            damaged[place] ^= int(rng.integers(1, 256))
        yield "flipped", bytes(damaged)
    yield "empty", b""
    yield "longer", whole + b"\0"
    yield "zeros", b"\0" * len(whole)
    yield "without header", whole[USER_BLOCK:]
    yield "twice", whole + whole
    yield "text", "Überraschung\n".encode() * 100
    yield "picture", b"\x89PNG\r\n\x1a\n" + rng.bytes(1000)
    yield "noise", rng.bytes(len(whole))
    yield "header alone", whole[:USER_BLOCK]


def wrong_arrays(values):
    """An array with something wrong with it."""
    yield "of text", np.bytes_(b"words")
    yield "of pairs", np.zeros(values.shape, dtype=[("a", "f4"), ("b", "i4")])
    yield "complex", values.astype(complex)
    yield "a dimension more", values[None]
    yield "none at all", VIEWED_AS_EMPTY
    yield "another type", np.nan_to_num(values).astype(np.int32 if values.dtype.kind == "f" else np.float64)
    if values.ndim:
        yield "a row less", values[:-1]
        yield "a row more", np.concatenate([values, values[-1:]])
        yield "no rows", values[:0]
        yield "one number", values.reshape(-1)[0]
    if values.ndim == 2 and values.shape[0] != values.shape[1]:
        yield "turned", np.ascontiguousarray(values.T)


def with_one(values, wrong):
    """A copy of an array whose middle value is another."""
    changed = np.array(values)
    changed.reshape(-1)[changed.size // 2] = wrong
    return changed


def wrong_texts(text):
    """An attribute that should be a text of JSON, and is not, or not this one."""
    yield from (("a number", 7), ("an array", np.arange(3)), ("nothing", VIEWED_AS_EMPTY), ("bytes", np.bytes_(b"{}")))
    for wrong in (
        "",
        "{",
        "null",
        "[]",
        "{}",
        "7",
        '"words"',
        text[:-1],
        text + "x",
        "[" * 100_000,
        '{"a": NaN}',
        "\ufffd",
    ):
        yield f"text {wrong[:12]!r}", wrong


def wrong_json(value, path=()):
    """Every key of a JSON object missing once, and every value of another kind once."""
    for key in value:
        yield ".".join((*path, key)) + " missing", {name: item for name, item in value.items() if name != key}
        for wrong in (None, [], "words", -1, float("nan"), {"a": 1}, 10**30, True):
            if type(wrong) is not type(value[key]) or wrong != value[key]:
                yield ".".join((*path, key)) + f" = {wrong!r}", {**value, key: wrong}
        if isinstance(value[key], dict):
            for name, item in wrong_json(value[key], (*path, key)):
                yield name, {**value, key: item}


def variants(attributes, arrays):
    """Attributes and arrays with one thing wrong at a time, each with its name."""
    for name in attributes:
        yield f"{name} missing", {key: item for key, item in attributes.items() if key != name}, arrays
    for name, text in attributes.items():
        for what, wrong in wrong_texts(text) if isinstance(text, str) else ():
            yield f"{name} is {what}", {**attributes, name: wrong}, arrays
    for name, values in arrays.items():
        yield f"{name} missing", attributes, {key: item for key, item in arrays.items() if key != name}
        yield f"{name} is a folder", attributes, {**without(arrays, name), f"{name}/x": values}
        for what, wrong in wrong_arrays(values):
            yield f"{name} is {what}", attributes, {**arrays, name: wrong}


def without(mapping, name):
    return {key: item for key, item in mapping.items() if key != name}


def in_json(attributes, name):
    """The attributes with each part of one that holds JSON changed."""
    for what, value in wrong_json(json.loads(attributes[name])):
        yield f"{name}: {what}", {**attributes, name: json.dumps(value)}
