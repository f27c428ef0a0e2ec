"""A network between clients and a server, on two socket files, that stands still once it has carried so many bytes."""

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

WAIT = 60.0  # seconds; a test that is stuck ends


class Way:
    """One direction of the network; it carries everything until it is held."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limit: int | None = None
        self.carried = 0  # bytes, of all connections

    def hold_after(self, more: int) -> None:
        """Stands still once it has carried so many bytes more, give or take what is read at once."""
        with self._changed:
            self._limit = self.carried + more

    def wait_until_held(self) -> None:
        """Returns once it stands still."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._limit is not None and self.carried >= self._limit, WAIT)

    def go_on(self) -> None:
        """Carries everything from now on."""
        with self._changed:
            self._limit = None
            self._changed.notify_all()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        """Carries what comes out of one socket into another, until one of them is closed."""
        with contextlib.suppress(OSError):  # the other end may have gone
            while data := source.recv(1 << 16):
                with self._changed:
                    self._changed.wait_for(lambda: self._limit is None or self.carried < self._limit, WAIT)
                    self.carried += len(data)
                    self._changed.notify_all()
                target.sendall(data)
        for end in (source, target):
            _shut(end)


class Link:
    """Listens on one socket file and carries what comes there to another; use as a context manager."""

    def __init__(self, outside: Path, inside: Path) -> None:
        self.address = f"unix:{outside}"
        self.up, self.down = Way(), Way()  # to the server, and back
        self._inside, self._sockets = inside, [socket.socket(socket.AF_UNIX)]
        self._sockets[0].bind(str(outside))
        self._sockets[0].listen()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.up.go_on()
        self.down.go_on()
        for one in self._sockets:
            _shut(one)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                outer = self._sockets[0].accept()[0]
            except OSError:
                return
            inner = socket.socket(socket.AF_UNIX)
            self._sockets += [outer, inner]
            try:
                inner.connect(str(self._inside))
            except OSError:
                _shut(outer)
                continue
            for way, source, target in ((self.up, outer, inner), (self.down, inner, outer)):
                threading.Thread(target=way.pump, args=(source, target), daemon=True).start()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be shut already
        one.shutdown(socket.SHUT_RDWR)
