"""The disk fails, is full or is locked, and the connection is cut in a commit: nobody is told what is not so."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.errors import Busy
from engine.operations import Call
from engine.registry import Registry
from engine.store.postgres import PostgresStore
from engine.store.records import Transaction
from engine.store.sqlite import SQLITE, SqliteStore
from engine.types import LOCAL
from tests.conftest import Database
from tests.crash.laden import begun, kept, remembered, settled
from tests.serving import ROOT, SECONDS
from worlds.counter import Counter as CounterWorld

REQUIRED = "TURNKEEPER_REQUIRE_TOOLS"
"""Set where a test that cannot run for a missing tool is a failure: in CI."""


def needs(tool: str, works: bool = True) -> None:
    """Skip a test without its tool, or fail it where nothing may be missing."""
    if shutil.which(tool) is None or not works:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(f"{tool} is missing or may not be used here")


class Laden:
    """Eight clients in a process of their own, on an SQLite file in a folder."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'turnkeeper.db'}"
        self.notes = folder / "notes"
        kept(self.notes, begun(self.url))

    def run(self, *before: str, url: str | None = None, steps: int = 30, ballast: Path | None = None) -> None:
        """Have the clients ask, in a process behind another command."""
        program = [sys.executable, "-m", "tests.crash.laden", url or self.url, str(self.notes), str(steps)]
        program += [str(ballast)] if ballast is not None else []
        done = subprocess.run(
            [*before, *program], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=SECONDS * 10
        )
        assert done.returncode == 0, done.stderr

    def told(self, notes: Path | None = None) -> Counter[str]:
        """What the clients were told, counted."""
        clients = remembered(notes or self.notes)
        told = Counter(why for client in clients for why in client.refused.values())
        told["done"] = sum(len(client.answered) for client in clients)
        told["open"] = sum(client.pending is not None for client in clients)
        return told


@pytest.mark.parametrize(
    ("which", "lasting"),
    [("20", False), ("20..24", False), ("15..60+3", False), ("20+", True)],
    ids=["one", "several", "every third", "all from one on"],
)
def test_a_disk_that_does_not_sync_makes_nobody_believe_what_may_be_lost(
    tmp_path: Path, which: str, lasting: bool
) -> None:
    needs("strace")
    laden = Laden(tmp_path)
    trace = tmp_path / "trace"
    laden.run(
        *("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fsync,fdatasync"),
        *("-e", f"inject=fsync,fdatasync:error=EIO:when={which}"),
    )
    assert "(INJECTED)" in trace.read_text()
    told = laden.told()
    assert told["done"] > 10 and not told["busy"]
    assert bool(told["open"]) == lasting  # who waits for what nobody can know asks on
    assert settled(laden.url, remembered(laden.notes)) == []
    assert integrity(laden.url) == [("ok",)]


def test_a_full_disk_is_said_to_be_full_and_costs_nothing_once_there_is_room(tmp_path: Path) -> None:
    needs("unshare", works=os.geteuid() == 0)
    laden = Laden(tmp_path)
    disk, ballast = tmp_path / "disk", tmp_path / "disk" / "ballast"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=4m tmpfs {disk} && cp {tmp_path}/turnkeeper.db* {disk}/"
        f" && head -c 3000k /dev/zero > {ballast}"
        f' && "$@" && cp {disk}/turnkeeper.db* {tmp_path}/'
    )
    inside = f"sqlite:///{disk / 'turnkeeper.db'}"
    laden.run("unshare", "-m", "sh", "-ec", script, "sh", url=inside, steps=60, ballast=ballast)
    full, after = laden.told(Path(f"{laden.notes}-full")), laden.told()
    assert full["store"] > 0 and full["done"] > 10
    assert after["done"] > full["done"] and after["open"] == 0
    assert settled(laden.url, remembered(laden.notes)) == []
    assert integrity(laden.url) == [("ok",)]


