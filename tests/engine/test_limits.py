"""Each limit has a name: what exceeds it is refused with what was received, what is allowed and what to do."""

import json
import time
from collections.abc import Callable

import pytest
from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import LimitExceeded
from engine.limits import Limits, size
from engine.operations import Call
from engine.store.records import Transaction
from engine.types import LOCAL, OPERATOR, Json, Outcome, Principal

ANN = Principal("test", "ann", "Ann")


class Paper(BaseModel):
    text: str = ""


class Leaf(Row, table=True):
    """One leaf of a pile."""

    number: int = Field(primary_key=True)
    text: str = ""


class Pile(World, rows=[Leaf]):
    """A pile of paper."""

    data: Paper

    @action
    def write(self, text: str) -> None:
        """Write on the pile's own sheet."""
        self.data.text = text

    @action
    def echo(self, length: int) -> str:
        """Write, and answer at length."""
        self.data.text = "written"
        return "ü" * length

    @action
    def mumble(self, length: int) -> str:
        """Answer at length without doing anything."""
        self.unchanged()
        return "x" * length

    @action(read_only=True)
    def recite(self, length: int) -> str:
        """Answer at length."""
        return "x" * length

    @action
    def lay(self, first: int, count: int, text: str = "") -> None:
        """Lay leaves on the pile."""
        for number in range(first, first + count):
            self.rows(Leaf).add(number=number, text=text)

    @action
    def burn(self) -> None:
        """Take every leaf away."""
        for leaf in self.rows(Leaf):
            self.rows(Leaf).remove(leaf)

    @action(read_only=True)
    def leaves(self) -> int:
        """How many leaves there are."""
        return self.rows(Leaf).count()

    @action(read_only=True)
    def read(self) -> int:
        """Read every leaf."""
        return len(self.rows(Leaf).where())


def act(dispatcher: Dispatcher, action: str, session: str | None = None, **arguments: Json) -> Outcome:
    return dispatcher.dispatch(Call(principal=ANN, world="pile", action=action, arguments=arguments, session=session))


def refused(
    rule: str, dispatcher: Dispatcher, action: str, session: str | None = None, **arguments: Json
) -> LimitExceeded:
    """The refusal of an action, which changed nothing."""
    before = state(dispatcher)
    with pytest.raises(LimitExceeded) as caught:
        act(dispatcher, action, session, **arguments)
    assert caught.value.rule == rule
    assert f"{caught.value.allowed:,}" in caught.value.reason and caught.value.hint
    assert state(dispatcher) == before
    return caught.value


def state(dispatcher: Dispatcher) -> Json:
    """Everything that the database holds of sessions."""
    return [
        (record, list(dispatcher.past(OPERATOR, record.handle)[0].rows.items()))
        for record, _ in dispatcher.sessions(OPERATOR)
    ]


