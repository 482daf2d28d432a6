"""Random runs of everything that changes a session, against a plain model of it in memory."""

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action
from engine import upgrade as upgraded
from engine.dispatch import Dispatcher
from engine.errors import Conflict, Refused
from engine.limits import DEFAULT, Limits
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.postgres import PostgresStore
from engine.store.sqlite import SqliteStore
from engine.store.stores import Store
from engine.types import LOCAL, Outcome
from tests.conftest import Database
from tests.postgres import PostgresServer


class Gate(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Sum(BaseModel):
    total: int = 0


class Item(Row, table=True):
    """One thing in the store room."""

    id: int | None = Field(default=None, primary_key=True)
    amount: int


KEPT = 30
"""Days after which a room that nobody changes expires."""
UNIT = {1: 1, 2: 100}
"""What one item counts in the total, by version."""


@upgraded(to=2)
def in_cents(document: dict[str, Any]) -> dict[str, Any]:
    return {"total": document["total"] * 100}


def has_items(room: Any) -> str | None:
    return None if room.rows(Item) else "the room is empty"


def room(version: int) -> type[World]:
    """The store room as it is declared in a version: the second counts its total in cents."""

    class Room(
        World,
        states=Gate,
        start=Gate.OPEN,
        rows=[Item],
        version=version,
        upgrades=[in_cents] if version == 2 else [],
        expires_after=timedelta(days=KEPT),
    ):
        """A store room with data, states and rows."""

        data: Sum

        @action(source=Gate.OPEN)
        def bring(self, amount: int) -> int | None:
            self.data.total += UNIT[version] * amount
            return self.rows(Item).add(amount=amount).id

        @action(source=Gate.OPEN, guards=[has_items])
        def double(self) -> int:
            """Double the first item."""
            item = self.rows(Item).where()[0]
            self.data.total += UNIT[version] * item.amount
            item.amount *= 2
            return item.amount

        @action(source=Gate.OPEN, guards=[has_items])
        def drop(self) -> int:
            """Take the last item away."""
            item = self.rows(Item).where()[-1]
            self.data.total -= UNIT[version] * item.amount
            self.rows(Item).remove(item)
            return item.amount

        @action(source=Gate.OPEN)
        def fill(self, amount: int) -> None:
            """Bring three items at once."""
            self.data.total += UNIT[version] * 3 * amount
            for _ in range(3):
                self.rows(Item).add(amount=amount)

        @action(source=Gate.OPEN, guards=[has_items])
        def clear(self) -> None:
            """Take everything away."""
            self.data.total = 0
            for item in self.rows(Item):
                self.rows(Item).remove(item)

        @action(source=Gate.OPEN, target=Gate.SHUT)
        def shut(self) -> None: ...

        @action(source=Gate.SHUT, target=Gate.OPEN)
        def open(self) -> None: ...

    return Room


@dataclass
class State:
    """What a session is at one revision, with what can be undone and done again from there."""

    gate: str = "open"
    total: int = 0
    items: dict[int, int] = field(default_factory=dict)
    done: list["State"] = field(default_factory=list)
    undone: list["State"] = field(default_factory=list)

    def shown(self, unit: int) -> tuple[str, int, dict[int, int]]:
        return self.gate, self.total * unit, self.items

    def after(self, name: str, amount: int) -> "State | None":
        """The state after a call, or None if it is refused."""
        if name == "undo":
            return self._moved(self.done, self.undone, "undone") if self.done else None
        if name == "redo":
            return self._moved(self.undone, self.done, "done") if self.undone else None
        new = State(self.gate, self.total, dict(self.items), [*self.done, self], [])
        return new if getattr(new, f"_{name}")(amount) else None

    def _moved(self, source: list["State"], target: list["State"], onto: str) -> "State":
        there = source[-1]
        moved = {"done": source[:-1], "undone": source[:-1], onto: [*target, self]}
        return State(there.gate, there.total, dict(there.items), moved["done"], moved["undone"])

    def _bring(self, amount: int) -> bool:
        self.items[max(self.items, default=0) + 1] = amount
        self.total += amount
        return self.gate == "open"

    def _fill(self, amount: int) -> bool:
        return all([self._bring(amount) for _ in range(3)])

    def _clear(self, _: int) -> bool:
        some, self.items, self.total = bool(self.items), {}, 0
        return some and self.gate == "open"

    def _double(self, _: int) -> bool:
        if self.gate != "open" or not self.items:
            return False
        first = min(self.items)
        self.total += self.items[first]
        self.items[first] *= 2
        return True

    def _drop(self, _: int) -> bool:
        if self.gate != "open" or not self.items:
            return False
        self.total -= self.items.pop(max(self.items))
        return True

    def _shut(self, _: int) -> bool:
        before, self.gate = self.gate, "shut"
        return before == "open"

    def _open(self, _: int) -> bool:
        before, self.gate = self.gate, "open"
        return before == "shut"


ROOMS = {version: room(version) for version in UNIT}
Opener = Callable[[Path], Callable[[], Store]]
"""Given an example's folder, how its database is opened, again and again."""


class Rooms(RuleBasedStateMachine):
    """Several sessions of one principal: a started one and its forks."""

    def __init__(self, opener: Opener) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.opener = opener(Path(self.folder.name))
        self.version, self.days = 1, 0
        self.opened()
        handle = self.dispatcher.start(LOCAL, "room").session
        self.sessions: dict[str, list[State]] = {handle: [State()]}
        self.changed = {handle: 0}
        self.files: list[tuple[Path, list[State]]] = []
        self.keyed: list[tuple[Call, Outcome]] = []

    def opened(self) -> None:
        registry = Registry([ROOMS[self.version]])
        store = self.opener()
        store.offset = timedelta(days=self.days)
        upgrade(store, registry.worlds.values())
        self.dispatcher = Dispatcher(store, registry)

    def teardown(self) -> None:
        self.history_is_the_models()
        self.dispatcher.store.close()
        self.folder.cleanup()

    def expired(self, session: str) -> bool:
        return self.days - self.changed[session] >= KEPT

    def came(self, session: str, states: list[State]) -> None:
        """A session came into being."""
        self.sessions[session] = copy.copy(states)
        self.changed[session] = self.days

    def pick(self, number: int) -> str:
        return list(self.sessions)[number % len(self.sessions)]

    @rule(
        number=st.integers(0, 3),
        name=st.sampled_from(
            [
                "bring",
                "bring",
                "fill",
                "fill",
                "double",
                "drop",
                "clear",
                "shut",
                "open",
                "undo",
                "undo",
                "undo",
                "redo",
            ]
        ),
        amount=st.integers(1, 9),
        keyed=st.booleans(),
        current=st.booleans(),
    )
    def call(self, number: int, name: str, amount: int, keyed: bool, current: bool) -> None:
        session = self.pick(number)
        states = self.sessions[session]
        arguments = {"amount": amount} if name in ("bring", "fill") else {}
        call = Call(
            principal=LOCAL,
            world="room",
            action=name,
            arguments=arguments,
            session=session,
            key=f"key {len(self.keyed)}" if keyed else None,
            if_revision=len(states) if current else None,
        )
        expected = None if self.expired(session) else states[-1].after(name, amount)
        try:
            outcome = self.dispatcher.dispatch(call)
        except Refused:
            assert expected is None
            return
        assert expected is not None and outcome.revision == len(states) + 1 and outcome.state == expected.gate
        states.append(expected)
        self.changed[session] = self.days
        if keyed:
            self.keyed.append((call, outcome))

    @precondition(lambda self: self.keyed)
    @rule(number=st.integers(0, 99))
    def retry(self, number: int) -> None:
        call, first = self.keyed[number % len(self.keyed)]
        again = self.dispatcher.dispatch(call)
        assert (again.value, again.replayed) == (first.value, first.revision)
        assert again.revision == len(self.sessions[first.session])

    @precondition(lambda self: self.keyed)
    @rule(number=st.integers(0, 99))
    def reuse_key(self, number: int) -> None:
        call, _ = self.keyed[number % len(self.keyed)]
        other = Call(
            principal=LOCAL, world="room", action="bring", arguments={"amount": 77}, session=call.session, key=call.key
        )
        try:
            self.dispatcher.dispatch(other)
        except Refused as refused:
            assert refused.rule == "key_reused"
        else:
            raise AssertionError("a key was used for another call")

    @rule(number=st.integers(0, 3), behind=st.integers(1, 5))
    def stale(self, number: int, behind: int) -> None:
        session = self.pick(number)
        revision = len(self.sessions[session])
        call = Call(
            principal=LOCAL,
            world="room",
            action="bring",
            arguments={"amount": 88},
            session=session,
            if_revision=revision - behind,
        )
        try:
            self.dispatcher.dispatch(call)
        except Conflict as conflict:
            assert conflict.revision == revision
        else:
            raise AssertionError("a stale revision was accepted")

    @precondition(lambda self: len(self.sessions) < 4)
    @rule(number=st.integers(0, 3), back=st.integers(0, 20))
    def fork(self, number: int, back: int) -> None:
        session = self.pick(number)
        states = self.sessions[session]
        at = max(1, len(states) - back)
        forked = self.dispatcher.fork(LOCAL, session, at)
        assert forked.revision == at
        self.came(forked.session, states[:at])

    @precondition(lambda self: len(self.files) < 3)
    @rule(number=st.integers(0, 3))
    def export(self, number: int) -> None:
        session = self.pick(number)
        path = Path(self.folder.name) / f"{len(self.files)}.session"
        self.dispatcher.export(LOCAL, session, path)
        self.files.append((path, copy.copy(self.sessions[session])))

    @precondition(lambda self: self.files and len(self.sessions) < 4)
    @rule(number=st.integers(0, 2))
    def bring_back(self, number: int) -> None:
        path, states = self.files[number % len(self.files)]
        found = self.dispatcher.import_file(LOCAL, path)
        assert (found.revision, found.state) == (len(states), states[-1].gate)
        self.came(found.session, states)

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        self.days += days
        self.dispatcher.store.offset = timedelta(days=self.days)

    @precondition(lambda self: self.version == 1)
    @rule()
    def new_version(self) -> None:
        self.dispatcher.store.close()
        self.version = 2
        self.opened()

    @rule()
    def reopen(self) -> None:
        self.dispatcher.store.close()
        self.opened()

    @invariant()
    def present_is_the_models(self) -> None:
        for session, states in self.sessions.items():
            found = self.dispatcher.look(
                LOCAL,
                "room",
                session,
                lambda world: (world.state, world.data.total, {item.id: item.amount for item in world.rows(Item)}),
            )
            assert found == states[-1].shown(UNIT[self.version])

    @rule()
    def history_is_the_models(self) -> None:
        for session, states in self.sessions.items():
            self.check_history(session, states)

    def check_history(self, session: str, states: list[State]) -> None:
        """Revisions have no gap, images replayed give the same rows, and so does every past."""
        with self.dispatcher.store.snapshot() as transaction:
            record = transaction.session(session)
            assert record is not None
            entries = list(transaction.entries(record.id))
        assert [entry.revision for entry in entries] == list(range(1, len(states) + 1))
        rows: dict[int, int] = {}
        for entry, state in zip(entries, states, strict=True):
            if entry.adopted is not None:
                rows = dict(state.items)
            for _, before, after in json.loads(entry.rows or "[]"):
                if before is not None:
                    assert rows.pop(before["id"]) == before["amount"]
                if after is not None:
                    rows[after["id"]] = after["amount"]
            assert rows == state.items
            past, _ = self.dispatcher.past(LOCAL, session, entry.revision)
            assert (past.state, json.loads(past.data or "{}")["total"], _items(past.rows)) == state.shown(
                UNIT[self.version]
            )


def _items(rows: dict[str, list[Any]]) -> dict[int, int]:
    return {row["id"]: row["amount"] for found in rows.values() for row in found}


BATCHED = Limits(at_once=2, snapshot=3)
"""With these every fork, and every undo of three rows, is written ahead, and snapshots are many."""
RUNS = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)


@pytest.mark.parametrize("limits", [DEFAULT, BATCHED], ids=["at once", "ahead"])
def test_rooms_are_as_their_model(database: Database, request: pytest.FixtureRequest, limits: Limits) -> None:
    def opener(folder: Path) -> Callable[[], Store]:
        if database == "sqlite":
            return lambda: SqliteStore(str(folder / "rooms.db"), limits)
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.fresh(template="core")
        return lambda: PostgresStore(url, limits, writers=2, readers=2)

    class RoomsHere(Rooms):
        def __init__(self) -> None:
            super().__init__(opener)

    run_state_machine_as_test(RoomsHere, settings=RUNS)
