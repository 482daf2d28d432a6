"""Sessions that nobody changes expire: they say when, can be read and forked, and make room for others."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from engine import World, action, resource
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError, LimitExceeded, Refused
from engine.limits import Limits
from engine.operations import Call
from engine.types import OPERATOR, Outcome, Principal

ANN = Principal("test", "ann", "Ann")
BEN = Principal("test", "ben", "Ben")
DAY = timedelta(days=1)


class Loaf(BaseModel):
    slices: int = 10


class Bread(World, rows=[], expires_after=3 * DAY):
    """Bread, which does not keep."""

    data: Loaf

    @action
    def cut(self) -> int:
        """Cut a slice."""
        self.data.slices -= 1
        return self.data.slices

    @action(confirm="All of it?")
    def eat(self) -> None:
        """Eat what there is."""
        self.data.slices = 0

    @action(read_only=True)
    def count(self) -> int:
        """How many slices are left."""
        return self.data.slices

    @resource
    def slices(self) -> int:
        """How many slices are left."""
        return self.data.slices


class Honey(World, rows=[]):
    """Honey, which keeps."""

    @action
    def stir(self) -> None:
        """Stir it."""


def act(dispatcher: Dispatcher, action: str, session: str | None = None, **more: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=ANN, world="bread", action=action, session=session, **more))


def refused(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


def aged(dispatcher: Dispatcher, by: timedelta) -> None:
    dispatcher.store.offset += by


def test_a_session_expires_so_long_after_its_last_change(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Bread)
    session = act(dispatcher, "cut").session
    aged(dispatcher, 2 * DAY)
    act(dispatcher, "cut", session)
    changed = next(record.updated_at for record, _ in dispatcher.sessions(ANN))
    aged(dispatcher, 2 * DAY)
    assert dispatcher.now(ANN, session).expired_at is None
    aged(dispatcher, DAY)
    expired = datetime.fromisoformat(changed) + 3 * DAY
    assert datetime.fromisoformat(dispatcher.now(ANN, session).expired_at or "") == expired
    error = refused(lambda: act(dispatcher, "cut", session))
    assert error.rule == "session_expired"
    assert expired.isoformat(timespec="microseconds") in error.reason and "3 days" in error.reason
    assert "Fork" in (error.hint or "")


@pytest.mark.parametrize("operation", ["undo", "redo", "end", "share"])
def test_an_expired_session_refuses_what_would_change_it(
    dispatcher_of: Callable[..., Dispatcher], operation: str
) -> None:
    dispatcher = dispatcher_of(Bread)
    session = act(dispatcher, "cut").session
    dispatcher.start(BEN, "bread")
    person = {"person": dispatcher.person("ben")} if operation == "share" else {}
    aged(dispatcher, 3 * DAY)
    assert refused(lambda: act(dispatcher, operation, session, arguments=person)).rule == "session_expired"
    with pytest.raises(Refused, match="expired"):
        dispatcher.check(Call(principal=ANN, world="bread", action="eat", session=session))
    assert dispatcher.now(ANN, session).revision == 2


def test_an_expired_session_is_read_forked_and_erased(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Bread)
    session = act(dispatcher, "cut").session
    aged(dispatcher, 30 * DAY)
    read = act(dispatcher, "count", session)
    assert (read.value, read.allowed_actions) == (9, ("count",)) and read.expired_at is not None
    assert dispatcher.past(ANN, session, 1)[0].data == '{"slices":10}'
    assert len(dispatcher.history(ANN, session)) == 2
    fork = dispatcher.fork(ANN, session)
    assert fork.expired_at is None and act(dispatcher, "cut", fork.session).value == 8
    dispatcher.erase(ANN, session)
    assert [record.handle for record, _ in dispatcher.sessions(ANN)] == [fork.session]


def test_a_call_that_was_answered_before_is_answered_again_after_expiry(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Bread)
    first = act(dispatcher, "cut", key="k")
    aged(dispatcher, 3 * DAY)
    again = act(dispatcher, "cut", first.session, key="k")
    assert (again.value, again.replayed) == (9, 2) and again.expired_at is not None


@pytest.mark.parametrize("action", ["cut", "count"])
def test_an_expired_main_session_gives_its_place_to_a_new_one(
    dispatcher_of: Callable[..., Dispatcher], action: str
) -> None:
    dispatcher = dispatcher_of(Bread)
    old = act(dispatcher, "cut").session
    aged(dispatcher, 3 * DAY)
    assert dispatcher.main_now(ANN, "bread") is None
    new = act(dispatcher, action)
    assert new.session != old and new.value == (9 if action == "cut" else 10)
    found = {record.handle: record.main_of is not None for record, _ in dispatcher.sessions(ANN)}
    assert found == {old: False, new.session: True}
    assert dispatcher.now(ANN, old).expired_at is not None


def test_looking_at_an_expired_session_writes_nothing(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Bread)
    session = act(dispatcher, "cut").session
    aged(dispatcher, 3 * DAY)
    before = dispatcher.sessions(OPERATOR)
    dispatcher.now(ANN, session)
    act(dispatcher, "count", session)
    dispatcher.look(ANN, "bread", session, Bread.slices)  # type: ignore[arg-type]
    assert dispatcher.sessions(OPERATOR) == before


def test_expired_sessions_do_not_count_against_their_owner(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Bread, Honey, limits=Limits(sessions=2))
    for world in ("bread", "honey"):
        dispatcher.start(ANN, world)
    with pytest.raises(LimitExceeded):
        dispatcher.start(ANN, "honey")
    aged(dispatcher, 3 * DAY)
    dispatcher.start(ANN, "honey")
    with pytest.raises(LimitExceeded, match="2 sessions"):
        dispatcher.start(ANN, "honey")


def test_an_ended_session_does_not_expire(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Bread)
    session = act(dispatcher, "cut").session
    act(dispatcher, "end", session)
    aged(dispatcher, 30 * DAY)
    assert refused(lambda: act(dispatcher, "cut", session)).rule == "session_ended"
    assert dispatcher.now(ANN, session).expired_at is None


def test_sessions_of_a_world_that_says_nothing_do_not_expire(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Honey)
    session = dispatcher.start(ANN, "honey").session
    aged(dispatcher, 36_500 * DAY)
    assert dispatcher.now(ANN, session).expired_at is None


@pytest.mark.parametrize("wrong", [timedelta(), timedelta(days=-1), timedelta(days=36_501), 30, "30 days"])
def test_an_idle_time_that_is_none_is_a_wrong_declaration(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="expires_after"):
        type("Wrong", (World,), {"__doc__": "Wrong."}, expires_after=wrong, rows=[])
