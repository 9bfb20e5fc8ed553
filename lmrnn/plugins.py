"""Python files of one's own that a study names (``plugins: [my_tasks.py]``): tasks, kinds of connectivity, analyses.

A file is known by the digest of its content, which is part of the identity of whatever uses it; where it lies is not.
An analysis only looks at cells, and is part of none: it stands in a file of its own.
What a file registers lasts for the process. Its path is also kept in the environment (`VARIABLE`), so that a process
that is started from this one finds the file when it is asked for something of it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from lmrnn.errors import ConfigError, reason

ANALYSES = "analyses"  # the sort of things whose file no cell depends on
VARIABLE, MASKS = "LMRNN_PLUGINS", "LMRNN_MASKS"  # paths, as in PATH: of plugins, and of masks
_MOST_BYTES = 1_000_000  # more is a file given by mistake
_loading: list[Plugin] = []
_known: dict[str, Plugin] = {}  # by path and digest


class PluginError(ConfigError):
    """A mistake in a plugin, with its file and line."""


@dataclass(eq=False)
class Plugin:
    """A file that was read: its path, the sha256 of its content, and what it registered, by sort and name."""

    path: Path
    sha256: str
    registered: dict[str, dict[str, Any]] = field(default_factory=dict)

    def register(self, sort: str, name: str, thing: Any) -> None:
        """Note something of this file; raises ConfigError on a name that it has used for this sort already, and where
        it has analyses beside something that cells depend on.
        """
        names = self.registered.setdefault(sort, {})
        if ANALYSES in self.registered and len(self.registered) > 1:
            what = f"this file has {' and '.join(self.registered)}; allowed: analyses in a file of their own"
            raise ConfigError(f"{what}, so that a change of them trains nothing again")
        if name in names:
            raise ConfigError(f"two {sort} of this file are named {name!r}; allowed: each name once")
        names[name] = thing


def load(path: Path | str) -> Plugin:
    """Read and run a plugin's file, once for its content; raises `PluginError` that names the file and the line."""
    path = Path(os.path.abspath(path))
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"{sha256} {path}"
    # put last: of one name, what was read last counts where no digest is given
    _known[key] = _known.pop(key) if key in _known else _run(Plugin(path, sha256), content)
    remember([path])
    return _known[key]


def _content(path: Path) -> bytes:
    if path.suffix != ".py":
        raise PluginError(f"{path}: a plugin is a Python file, whose name ends in .py")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PluginError(f"{path}: {path.stat().st_size:,} bytes; a plugin has at most {_MOST_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: this plugin cannot be read: {reason(error)}") from error


def _run(plugin: Plugin, content: bytes) -> Plugin:
    """Run the file as a module of its own name, which nothing else can import by accident."""
    module = ModuleType(f"lmrnn_plugin_{plugin.sha256[:12]}_{plugin.path.stem}")
    module.__file__ = str(plugin.path)
    sys.modules[module.__name__] = module
    _loading.append(plugin)
    try:
        with blamed(plugin.path):
            exec(compile(content, str(plugin.path), "exec", dont_inherit=True), vars(module))
    finally:
        _loading.pop()
    if not any(plugin.registered.values()):
        what = "@own_task (lmrnn.tasks) registers a task, @kind (lmrnn.networks.kinds) a kind, "
        what += "@own_analysis (lmrnn.analysis.own) an analysis"
        raise PluginError(f"{plugin.path}: it registers nothing; {what}")
    return plugin


@contextmanager
def blamed(path: Path, function: Any = None) -> Iterator[None]:
    """Turn whatever a plugin's own code raises into a `PluginError` that names its file and the line; what is wrong
    with a function's answer, the line where that begins.
    """
    try:
        yield
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{_where(error, path, function)}: {_what(error)}") from error


def _where(error: BaseException, path: Path, function: Any) -> str:
    """File and line of the mistake: the deepest place in the plugin that the error came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}: line {error.lineno}"
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(path)]
    code = getattr(function, "__code__", None)
    lines = lines or ([code.co_firstlineno] if code and code.co_filename == str(path) else [])
    return f"{path}: line {lines[-1]}" if lines else str(path)


def _what(error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def loading() -> Plugin | None:
    """The file that is read now."""
    return _loading[-1] if _loading else None


def current() -> Plugin:
    """The file that registers something now: the one that is loaded, or the script that runs.

    Raises ConfigError where no file does, as in an interactive session: what it registers could not be known again.
    """
    if _loading:
        return _loading[-1]
    frames = (frame.f_globals.get("__file__") for frame, _ in traceback.walk_stack(None))
    outside = next((file for file in frames if file and not _ours(file)), None)
    if outside is None or not Path(outside).is_file():
        raise ConfigError("what is of one's own is registered by a file: write one and give it to load()")
    path = Path(outside).resolve()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _known.setdefault(f"{sha256} {path}", Plugin(path, sha256))


def _ours(file: str) -> bool:
    return Path(file).is_relative_to(Path(__file__).parent) or file.startswith("<")


def remember(paths: Iterable[Path | str], variable: str = VARIABLE) -> None:
    """Keep paths of plugins (or masks) for this process and those that it starts; they are read when needed."""
    known = remembered(variable)
    known += [str(path) for path in paths if str(path) not in known]
    if known:
        os.environ[variable] = os.pathsep.join(known)


def remembered(variable: str = VARIABLE) -> list[str]:
    """Paths of the plugins (or masks) that this process knows of, read or not."""
    return [path for path in os.environ.get(variable, "").split(os.pathsep) if path]


def find(sort: str, name: str, sha256: str) -> Any:
    """What a file with this content registered under a name; raises ConfigError where no such file is known."""
    for known in (False, True):
        if known:  # what only a process that started this one has read
            _read_remembered(sha256)
        for plugin in _known.values():
            if plugin.sha256 == sha256 and name in plugin.registered.get(sort, {}):
                return plugin.registered[sort][name]
    places = ", ".join(remembered()) or "none"
    raise ConfigError(
        f"{name} is one of the {sort} of a file with sha256 {sha256[:12]}..., which is not here (known: {places}); "
        "it was changed or moved: give the configuration that names it (plugins), in Python "
        "lmrnn.plugins.load(file), or bring the file back as it was"
    )


def _read_remembered(sha256: str) -> None:
    for path in remembered():
        if Path(path).is_file() and hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256:
            load(path)


def latest(sort: str) -> dict[str, Any]:
    """Everything of a sort that was registered, by name; of one name what came last."""
    return {name: thing for plugin in _known.values() for name, thing in plugin.registered.get(sort, {}).items()}
