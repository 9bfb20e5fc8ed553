"""A configuration file that cannot be read is one line for its user, and not the traceback that Snakemake shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.settings import types


def explained(load: Callable[[Path], Mapping[str, Any]]) -> Callable[[Path], Mapping[str, Any]]:
    """Make a reader of configuration files raise whatever goes wrong as `WorkflowError` with the file's name."""

    @wraps(load)
    def read(path: Path) -> Mapping[str, Any]:
        try:
            return load(path)
        except WorkflowError as error:
            raise WorkflowError(f"{path}: {error}") from error
        except OSError as error:
            raise WorkflowError(f"{path}: this configuration file cannot be read ({error.strerror})") from error
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:  # UnicodeError, a date
            raise WorkflowError(f"{path}: this is no readable configuration file: {error}") from error

    return read


def explain_unreadable_files() -> None:
    """Put this between Snakemake and the files of ``--configfile``, once."""
    if not hasattr(types.load_configfile, "__wrapped__"):
        types.load_configfile = explained(types.load_configfile)
