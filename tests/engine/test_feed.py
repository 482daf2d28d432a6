"""The feed of a process, beside another that changes the same database."""

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Set
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from sqlmodel import Field

from engine import Row, SharedRow, World, action, resource
from engine.dispatch import Dispatcher
from engine.errors import StoreError
from engine.feed import WINDOW, Feed
from engine.limits import Limits
from engine.looks import main_of
from engine.operations import Call
from engine.retention import KEYS_FOR, prune
from engine.store.feed import Touch
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import LOCAL, Principal

pytestmark = pytest.mark.anyio
SECONDS = 20.0
Heard = Callable[[], Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Leaf(Row, table=True):
    id: int = Field(default=None, primary_key=True)


class Twig(Row, table=True):
    id: int = Field(default=None, primary_key=True)
    names: str = ""


LEAF, TWIG = str(Leaf.__tablename__), str(Twig.__tablename__)


class Bush(World):
    """A bush."""

    @action
    def leaf(self, times: int = 1) -> None:
        """Grow leaves."""
        for _ in range(times):
            self.rows(Leaf).add()

    @action
    def twig(self, names: str = "") -> None:
        """Grow a twig."""
        self.rows(Twig).add(names=names)

    @resource(of=(Leaf,))
    def leaves(self) -> int:
        """How many leaves."""
        return self.rows(Leaf).count()

    @resource(of=(Twig,))
    def twigs(self) -> int:
        """How many twigs."""
        return self.rows(Twig).count()


class Pond(SharedRow, table=True):
    id: int = Field(primary_key=True)
    level: int = 0


def pond() -> Iterable[Pond]:
    yield Pond(id=1)


class Bank(World, shared=[Pond], seed=pond):
    """A bank of a pond."""

    @action(undo=False)
    def pour(self) -> None:
        """Fill the pond."""
        found = self.shared(Pond).lock(id=1)
        assert found is not None
        found.level += 1

    @resource(of=(Pond,))
    def level(self) -> int:
        """How full it is."""
        return sum(found.level for found in self.shared(Pond))


class Noting:
    """A follower that writes down what it is told."""

    def __init__(self) -> None:
        self.sender, self.receiver = anyio.create_memory_object_stream[tuple[str, Set[str] | None]](1000)
        self.readers: dict[str, Set[int]] = {}

    def changed(self, owner: str, tables: Set[str] | None) -> None:
        self.sender.send_nowait((owner, tables))

    def shared_changed(self, world: str, tables: Set[str]) -> None:
        self.sender.send_nowait((world, tables))

    def read_by(self, session: str, people: Set[int]) -> None:
        self.readers[session] = people

    def parted(self, session: str, person: int) -> None:
        raise AssertionError("nobody parted")

    async def heard(self) -> tuple[str, Set[str] | None]:
        with anyio.fail_after(SECONDS):
            return await self.receiver.receive()


@asynccontextmanager
async def following(
    here: Dispatcher, owners: dict[str, Iterable[str]], store: Store | None = None
) -> AsyncIterator[Noting]:
    """A feed that is told of what a dispatcher does, and what it says of owners."""
    feed, noting = Feed(here.registry, store or here.store), Noting()
    feed.followers.append(noting)
    here.listeners.append(feed.tell)
    with noting.sender, noting.receiver:
        async with feed.running():
            await feed.follow(owners)
            yield noting


@pytest.fixture
def two(dispatcher_of: Callable[..., Dispatcher]) -> tuple[Dispatcher, Dispatcher]:
    """Two dispatchers on one database, as of two processes."""
    return dispatcher_of(Bush), dispatcher_of(Bush)


async def did(there: Dispatcher, session: str, action: str, **arguments: Any) -> int:
    world = there.world_of(LOCAL, session)
    call = Call(principal=LOCAL, world=world, session=session, action=action, arguments=arguments)
    return (await to_thread.run_sync(there.dispatch, call)).revision


async def test_what_either_process_did_is_told_once_with_what_it_touched(two: tuple[Dispatcher, Dispatcher]) -> None:
    here, there = two
    session = here.start(LOCAL, "bush").session
    async with following(here, {session: ("leaves", "twigs")}) as noting:
        for dispatcher in (there, here, there, there, here):
            await did(dispatcher, session, "leaf")
            assert await noting.heard() == (session, {LEAF})
        await did(there, session, "twig", names=f'],["{LEAF}",{{')
        assert await noting.heard() == (session, {TWIG})
        await did(there, session, "undo")
        assert await noting.heard() == (session, {TWIG})


async def test_a_change_that_a_retention_emptied_is_one_of_everything(two: tuple[Dispatcher, Dispatcher]) -> None:
    here, there = two
    session = here.start(LOCAL, "bush").session
    feed, noting = Feed(here.registry, here.store), Noting()
    feed.followers.append(noting)
    await feed.follow({session: ("leaves", "twigs")})
    await did(there, session, "leaf")
    here.store.offset = there.store.offset = KEYS_FOR + timedelta(days=2)
    await did(there, session, "twig")
    await to_thread.run_sync(prune, there.store, timedelta(days=1))
    with noting.sender, noting.receiver:
        async with feed.running():
            assert await noting.heard() == (session, None)


class Silent:
    """A watch that never hints."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self, seconds: float) -> bool:
        self._woken.wait(seconds)
        return False

    def wake(self) -> None:
        """Pay no heed."""

    def close(self) -> None:
        self._woken.set()


class Hintless:
    """A store without hints."""

    def __init__(self, store: Store) -> None:
        self.read = store.read
        self.limits = store.limits
        self.watching = Silent


async def test_without_any_hint_a_look_finds_everything(two: tuple[Dispatcher, Dispatcher]) -> None:
    here, there = two
    session = here.start(LOCAL, "bush").session
    person = there.person(LOCAL.subject)
    store: Any = Hintless(here.store)
    async with following(here, {session: ("leaves",), main_of("bush", person): ("leaves",)}, store) as noting:
        await did(there, session, "leaf")
        assert await noting.heard() == (session, {LEAF})
        made = await to_thread.run_sync(lambda: there.start(LOCAL, "bush", main=True))
        assert await noting.heard() == (main_of("bush", person), None)
        await did(there, made.session, "leaf")
        assert await noting.heard() == (main_of("bush", person), {LEAF})


class Away(Hintless):
    """A store that cannot be read for a while."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.is_there, self.was_asked = True, threading.Event()
        self.read = self._read
        self._store = store

    def _read(self, work: Callable[[Transaction], Any]) -> Any:
        if not self.is_there:
            self.was_asked.set()
            raise StoreError("It is away.")
        return self._store.read(work)


async def test_shared_rows_that_changed_while_nobody_could_look_are_told_of_however_long_that_was(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    limits = Limits(seconds=2.0)
    here, there = dispatcher_of(Bank, limits=limits), dispatcher_of(Bank, limits=limits)
    mine, other = here.start(LOCAL, "bank").session, there.start(LOCAL, "bank").session
    away = Away(here.store)
    store: Any = away
    async with following(here, {mine: ("level",)}, store) as noting:
        away.is_there = False
        assert await to_thread.run_sync(away.was_asked.wait, SECONDS)
        await did(there, other, "pour")
        there.store.offset = here.store.offset = WINDOW * timedelta(seconds=limits.seconds) + timedelta(seconds=1)
        away.is_there = True
        assert await noting.heard() == ("bank", {str(Pond.__tablename__)})


async def test_an_erased_session_is_read_by_nobody_nor_is_one_that_takes_its_id(
    two: tuple[Dispatcher, Dispatcher],
) -> None:
    here, there = two
    other, session = here.start(LOCAL, "bush").session, here.start(LOCAL, "bush").session
    async with following(here, {session: (), other: ()}) as noting:
        with anyio.fail_after(SECONDS):
            while not noting.readers.get(session):
                await anyio.sleep(0.01)
            await to_thread.run_sync(there.erase, LOCAL, session)
            while noting.readers[session]:
                await anyio.sleep(0.01)
        assert await noting.heard() == (session, None)
        stranger = there.start(Principal("tests", "ada"), "bush").session
        for number in range(2):
            call = Call(principal=Principal("tests", "ada"), world="bush", session=stranger, action="leaf")
            await to_thread.run_sync(there.dispatch, call)
            assert await did(there, other, "leaf") == number + 2
            assert await noting.heard() == (other, None)
            assert noting.readers[session] == set()


@pytest.mark.parametrize("beside", [False, True])
async def test_a_session_that_was_erased_and_brought_back_between_two_looks_is_told_of(
    two: tuple[Dispatcher, Dispatcher], tmp_path: Path, beside: bool
) -> None:
    here, there = two
    session = here.start(LOCAL, "bush").session
    here.export(LOCAL, session, tmp_path / "bush.db")
    for _ in range(3):
        await did(there, session, "leaf")
    away = Away(here.store)
    store: Any = away
    async with following(here, {session: ("leaves",)}, store) as noting:
        away.is_there = False
        assert await to_thread.run_sync(away.was_asked.wait, SECONDS)
        there.erase(LOCAL, session)
        if beside:  # so that it comes back under another id
            there.start(LOCAL, "bush")
        there.import_file(LOCAL, tmp_path / "bush.db", same_handle=True)
        away.is_there = True
        assert await noting.heard() == (session, None)
        await did(there, session, "leaf")
        assert await noting.heard() == (session, {LEAF})


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ('[["a",null,{"x":1}]]', ["a"]),
        ('[["b",null,{"x":"[[\\"a\\",null"}]]', ["b"]),
        ('[["a",null,{}],["b",{},null]]', ["a", "b"]),
        ("", []),
        (None, ["a", "b"]),
    ],
)
def test_tables_are_found_in_images(images: str | None, found: list[str]) -> None:
    assert list(Touch("ses_x", 1, images).tables(["a", "b"])) == found
