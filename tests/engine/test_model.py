"""Random runs of everything that changes a session, against a plain model of it in memory."""

import copy
import json
import tempfile
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import Conflict, Refused
from engine.limits import DEFAULT, Limits
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL, Outcome


class Gate(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Sum(BaseModel):
    total: int = 0


class Item(Row, table=True):
    """One thing in the store room."""

    id: int | None = Field(default=None, primary_key=True)
    amount: int


def has_items(room: "Room") -> str | None:
    return None if room.rows(Item) else "the room is empty"


class Room(World, states=Gate, start=Gate.OPEN, rows=[Item]):
    """A store room with data, states and rows."""

    data: Sum

    @action(source=Gate.OPEN)
    def bring(self, amount: int) -> int | None:
        self.data.total += amount
        return self.rows(Item).add(amount=amount).id

    @action(source=Gate.OPEN, guards=[has_items])
    def double(self) -> int:
        """Double the first item."""
        item = self.rows(Item).where()[0]
        self.data.total += item.amount
        item.amount *= 2
        return item.amount

    @action(source=Gate.OPEN, guards=[has_items])
    def drop(self) -> int:
        """Take the last item away."""
        item = self.rows(Item).where()[-1]
        self.data.total -= item.amount
        self.rows(Item).remove(item)
        return item.amount

    @action(source=Gate.OPEN)
    def fill(self, amount: int) -> None:
        """Bring three items at once."""
        self.data.total += 3 * amount
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


@dataclass
class State:
    """What a session is at one revision, with what can be undone and done again from there."""

    gate: str = "open"
    total: int = 0
    items: dict[int, int] = field(default_factory=dict)
    done: list["State"] = field(default_factory=list)
    undone: list["State"] = field(default_factory=list)

    @property
    def shown(self) -> tuple[str, int, dict[int, int]]:
        return self.gate, self.total, self.items

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


class Rooms(RuleBasedStateMachine):
    """Several sessions of one principal: a started one and its forks."""

    limits = DEFAULT

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.opened()
        handle = self.dispatcher.start(LOCAL, "room").session
        self.sessions: dict[str, list[State]] = {handle: [State()]}
        self.keyed: list[tuple[Call, Outcome]] = []

    def opened(self) -> None:
        registry = Registry([Room])
        store = SqliteStore(str(Path(self.folder.name) / "rooms.db"), self.limits)
        upgrade(store, registry.worlds.values())
        self.dispatcher = Dispatcher(store, registry)

    def teardown(self) -> None:
        self.history_is_the_models()
        self.dispatcher.store.close()
        self.folder.cleanup()

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
        expected = states[-1].after(name, amount)
        try:
            outcome = self.dispatcher.dispatch(call)
        except Refused:
            assert expected is None
            return
        assert expected is not None and outcome.revision == len(states) + 1 and outcome.state == expected.gate
        states.append(expected)
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
        self.sessions[forked.session] = copy.copy(states[:at])

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
            assert found == states[-1].shown

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
            assert (past.state, json.loads(past.data or "{}")["total"], _items(past.rows)) == state.shown


def _items(rows: dict[str, list[Any]]) -> dict[int, int]:
    return {row["id"]: row["amount"] for found in rows.values() for row in found}


class BatchedRooms(Rooms):
    """The same where every fork, and every undo of three rows, is written ahead, and snapshots are many."""

    limits = Limits(at_once=2, snapshot=3)


TestRooms = Rooms.TestCase
TestBatchedRooms = BatchedRooms.TestCase
TestRooms.settings = TestBatchedRooms.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
