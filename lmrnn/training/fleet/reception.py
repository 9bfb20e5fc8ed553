"""Where the leader of a fleet takes cells in, while it trains: a thread that listens, and one guest for each cell."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from typing import Any, TextIO

from lmrnn.training.fleet.messages import Lost, failure, hang_up, peer, receive, send

_GONE = "the end of its process"
# A process that does not read for so long (it is suspended) is left; what was finished for it is in its file.
_ANSWER_SECONDS = 10
_PAUSE_SECONDS = 0.1


class Guest:
    """The process of a cell as its leader sees it: what it asks for, its log, and how it is told the end.

    It is a file that is written line by line, as logs are; what is said to one that is gone is lost. `stop` is the name
    of a signal that told it to stop, or says that it is gone.
    """

    def __init__(self, request: dict[str, Any], connection: socket.socket | None) -> None:
        self.request, self._connection = request, connection
        self.stop: str | None = None
        self._line = ""
        self._said: set[str] = set()

    def write(self, text: str) -> int:
        """Take text for its log, which gets it line by line."""
        self._line += text
        *lines, self._line = self._line.split("\n")
        for line in lines:
            self._tell({"say": line})
        return len(text)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def record(self, event: str, **fields: Any) -> None:
        """Tell programs something, in the file of records beside the log."""
        self._tell({"record": event, "fields": fields})

    def done(self, status: str) -> None:
        """Its cell has ended."""
        self._tell({"status": status}, block=True)
        self.leave()

    def say_once(self, line: str) -> None:
        """Say what may have been said before."""
        if line not in self._said:
            self._said.add(line)
            print(line, file=self)

    def failed(self, error: Exception) -> None:
        """Its cell cannot be trained, or was told to stop."""
        message = failure(error)
        if not message["error"]:  # nobody foresaw it
            traceback.print_exception(error, file=self)
        self._tell(message, block=True)
        self.leave()

    def leave(self) -> None:
        """Say no more; one that was not told the end looks for another leader."""
        if self._connection is not None:
            hang_up(self._connection)

    def _tell(self, message: dict[str, Any], block: bool = False) -> None:
        try:
            if self._connection is not None:
                send(self._connection, message, block)
        except Lost:
            self.stop = self.stop or _GONE


class Host(Guest):
    """The leader's own cell."""

    def __init__(self, request: dict[str, Any], log: TextIO) -> None:
        super().__init__(request, None)
        self.log = log
        self.status: str | None = None
        self.error: Exception | None = None

    def _tell(self, message: dict[str, Any], block: bool = False) -> None:
        if "say" in message:
            print(message["say"], file=self.log, flush=True)
        elif "record" in message and hasattr(self.log, "record"):
            self.log.record(message["record"], **message["fields"])

    def done(self, status: str) -> None:
        """To be returned when the others have ended."""
        self.status = status

    def failed(self, error: Exception) -> None:
        """To be raised when the others have ended."""
        self.error = error
        if not self.stop:
            print(f"this cell cannot be trained, its process goes on to lead the others: {error}", file=self)


class Reception:
    """Those who come, heard in a thread as long as the context lasts; `arrivals` are those since one last looked."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._guests: dict[int, tuple[socket.socket, Guest | None]] = {}  # by the number of the connection
        self._arrived: deque[Guest] = deque()
        self._ends, self._end = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._hear, name="fleet-reception", daemon=True)

    def arrivals(self) -> Iterator[Guest]:
        """Those that have come."""
        while self._arrived:
            yield self._arrived.popleft()

    def _hear(self) -> None:
        poll = select.poll()
        for source in (self._listener.fileno(), self._ends):
            poll.register(source, select.POLLIN)
        while True:
            for number, _ in poll.poll():
                if number == self._ends:
                    return
                if number == self._listener.fileno():
                    self._welcome(poll)
                else:
                    self._listen(number, poll)

    def _welcome(self, poll: select.poll) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # too many open files for the moment, or it has gone again
            time.sleep(_PAUSE_SECONDS)
            return
        if peer(connection) != os.geteuid():
            connection.close()
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", _ANSWER_SECONDS, 0))
        self._guests[connection.fileno()] = connection, None
        poll.register(connection.fileno(), select.POLLIN)

    def _listen(self, number: int, poll: select.poll) -> None:
        """Hear one that is connected: first its request, later that it is to stop, or is gone."""
        connection, guest = self._guests[number]
        try:
            message = receive(connection)
        except Lost:
            poll.unregister(number)
            del self._guests[number]
            connection.close()
            if guest is not None:
                guest.stop = guest.stop or _GONE
            return
        if guest is None:
            guest = Guest(message, connection)
            self._guests[number] = connection, guest
            self._arrived.append(guest)
        elif "stop" in message:
            guest.stop = str(message["stop"])

    def __enter__(self) -> Reception:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Hear no more, and hang up on all that were not told an end: they look for another leader."""
        os.write(self._end, b".")
        self._thread.join()
        for connection, _ in self._guests.values():
            hang_up(connection)
            connection.close()
        os.close(self._ends)
        os.close(self._end)
