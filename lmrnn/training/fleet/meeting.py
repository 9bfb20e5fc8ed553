"""Who trains? The processes of several cells meet at a device of their node: one leads and trains all, the others wait.

They meet in a folder of the user's own in the node's temporary folder, those of one installation of lmrnn. Whoever gets
the device's lock leads; the system takes the lock back with the process, however it ends. The leader listens on a
socket, at which the others hand in their cells; it tells each what belongs into its log, and how it ended. Whose leader
is gone tries the lock again, and the next leader goes on from the checkpoints. None of this needs torch, nor anything
else that is large.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import lmrnn
from lmrnn.errors import Interrupted, ResourceError
from lmrnn.files.removal import remove, remove_empty
from lmrnn.training.fleet.devices import Device
from lmrnn.training.fleet.messages import Lost, outcome, receive, send
from lmrnn.training.interruption import StopRequest, stop_requests

_PAUSE_SECONDS = 0.05  # until the one that has just got the lock listens
# Cells of another checkout or version of lmrnn have a leader of their own: this one may not know what they mean.
_INSTALLATION = f"{zlib.crc32(f'{lmrnn.__version__} {lmrnn.__file__}'.encode('utf-8', 'surrogateescape')):08x}"

Lead = Callable[[Device, socket.socket, StopRequest], str]


def meet(devices: list[Device], request: dict[str, Any], log: TextIO, lead: Lead) -> str:
    """Have a cell trained at one of some devices, and return its status.

    Where this process becomes the leader, `lead` is called with the device, a listening socket and the signals that
    came; otherwise the `request` is handed in. Raises what went wrong with this cell; `Interrupted` on SIGTERM, SIGINT
    or SIGUSR2, after its state was saved.
    """
    with stop_requests() as stop, _bell() as bell, _folder() as folder, _seat(folder, devices) as device:
        place = f"{device.name}-{_INSTALLATION}"
        while True:
            with _held(folder / f"{place}.lock") as leading:
                if leading:
                    with _listening(folder, f"{place}.socket") as listener:
                        return lead(device, listener, stop)
            if stop.signal:
                raise Interrupted(f"{stop.signal} while nobody trained it: it goes on from where it was last saved")
            try:
                with closing(_connected(folder, f"{place}.socket")) as leader:
                    return _wait(leader, request, log, stop, bell)
            except (Lost, ConnectionError, FileNotFoundError):
                time.sleep(_PAUSE_SECONDS)


def _wait(leader: socket.socket, request: dict[str, Any], log: TextIO, stop: StopRequest, bell: int) -> str:
    """Hand a cell in and do what its leader says, until it says how it ended; raises Lost where the leader is gone."""
    send(leader, request)
    told = False
    while True:
        if stop.signal and not told:
            send(leader, {"stop": stop.signal})
            told = True
        sources: list[Any] = [leader, bell]
        ready = select.select(sources, [], [])[0]
        if bell in ready:
            os.read(bell, 1024)
        if leader not in ready:
            continue
        said = receive(leader)
        if "say" in said:
            print(said["say"], file=log, flush=True)
        elif "record" in said:
            if hasattr(log, "record"):
                log.record(said["record"], **said["fields"])
        else:
            return outcome(said)


@contextmanager
def _bell() -> Iterator[int]:
    """A file to read from when a signal has come, so that who waits need not look again and again."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = None
    with suppress(ValueError):  # not the main thread, which alone gets signals
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        if before is not None:
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


@contextmanager
def _folder() -> Iterator[Path]:
    """The user's own folder on this node; it goes with the last who uses it."""
    folder = Path(tempfile.gettempdir()) / f"lmrnn-{os.geteuid()}"
    _make(folder)
    try:
        yield folder
    finally:
        _tidy(folder)
        remove_empty(folder)  # else others are still there


def _tidy(folder: Path) -> None:
    """Remove what the dead have left: locks that nobody holds, and sockets whose lock nobody holds."""
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            with _held(path.with_suffix(".lock") if path.suffix == ".socket" else path) as nobodys:
                if nobodys and path.suffix == ".socket":
                    remove(path)


def _make(folder: Path) -> None:
    """Make a folder that nobody else can look into; ResourceError where another one is in its place."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ResourceError(
            f"{folder}, in which the cells of a fleet meet, is not a folder of yours alone (ls -ld {folder}). Remove "
            "it, or set TMPDIR to a folder of this node that is yours"
        )


def _open(path: Path) -> int:
    """Open a file, making it and its folder, which others may remove at any time."""
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            _make(path.parent)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Try to hold a lock, which goes with this process; its file is removed before it is given back."""
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            yield False
            return
        except OSError as error:
            os.close(handle)
            what = f"{path} cannot be locked ({os.strerror(error.errno or errno.EIO)})"
            raise ResourceError(f"{what}. Set TMPDIR to a folder on a disk of this node") from error
        if _is_at(handle, path):
            break
        os.close(handle)  # its holder has removed it since: that one is nobody's any more
    try:
        yield True
    finally:
        remove(path)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is the one that a path leads to."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _seat(folder: Path, devices: list[Device]) -> Iterator[Device]:
    """Choose the device at which the fewest others are: each holds the lowest free seat of all devices."""
    if len(devices) == 1:
        yield devices[0]
        return
    with ExitStack() as stack:
        number = 0
        while True:
            for device in devices:
                if stack.enter_context(_held(folder / f"{device.name}.seat{number}")):
                    yield device
                    return
            number += 1


def _address(folder: Path, name: str, stack: ExitStack) -> str:
    """A name for a socket that is short, however long that of its folder is (the system takes 107 bytes)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return f"/proc/self/fd/{handle}/{name}"


@contextmanager
def _listening(folder: Path, name: str) -> Iterator[socket.socket]:
    """A socket that listens; one that a dead leader has left is removed before."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as listener, ExitStack() as stack:
        address = _address(folder, name, stack)
        remove(address)
        listener.bind(address)
        stack.callback(remove, address)
        listener.listen(socket.SOMAXCONN)
        yield listener


def _connected(folder: Path, name: str) -> socket.socket:
    """A connection to the leader; ConnectionError or FileNotFoundError where nobody listens."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with ExitStack() as stack:
            made.connect(_address(folder, name, stack))
    except BaseException:
        made.close()
        raise
    return made
