"""PostgreSQL's notifications as a hint to look: one connection of a process listens, and one tells.

A NOTIFY inside a transaction would take a lock of the whole server at its commit, so the writers send none:
another connection does, after their commits, and once for all that came while it was at it.
"""

import contextlib
import logging
import selectors
import socket
import threading
from typing import Any

import psycopg

CHANNEL = "turnkeeper"
APART_SECONDS = 0.02
"""From one notification of a process to its next."""
AGAIN_SECONDS = 1.0
"""How long whoever lost its connection waits before it tries to get another."""
KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "connect_timeout": 5}
OPTIONS = "-c synchronous_commit=off"
"""A notification writes nothing that has to be on disk, so nobody waits until it is."""

logger = logging.getLogger(__name__)


class Listening:
    """A watch that is told by the server. Without a connection it says nothing, and tries to get one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._told = threading.Event()
        self._closed = False
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="turnkeeper-listening", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """As `Watch` says."""
        told = self._told.wait(max(0.0, seconds))
        self._told.clear()
        return told

    def wake(self) -> None:
        """As `Watch` says."""
        self._told.set()

    def close(self) -> None:
        """As `Watch` says."""
        if not self._closed:
            self._closed = True
            self._told.set()
            self._wake.close()  # the thread reads the end of it, or has seen that all is over and closed its own
            self._thread.join(KEEPALIVES["connect_timeout"])

    def _run(self) -> None:
        with self._woken:
            while not self._closed:
                try:
                    with _connected(self._url) as connection:
                        self._listen(connection)
                except psycopg.Error as error:
                    logger.info("notifications of commits are away: %s", " ".join(str(error).split()))
                if not self._closed:
                    self._woken.settimeout(AGAIN_SECONDS)
                    with contextlib.suppress(TimeoutError):
                        self._woken.recv(1)

    def _listen(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(f"listen {CHANNEL}".encode())
        self._told.set()  # what was committed before was told to nobody
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._closed:
                selector.select()
                if not self._closed and next(connection.notifies(timeout=0), None) is not None:
                    self._told.set()


class Telling:
    """Tells the listeners of all processes that something was committed, from a thread and connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._news = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self) -> None:
        """Have it told that something was committed; returns at once."""
        if self._news.is_set():
            return
        self._news.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="turnkeeper-telling", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Tell what is still to be told, and end."""
        self._ended.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(KEEPALIVES["connect_timeout"])

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with _connected(self._url) as connection:
                    self._tell_all(connection)
            except psycopg.Error as error:
                logger.info("commits are not told to other processes: %s", " ".join(str(error).split()))
                self._news.set()
                self._ended.wait(AGAIN_SECONDS)

    def _tell_all(self, connection: "psycopg.Connection[Any]") -> None:
        while True:
            self._news.wait()
            self._news.clear()
            connection.execute(f"notify {CHANNEL}".encode())
            if self._ended.is_set():
                return
            self._ended.wait(APART_SECONDS)


def _connected(url: str) -> "psycopg.Connection[Any]":
    plain = f"postgresql://{url.partition('://')[2]}"
    return psycopg.connect(plain, autocommit=True, options=OPTIONS, **KEEPALIVES)  # type: ignore[arg-type]