def test_arguments_may_be_as_large_as_the_limit_and_no_larger(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(arguments=100))
    fits = 100 - size('{"text":""}')
    act(dispatcher, "write", text="x" * fits)
    error = refused("arguments_too_large", dispatcher, "write", text="x" * (fits + 1))
    assert (error.received, error.allowed) == (101, 100)
    refused("arguments_too_large", dispatcher, "write", text="ü" * (fits // 2 + 1))


def test_arguments_of_a_start_are_limited_too(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Named, limits=Limits(arguments=100))
    with pytest.raises(LimitExceeded, match="102 bytes"):
        dispatcher.start(ANN, "named", {"name": "x" * 91})


class Named(World, rows=[]):
    """One with a name."""

    data: Paper

    def start(self, name: str) -> None:
        self.data.text = name

    @action
    def rename(self, name: str) -> None:
        """Take another name."""
        self.data.text = name


@pytest.mark.parametrize("action", ["echo", "mumble", "recite"])
def test_an_answer_that_is_too_large_is_refused_and_its_action_taken_back(
    dispatcher_of: Callable[..., Dispatcher], action: str
) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(result=1000))
    act(dispatcher, "write", text="first")
    fits = 1000 - size('[{"type":"text","text":""}]')
    act(dispatcher, action, length=fits // 2 if action == "echo" else fits)
    error = refused("result_too_large", dispatcher, action, length=fits + 1)
    assert error.received > 1000


def test_a_document_that_is_too_large_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(data=100))
    fits = 100 - size('{"text":""}')
    act(dispatcher, "write", text="x" * fits)
    error = refused("data_too_large", dispatcher, "write", text="x" * (fits + 1))
    assert (error.received, error.allowed) == (101, 100)


def test_a_document_that_was_larger_before_may_stay_while_other_things_change(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    act(dispatcher_of(Pile), "write", text="x" * 200)
    dispatcher = dispatcher_of(Pile, limits=Limits(data=100))
    act(dispatcher, "lay", first=1, count=1)
    refused("data_too_large", dispatcher, "write", text="y" * 200)
    act(dispatcher, "write", text="y")


@pytest.mark.parametrize("action", ["burn", "read"])
def test_an_action_touches_so_many_rows_and_no_more(dispatcher_of: Callable[..., Dispatcher], action: str) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(rows=5))
    act(dispatcher, "lay", first=1, count=5)
    act(dispatcher, action)
    refused("too_many_rows", dispatcher, "lay", first=6, count=6)
    act(dispatcher, "lay", first=6, count=5)
    act(dispatcher, "lay", first=11, count=1)
    refused("too_many_rows", dispatcher, action)
    assert act(dispatcher, "leaves").value in (6, 11)


def test_a_principal_owns_so_many_sessions_and_no_more(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Pile, Named, limits=Limits(sessions=3))
    first = dispatcher.start(ANN, "pile").session
    dispatcher.start(ANN, "named", {"name": "Ann"})
    forked = dispatcher.fork(ANN, first).session
    beginnings: list[Callable[[], object]] = [
        lambda: dispatcher.start(ANN, "pile"),
        lambda: dispatcher.fork(ANN, first),
        lambda: dispatcher.fork(OPERATOR, first),
        lambda: act(dispatcher, "write", text="to a main session"),
        lambda: act(dispatcher, "leaves"),
    ]
    for begin in beginnings:
        with pytest.raises(LimitExceeded, match="3 sessions") as caught:
            begin()
        assert (caught.value.rule, caught.value.received, caught.value.allowed) == ("too_many_sessions", 3, 3)
    assert dispatcher.start(LOCAL, "pile").revision == 1
    dispatcher.dispatch(Call(principal=ANN, world="pile", action="end", session=forked))
    assert act(dispatcher, "write", text="to a main session").revision == 2
    dispatcher.erase(ANN, first)
    assert dispatcher.start(ANN, "pile").revision == 1


def test_a_retried_start_is_answered_though_there_is_no_room_any_more(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(sessions=1))
    made = dispatcher.start(ANN, "pile", key="k")
    assert dispatcher.start(ANN, "pile", key="k").session == made.session


def stored(dispatcher: Dispatcher, session: str) -> int:
    return next(record.stored for record, _ in dispatcher.sessions(OPERATOR) if record.handle == session)


def kept(dispatcher: Dispatcher, session: str) -> int:
    """The bytes of a session's journal and rows, counted from what they are."""

    def work(transaction: Transaction) -> int:
        record = transaction.session(session)
        entries = [] if record is None else transaction.entries(record.id)
        return sum(size(text) for e in entries for text in (e.arguments, e.result, e.data, e.rows) if text)

    rows = dispatcher.past(OPERATOR, session)[0].rows
    images = sum(
        size(json.dumps(image, separators=(",", ":"), ensure_ascii=False)) for found in rows.values() for image in found
    )
    return dispatcher.store.read(work) + images


def test_a_session_knows_the_bytes_of_its_journal_and_rows(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Pile)
    session = act(dispatcher, "write", text="ü").session
    for step, arguments in (
        ("lay", {"first": 1, "count": 3, "text": "größer"}),
        ("undo", {}),
        ("redo", {}),
        ("burn", {}),
        ("write", {"text": "x" * 50}),
    ):
        act(dispatcher, step, **arguments)
        assert stored(dispatcher, session) == kept(dispatcher, session)


def test_a_full_session_refuses_what_adds_to_it_and_can_be_undone_shared_forked_and_ended(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Pile, limits=Limits(stored=2000))
    session = act(dispatcher, "write", text="x" * 600).session
    refused("session_full", dispatcher, "write", text="y" * 600)
    with pytest.raises(LimitExceeded):
        for number in range(100):
            act(dispatcher, "lay", first=number, count=1)
    assert act(dispatcher, "undo").revision > 2
    person = dispatcher.person("ann")
    with pytest.raises(LimitExceeded):
        for _ in range(100):
            act(dispatcher, "redo")
            act(dispatcher, "undo")
    assert person and dispatcher.start(LOCAL, "pile").revision == 1
    act(dispatcher, "share", session, person=dispatcher.person("local"))
    assert dispatcher.fork(ANN, session).session != session
    act(dispatcher, "end", session)


class Clock(World, rows=[Leaf]):
    """One that takes its time."""

    data: Paper

    @action
    def look(self) -> None:
        """Look at the rows for ever."""
        self.data.text = "begun"
        while True:
            self.rows(Leaf).find(number=1)

    @action
    def think(self, until: float) -> str:
        """Think without a look at the rows."""
        self.data.text = "begun"
        while time.monotonic() < until:
            pass
        return "thought"

    @action(read_only=True)
    def gaze(self) -> None:
        """Look at the rows for ever, changing nothing."""
        while True:
            self.rows(Leaf).count()

    @action(read_only=True)
    def dream(self, until: float) -> str:
        """Think without a look at the rows, changing nothing."""
        while time.monotonic() < until:
            pass
        return "dreamt"


@pytest.mark.parametrize("action", ["look", "think", "gaze", "dream"])
def test_an_action_that_takes_too_long_is_refused_at_its_next_look_at_the_rows_or_its_end(
    dispatcher_of: Callable[..., Dispatcher], action: str
) -> None:
    dispatcher = dispatcher_of(Clock, limits=Limits(seconds=0.5))
    session = dispatcher.start(ANN, "clock").session
    arguments = {"until": time.monotonic() + 0.6} if action in ("think", "dream") else {}
    with pytest.raises(LimitExceeded) as caught:
        dispatcher.dispatch(Call(principal=ANN, world="clock", action=action, arguments=arguments, session=session))
    assert caught.value.rule == "action_too_long"
    assert caught.value.received > caught.value.allowed == 0.5
    assert dispatcher.now(ANN, session).revision == 1
