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
_SPACE = re.compile(r"\s*")


def words(line: str) -> list[str]:
    """Words of a command line that Snakemake's `format_cli_arg` has made: texts as Python's `repr` writes them, paths
    as `shlex.quote` does, the rest bare. Nothing is expanded or evaluated. Raises ValueError on an unfinished
    quotation.

    Examples
    --------
    >>> words("--config " + repr("folder=it's $(here)") + " --retries 0")
    ['--config', "folder=it's $(here)", '--retries', '0']
    """
    found, position = [], _SPACE.match(line).end()
    while position < len(line):
        literal = _LITERAL.match(line, position)
        if literal and (text := _as_python(literal[0])) is not None:
            found.append(text)
            position = literal.end()
        else:
            word = _WORD.match(line, position)
            if word is None:
                raise ValueError(f"an unfinished quotation in {line[position : position + 80]!r}")
            found += shlex.split(word[0])
            position = word.end()
        position = _SPACE.match(line, position).end()
    return found


def _as_python(literal: str) -> str | None:
    """The text that a literal stands for; None where Python would have written it in another way."""
    try:
        text = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return None
    return text if repr(text) == literal else None
