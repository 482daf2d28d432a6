"""Servers are killed at every step of the one path and at random; nothing acknowledged is lost, nothing done twice."""

import multiprocessing
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event, Semaphore, Thread

import pytest

from engine.application import opened
from engine.registry import Registry
from engine.store.sqlite import SQLITE
from engine.types import LOCAL
from tests.crash.child import LEDGER, serve, settings
from tests.crash.clients import Client, Direct
from tests.crash.evidence import findings
from tests.crash.ledger import Ledger
from tests.serving import SECONDS

KILLS = int(os.environ.get("CRASH_KILLS", "100"))
CLIENTS = 8
SESSIONS = 4
POINTS = ("after_begin", "after_guards", "after_method", "before_journal", "after_journal", "before_reply")

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.crash.child"])


class Trial:
    """Rounds of clients against a server that is killed, on one database."""

    def __init__(self, url: str, random: Random) -> None:
        self.url = url
        self.random = random
        self.told = Semaphore(0)
        with opened(settings(url), Registry([Ledger])) as dispatcher:
            sessions = [dispatcher.start(LOCAL, LEDGER).session for _ in range(SESSIONS)]
        self.clients = [Client(f"c{number}", sessions, Random(random.random()), self.told) for number in range(CLIENTS)]
        self.ended: Counter[str] = Counter()

    def round(self, kind: str, failpoint: str | None) -> None:
        """Serve the clients until the server is killed: by its failpoint, or after some answers at a random moment."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            port = listener.getsockname()[1]
            child = FORKING.Process(target=serve, args=(kind, listener, self.url, failpoint), daemon=True)
            child.start()
        stop = Event()
        playing = [Thread(target=client.play, args=(kind, port, stop)) for client in self.clients]
        for thread in playing:
            thread.start()
        if failpoint is None:
            for _ in range(self.random.randrange(1, 40)):
                assert self.told.acquire(timeout=SECONDS), "no client is answered"
            child.join(self.random.uniform(0, 0.03))
        else:
            child.join(SECONDS)
        self.ended[failpoint.partition("@")[0] if failpoint and child.exitcode == -signal.SIGKILL else "random"] += 1
        child.kill()
        child.join()
        stop.set()
        for thread in playing:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def found(self) -> list[str]:
        """What is wrong after all, once every client asked again for everything."""
        with opened(settings(self.url), Registry([Ledger])) as dispatcher:
            for client in self.clients:
                client.settle(Direct(dispatcher))
            return findings(dispatcher, self.clients)


@pytest.fixture
def random() -> Random:
    return Random(20261125)


def test_killed_on_sqlite(tmp_path: Path, random: Random) -> None:
    file = tmp_path / "turnkeeper.db"
    trial = Trial(f"sqlite:///{file}", random)
    for kind, failpoint in rounds(random):
        trial.round(kind, failpoint)
    assert trial.found() == []
    with closing(SQLITE.connect(str(file))) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
    assert set(trial.ended) == {*POINTS, "random"}, trial.ended


def rounds(random: Random) -> Iterator[tuple[str, str | None]]:
    """What each round is: how the clients talk, and where the server ends."""
    for number in range(KILLS):
        kind = "http" if number % 5 == 4 else "lines"
        point = POINTS[number // 2 % len(POINTS)]
        yield kind, f"{point}@{random.randrange(1, 60)}" if number % 2 else None
