"""Large sessions: what a far past costs, how others wait while one is forked, undone, carried in files, erased, fed."""

import argparse
import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

from sqlmodel import Field, Index

from engine import Answer, Asking, HistoryRow, Part, Row, World, Written, action
from engine.asking import Question
from engine.dispatch import Dispatcher
from engine.limits import Limits
from engine.migrate import upgrade
from engine.operations import Call
from engine.parts import give_up
from engine.preparing import prepared_call
from engine.registry import Registry
from engine.store.postgres import PostgresStore
from engine.store.sqlite import SqliteStore
from engine.store.stores import Store
from engine.types import LOCAL
from server import tune

T = TypeVar("T")


class Crate(Row, table=True):
    """One thing in a depot."""

    __tablename__ = "bench__crate"
    id: int = Field(primary_key=True)
    content: str
    weight: int = 0


class Depot(World, name="depot", rows=[Crate]):
    """Many rows."""

    @action
    def store(self, first: int, number: int) -> None:
        """Store crates of consecutive numbers."""
        for id in range(first, first + number):
            self.rows(Crate).add(id=id, content=f"what is in number {id}")

    @action
    def weigh(self, id: int, weight: int) -> None:
        """Change one crate."""
        crate = self.rows(Crate).find(id=id)
        assert crate is not None
        crate.weight = weight

    @action
    def weigh_all(self, weight: int) -> None:
        """Change every crate."""
        for crate in self.rows(Crate):
            crate.weight = weight


class Found(HistoryRow, table=True):
    """Something that was found, with an index for each way to look for it."""

    __tablename__ = "bench__found"
    __table_args__ = (
        Index(None, "session_id", "node"),
        Index(None, "session_id", "target"),
        Index(None, "session_id", "kind"),
    )
    kind: str
    text: str
    node: int
    target: int


class Haul(Part, table=True):
    """What was taken in as a whole."""

    __tablename__ = "bench__haul"


async def haul(dig: "Dig", asking: Asking, number: int) -> Written:
    """Write what was found ahead."""
    spread = Random(number)
    return await asking.write_ahead(
        Found,
        (
            {
                "kind": "shard",
                "text": f"what is in {n}",
                "node": spread.getrandbits(62),
                "target": spread.getrandbits(62),
            }
            for n in range(number)
        ),
    )


class Dig(World, name="dig", rows=[Found, Haul]):
    """Rows that are history."""

    @action(prepare=haul)
    def take_in(self, number: int, prepared: Written) -> None:
        """Take much in."""
        self.adopt(Haul, prepared)

    @action
    def find(self, number: int) -> None:
        """Find one thing."""
        self.rows(Found).add(kind="coin", text=f"coin {number}", node=number, target=0)


