"""From Snakemake's command line for a job, a text made for a shell, to the words that it stands for.

No shell ever reads them. Snakemake quotes with `repr`, which is Python's way and not the shell's: a shell would run
what stands between backticks in a value with an apostrophe, and change backslashes.
"""

from __future__ import annotations

import ast
import re
import shlex

_LITERAL = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?=\s|$)""", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)


def words(line: str) -> list[str]:
    """Words of a command line that Snakemake's `format_cli_arg` has made: texts as Python's `repr` writes them, paths
    as `shlex.quote` does, the rest bare. Nothing is expanded or evaluated. Raises ValueError on an unfinished
    quotation.

    Examples
    --------
    >>> words("--config " + repr("folder=it's $(here)") + " --retries 0")
    ['--config', "folder=it's $(here)", '--retries', '0']
    """
    found: list[str] = []
    while line := line.lstrip():
        match = _LITERAL.match(line)
        if match and (text := _as_python(match[0])) is not None:
            found.append(text)
        elif match := _WORD.match(line):
            found += shlex.split(match[0])
        else:
            raise ValueError(f"an unfinished quotation in {line[:80]!r}")
        line = line[match.end() :]
    return found


def _as_python(literal: str) -> str | None:
    """The text that a literal stands for; None where Python would have written it in another way."""
    try:
        text = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return None
    return text if repr(text) == literal else None
