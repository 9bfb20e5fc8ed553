"""Build hook: compiles the recurrence kernel with the system's C compiler when the package is built or installed.

One shared library holds the same source compiled for several instruction sets and for both precisions; it picks
among them when it is loaded. A machine without a working compiler still gets an installation: the hook says so and
the trainer takes a slower path.
"""

from __future__ import annotations

import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except (
    ImportError
):  # run by hand (`python hatch_build.py`) or imported by a test: the compile functions need no hatchling
    BuildHookInterface = object

SOURCE = Path("lmrnn/networks/csrc")
LIBRARY = Path("lmrnn/networks/_kernel.so")
digest = runpy.run_path(str(Path(__file__).with_name("lmrnn") / "files/sources.py"))["digest"]
# -fno-math-errno lets sqrt and comparisons vectorise; no flag here changes the value of an expression, except that
# multiply and add may be fused (-ffp-contract=fast is gcc's default, named so that clang does the same).
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-ffp-contract=fast", "-Wall"]
X86 = {
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
    "baseline": [],
}


def compilers() -> list[list[str]]:
    """Return the compiler commands to try, best first: $CC, then the usual names found on the path."""
    named = [shlex.split(os.environ["CC"])] if os.environ.get("CC") else []
    found = [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]
    return named + found


def variants() -> dict[str, list[str]]:
    """Return the instruction sets to compile for on this machine's architecture, with their flags."""
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else {"baseline": []}


def units(wanted: Iterable[str] | None = None) -> list[tuple[str, str, list[str]]]:
    """Return what to compile, as (object's name, source's name, flags): variants in each precision, dispatcher."""
    chosen = {name: flags for name, flags in variants().items() if wanted is None or name in wanted}
    listed = [("dispatch", "dispatch.c", [f"-DHAVE_{name.upper()}" for name in chosen])]
    for name, flags in chosen.items():
        for precision in ("float", "double"):
            defines = [f"-DREAL={precision}", f"-DVARIANT={name}_{precision}"]
            listed.append((f"{name}_{precision}", "variant.c", flags + defines))
    return listed


def compile_library(root: Path, library: Path, extra: Iterable[str] = (), wanted: Iterable[str] | None = None) -> None:
    """Compile every unit and link them into one shared library, replacing it only when all succeeded.

    Parameters
    ----------
    root : Path
        The source tree's root.
    library : Path
        The shared library to write.
    extra : iterable of str
        Further flags for compiling and linking, such as ``-fsanitize=address``.
    wanted : iterable of str, optional
        Instruction sets to compile for, ``baseline`` among them; all that the architecture has if none are named.

    Raises
    ------
    RuntimeError
        No compiler was found or every one of them failed; the message holds what they said.
    """
    failures = []
    for compiler in compilers():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                _build(compiler, root, Path(scratch), library, units(wanted), list(extra))
                return
            except (OSError, subprocess.CalledProcessError) as error:
                failures.append(f"{shlex.join(compiler)}: {getattr(error, 'stderr', None) or error}")
    raise RuntimeError("\n".join(failures) or "no C compiler: neither $CC nor cc, gcc or clang on the path")


def _build(compiler: list[str], root: Path, scratch: Path, library: Path, parts: list, extra: list[str]) -> None:
    """Compile and link with one compiler; raise CalledProcessError with its messages where it fails."""

    shared = [*FLAGS, f'-DSOURCES="{digest(root / SOURCE, (".c", ".h"))}"']

    def compile_unit(unit: tuple[str, str, list[str]]) -> str:
        name, source, flags = unit
        target = str(scratch / f"{name}.o")
        _call([*compiler, *shared, *flags, *extra, "-c", str(root / SOURCE / source), "-o", target])
        return target

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        objects = list(pool.map(compile_unit, parts))
    linked = scratch / library.name
    _call([*compiler, "-shared", *extra, *objects, "-o", str(linked), "-lm"])
    staged = library.with_name(f"{library.name}.{os.getpid()}.part")
    shutil.copyfile(linked, staged)  # a process that has the old library loaded keeps it: replaced, never overwritten
    os.replace(staged, library)


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def is_current(root: Path, library: Path) -> bool:
    """Return whether the library exists, was compiled from these sources, and is newer than this script."""
    if not library.exists() or library.stat().st_mtime <= (root / "hatch_build.py").stat().st_mtime:
        return False
    return digest(root / SOURCE, (".c", ".h")).encode() in library.read_bytes()


def ensure_library(root: Path) -> bool:
    """Compile the library beside the package's source unless it is current; return whether there is one.

    A failed compilation leaves no library at all: an old one may not fit the Python code beside it.
    """
    library = root / LIBRARY
    if is_current(root, library):
        return True
    try:
        compile_library(root, library)
    except RuntimeError as error:
        library.unlink(missing_ok=True)
        print(f"lmrnn: the compiled kernel was not built, training will take a slower path.\n{error}", file=sys.stderr)
        return False
    return True


class KernelBuildHook(BuildHookInterface):
    """Hatchling hook that puts the compiled kernel into the wheel, or beside the source of an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict) -> None:
        """Compile the kernel and mark the wheel as made for this platform where that worked."""
        if not ensure_library(Path(self.root)):
            self.app.display_warning("lmrnn: the compiled kernel was not built; training will take a slower path")
            return
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"  # loaded through ctypes: any Python 3 of this platform will do
        build_data["artifacts"].append(str(LIBRARY))


if __name__ == "__main__":
    sys.exit(0 if ensure_library(Path(__file__).resolve().parent) else 1)