def integrity(url: str) -> list[tuple[str]]:
    """What SQLite itself says of a file."""
    with closing(SQLITE.connect(url.removeprefix("sqlite:///"))) as connection:
        found: list[tuple[str]] = connection.execute("pragma integrity_check").fetchall()
        return found


def test_a_locked_database_is_busy_and_says_when_to_come_back(tmp_path: Path) -> None:
    file = str(tmp_path / "turnkeeper.db")
    begun(f"sqlite:///{file}")
    store = SqliteStore(file, busy_seconds=0.05)
    dispatcher = Dispatcher(store, Registry([CounterWorld]))
    call = Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}, key="one")
    with closing(SQLITE.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Busy) as raised:
            dispatcher.dispatch(call)
        assert raised.value.retry_after > 0 and "Try again" in (raised.value.hint or "")
        other.execute("rollback")
    assert (dispatcher.dispatch(call).revision, dispatcher.dispatch(call).replayed) == (2, 2)
    store.close()


class Cutting:
    """A relay to a PostgreSQL server, that cuts a connection around its next COMMIT once it is told to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.cut: str | None = None
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.listener.getsockname()[1]
        return port

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(caller,), daemon=True).start()

    def _relay(self, caller: socket.socket) -> None:
        with caller, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._path)
            answers = threading.Thread(target=_pump, args=(server, caller), daemon=True)
            answers.start()
            while data := caller.recv(65536):
                if self.cut is not None and b"COMMIT" in data:
                    cut, self.cut, self.cuts = self.cut, None, self.cuts + 1
                    caller.shutdown(socket.SHUT_RDWR)
                    if cut == "after":
                        server.sendall(data)
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            answers.join(SECONDS)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        while source.recv(65536):  # the other side is cut: nobody gets the rest
            pass


@contextmanager
def cutting(url: str) -> Iterator[tuple[Cutting, str]]:
    """A relay in front of a test's database, and the url through it."""
    folder = url.partition("host=")[2]
    relay = Cutting(f"{folder}/.s.PGSQL.5432")
    try:
        yield relay, url.replace("@/", f"@127.0.0.1:{relay.port}/").partition("?")[0]
    finally:
        relay.listener.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("key", ["a key", None])
def test_a_connection_cut_at_the_commit_is_looked_up_and_the_action_done_once(
    database: Database, dispatcher_of: Callable[..., Dispatcher], when: str, key: str | None
) -> None:
    whole = dispatcher_of(CounterWorld)
    session = whole.start(LOCAL, "counter").session
    with cutting(whole.store.url) as (relay, url):
        store = PostgresStore(url, writers=1, readers=1)
        dispatcher = Dispatcher(store, Registry([CounterWorld]))
        call = Call(principal=LOCAL, world="counter", session=session, action="add", arguments={"a": 5}, key=key)
        revisions = []
        for _ in range(3):
            relay.cut = when
            revisions.append(dispatcher.dispatch(call).revision)
        store.close()
        assert relay.cuts == 3
    assert revisions == ([2, 2, 2] if key else [2, 3, 4])
    assert whole.history(LOCAL, session)[-1]["revision"] == revisions[-1]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_commit_without_a_journal_entry_is_looked_up_too(
    database: Database, dispatcher_of: Callable[..., Dispatcher], when: str
) -> None:
    whole = dispatcher_of(CounterWorld)
    session = whole.start(LOCAL, "counter").session
    with cutting(whole.store.url) as (relay, url):
        store = PostgresStore(url, writers=1, readers=1)
        runs: list[int] = []

        def release(transaction: Transaction) -> None:
            runs.append(1)
            record = transaction.session(session)
            assert record is not None
            transaction.release(record.id)

        store.write(lambda transaction: None)  # so that what a first connection asks is behind it
        relay.cut = when
        store.write(release)
        relay.cut = when
        Dispatcher(store, Registry([CounterWorld])).erase(LOCAL, session)
        store.close()
        assert relay.cuts == 2 and len(runs) == (1 if when == "after" else 2)
    assert whole.sessions(LOCAL) == []