class Silent:
    """Nobody to be asked."""

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """Answers nothing."""
        return {}

    def can(self, question: type[Question]) -> bool:
        """Nothing can be asked."""
        return False

    def require(self, *questions: type[Question]) -> None:
        """Nothing is insisted on."""

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Nobody is told."""

    async def log(self, level: str, message: str) -> None:
        """Nobody is told."""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000, help="how far back the past is")
    parser.add_argument("--rows", type=int, default=20_000, help="of the large session")
    parser.add_argument("--taken-in", type=int, default=100_000, help="rows that are written ahead")
    parser.add_argument("--database", help="a fresh PostgreSQL database's URL, in place of SQLite")
    options = parser.parse_args()
    with opened(options.database) as dispatcher:
        _past(dispatcher, options.changes)
        _large(dispatcher, options.rows)
        _taken_in(dispatcher, options.taken_in)


@contextmanager
def opened(url: str | None = None) -> Iterator[Dispatcher]:
    """A dispatcher on a fresh SQLite file, or on that PostgreSQL database."""
    limits = Limits(rows=1_000_000, seconds=600, stored=2**40)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "large.db")
        store: Store = SqliteStore(path, limits) if url is None else PostgresStore(url, limits)
        registry = Registry([Depot, Dig])
        upgrade(store, registry.worlds.values())
        try:
            yield Dispatcher(store, registry)
        finally:
            store.close()


def _past(dispatcher: Dispatcher, changes: int) -> None:
    session = dispatcher.start(LOCAL, "depot").session
    _act(dispatcher, session, "store", first=1, number=100)
    for number in range(changes):
        _act(dispatcher, session, "weigh", id=1 + number % 100, weight=number + 1)
    print(f"100 rows, {changes:,} changes")
    for at in (2, changes // 2, changes + 1, changes + 2):
        took = [_timed(lambda at=at: dispatcher.past(LOCAL, session, at))[0] for _ in range(5)]  # type: ignore[misc]
        print(f"  revision {at:>6,}: {statistics.median(took) * 1000:6.1f} ms")


def _large(dispatcher: Dispatcher, rows: int) -> None:
    session, other = dispatcher.start(LOCAL, "depot").session, dispatcher.start(LOCAL, "depot").session
    _act(dispatcher, other, "store", first=1, number=100)
    for first in range(1, rows, 1000):
        _act(dispatcher, session, "store", first=first, number=1000)
    _act(dispatcher, session, "weigh_all", weight=7)
    tune()
    print(f"{rows:,} rows; another session's actions, one after the other, meanwhile")
    _beside(dispatcher, other, "nothing", lambda: time.sleep(2))
    fork = _beside(dispatcher, other, "fork", lambda: dispatcher.fork(LOCAL, session).session)
    _beside(dispatcher, other, "undo", lambda: _act(dispatcher, session, "undo"))
    _beside(dispatcher, other, "redo", lambda: _act(dispatcher, session, "redo"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "depot.db"
        _beside(dispatcher, other, "export", lambda: dispatcher.export(LOCAL, session, file))
        _beside(dispatcher, other, "import", lambda: dispatcher.import_file(LOCAL, file))
    _beside(dispatcher, other, "erase", lambda: dispatcher.erase(LOCAL, fork))


def _taken_in(dispatcher: Dispatcher, rows: int) -> None:
    session = dispatcher.start(LOCAL, "dig").session

    def call(name: str, number: int) -> Call:
        return Call(principal=LOCAL, world="dig", action=name, arguments={"number": number}, session=session)

    def take_in() -> None:
        dispatcher.dispatch(asyncio.run(prepared_call(dispatcher, call("take_in", rows), Silent())))

    def act() -> None:
        dispatcher.dispatch(call("find", 1))

    print(
        f"{rows:,} rows taken in, with three indexes; the same session's other actions, one after the other, meanwhile"
    )
    _beside(dispatcher, act, "nothing", lambda: time.sleep(2))
    _beside(dispatcher, act, "take in", take_in)
    ready = asyncio.run(prepared_call(dispatcher, call("take_in", rows), Silent()))
    _beside(dispatcher, act, "give up", lambda: give_up(dispatcher.store, Dig.definition, ready.written))


def _beside(dispatcher: Dispatcher, other: str | Callable[[], None], name: str, work: Callable[[], T]) -> T:
    waits: list[float] = []
    over = threading.Event()

    def weigh() -> None:
        _act(dispatcher, str(other), "weigh", id=1, weight=time.time_ns())

    def act() -> None:
        while not over.is_set():
            waits.append(_timed(weigh if isinstance(other, str) else other)[0])

    thread = threading.Thread(target=act)
    thread.start()
    took, result = _timed(work)
    over.set()
    thread.join()
    waits.sort()
    p50, p99, most = (1000 * waits[place] for place in (len(waits) // 2, len(waits) * 99 // 100, -1))
    print(
        f"  {name:>7}: {took * 1000:7.0f} ms; {len(waits):>5} actions, p50 {p50:.1f}, p99 {p99:.1f}, most {most:.1f} ms"
    )
    return result


def _act(dispatcher: Dispatcher, session: str, name: str, **arguments: int) -> None:
    dispatcher.dispatch(Call(principal=LOCAL, world="depot", action=name, arguments=arguments, session=session))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
