"""What a leader and those who wait tell each other: JSON objects, one a packet.

A request has the cell's `spec`, `compute` and `results`, and the files of its study's `plugins` and `masks`;
``{"stop": signal}`` may follow. A leader answers ``{"say": line}`` and ``{"record": event, "fields": ...}`` for the
cell's log, and at last ``{"status": ...}`` or ``{"error": kind, "arguments": [...]}``.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

from lmrnn import errors

_MOST_BYTES = 1 << 18


class Lost(Exception):
    """Whom one talked to is gone."""


def send(to: socket.socket, message: dict[str, Any], block: bool = True) -> bool:
    """Send a message, or, without `block`, only where there is room for it; says whether it was; raises Lost."""
    try:
        to.send(json.dumps(message).encode(), 0 if block else socket.MSG_DONTWAIT)
    except (BlockingIOError, TimeoutError):
        return False
    except OSError as error:
        raise Lost from error
    return True


def receive(source: socket.socket) -> dict[str, Any]:
    """The next message; raises Lost where none will come."""
    try:
        packet = source.recv(_MOST_BYTES)
        message = json.loads(packet) if packet else None
    except (OSError, ValueError) as error:
        raise Lost from error
    if not isinstance(message, dict):
        raise Lost
    return message


def failure(error: BaseException) -> dict[str, Any]:
    """The message that tells somebody of an error of theirs."""
    if isinstance(error, OSError) and error.errno:
        names = [str(name) for name in (error.filename,) if name is not None]
        return {"error": "OSError", "arguments": [error.errno, error.strerror, *names]}
    if isinstance(error, (errors.LmrnnError, MemoryError)):
        return {"error": type(error).__name__, "arguments": [str(each) for each in error.__reduce__()[1]]}
    return {"error": "", "arguments": [f"{type(error).__name__}: {error}"]}


def outcome(message: dict[str, Any]) -> str:
    """The status that a message tells; raises the error that it tells of."""
    if "status" in message:
        return message["status"]
    others = {"OSError": OSError, "MemoryError": MemoryError}
    kind = getattr(errors, message["error"], None) or others.get(message["error"], RuntimeError)
    raise kind(*message["arguments"])


def peer(of: socket.socket) -> int:
    """User id of the process at the other end."""
    credentials = of.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], "little", signed=True)


def hang_up(on: socket.socket) -> None:
    """End a connection; what was sent before is still received."""
    with suppress(OSError):
        on.shutdown(socket.SHUT_RDWR)
