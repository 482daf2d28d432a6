"""Servers are killed at every step of the one path and at random; nothing acknowledged is lost, nothing done twice."""

import multiprocessing
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from random import Random
from threading import Event, Semaphore, Thread

import psycopg
import pytest

from engine.application import opened
from engine.batches import sweep
from engine.failpoints import NAMES
from engine.registry import Registry
from engine.store import hidden
from engine.store.sqlite import SQLITE
from engine.types import LOCAL
from tests.crash.child import LEDGER, serve, settings
from tests.crash.clients import Client, Direct
from tests.crash.evidence import findings
from tests.crash.ledger import Ledger
from tests.postgres import PostgresServer, postgres
from tests.serving import SECONDS

KILLS = int(os.environ.get("CRASH_KILLS", "100"))
OUTAGES = max(5, KILLS // 50)
"""Of PostgreSQL itself, which takes seconds to come back."""
LATER = ("hook_", "news_", "effect_", "webhook_", "timer_", "part_")
POINTS = tuple(sorted(name for name in NAMES if not name.startswith(LATER)))
"""Where these servers are killed; what comes after the commit is killed in tests of its own."""
CLIENTS = 8
SESSIONS = 4
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.crash.child", "engine.store.postgres"])


class Trial:
    """Rounds of clients against a server that is killed, on one database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.random = Random(20261125)
        self.told = Semaphore(0)
        with opened(settings(url), Registry([Ledger])) as dispatcher:
            sessions = [dispatcher.start(LOCAL, LEDGER).session for _ in range(SESSIONS)]
        self.clients = [
            Client(f"c{number}", sessions, Random(self.random.random()), self.told) for number in range(CLIENTS)
        ]
        self.ended: Counter[str] = Counter()
        self.turns = count()

    def kills(self, number: int) -> None:
        """Rounds of which every other one ends at a named point, and every fifth is over HTTP."""
        for turn in islice(self.turns, number):
            kind = "http" if turn % 5 == 4 else "lines"
            if turn % 2:
                self.killed_at(POINTS[turn // 2 % len(POINTS)], kind)
            else:
                self.killed_at_random(kind)

    def killed_at_random(self, kind: str) -> None:
        """A round that ends at a random moment after some answers."""
        with self._round(kind) as child:
            self._answers(self.random.randrange(1, 40))
            child.join(self.random.uniform(0, 0.03))
        self.ended["random"] += 1

    def killed_at(self, point: str, kind: str) -> None:
        """A round that ends when the server comes to a point for a random time."""
        nth = self.random.randrange(1, 8 if point == "mid_batch" else 60)
        with self._round(kind, f"{point}@{nth}") as child:
            child.join(SECONDS)
            assert child.exitcode == -signal.SIGKILL, f"{point} was not reached {nth} times in {SECONDS} s"
        self.ended[point] += 1

    def outage(self, stop: Callable[[], None], start: Callable[[], None]) -> None:
        """A round in which the database crashes and comes back."""
        with self._round("lines"):
            self._answers(self.random.randrange(1, 200))
            stop()
            start()
            self._answers(100)
        self.ended["outage"] += 1

    def found(self) -> list[str]:
        """What is wrong after all, once every client asked again for everything."""
        with opened(settings(self.url), Registry([Ledger])) as dispatcher:
            for client in self.clients:
                client.settle(Direct(dispatcher))
            found = findings(dispatcher, self.clients)
            dispatcher.store.offset = timedelta(days=1)
            sweep(dispatcher.store, dispatcher.registry, dispatcher.store.now())
            left = dispatcher.store.read(lambda tx: list(hidden.left_over(tx, dispatcher.store.now())))
            return found + [f"{what} was left over and not swept" for what in left]

    @contextmanager
    def _round(self, kind: str, failpoint: str | None = None) -> Iterator[multiprocessing.process.BaseProcess]:
        """A server that all clients ask, until the block ends and it is killed."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            port = listener.getsockname()[1]
            child = FORKING.Process(target=serve, args=(kind, listener, self.url, failpoint), daemon=True)
            child.start()
        while self.told.acquire(blocking=False):
            pass  # what an earlier round left
        stop = Event()
        playing = [Thread(target=client.play, args=(kind, port, stop)) for client in self.clients]
        for thread in playing:
            thread.start()
        try:
            yield child
        finally:
            child.kill()
            child.join()
            stop.set()
            for thread in playing:
                thread.join(SECONDS)
        assert not any(thread.is_alive() for thread in playing)

    def _answers(self, number: int) -> None:
        for _ in range(number):
            assert self.told.acquire(timeout=SECONDS), "no client is answered"


@pytest.fixture(scope="module")
def durable_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server as it is in earnest, unlike that of the other tests."""
    with postgres() as server:
        yield server


def test_servers_killed_on_sqlite_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "turnkeeper.db"
    trial = Trial(f"sqlite:///{file}")
    trial.kills(KILLS)
    assert trial.found() == []
    with closing(SQLITE.connect(str(file))) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
    assert set(trial.ended) == {*POINTS, "random"} and trial.ended.total() == KILLS


def test_servers_killed_on_postgresql_lose_nothing_and_do_nothing_twice(durable_server: PostgresServer) -> None:
    trial = Trial(durable_server.fresh())
    for _ in range(OUTAGES):
        trial.kills(KILLS // OUTAGES - 1)
        trial.outage(lambda: durable_server.stop("immediate"), durable_server.start)
    assert trial.found() == []
    assert damage(trial.url) == []
    assert set(trial.ended) == {*POINTS, "random", "outage"} and trial.ended.total() == KILLS


def damage(url: str) -> list[tuple[object, ...]]:
    """What amcheck finds wrong with a PostgreSQL database."""
    indexes = "select bt_index_check(i.indexrelid, true) from pg_index i join pg_class c on c.oid = i.indexrelid"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create extension amcheck")
        connection.execute(f"{indexes} join pg_am a on a.oid = c.relam where a.amname = 'btree'".encode())
        tables = "select oid::regclass from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        return connection.execute(f"select * from ({tables}) t(name), verify_heapam(t.name)".encode()).fetchall()
