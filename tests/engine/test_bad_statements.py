"""A statement that the database does not take is its author's to mend: nobody waits until it goes better."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import Field, col

from engine import EffectCall, Row, World, action, effect, nobody
from engine.dispatch import Dispatcher
from engine.errors import BadStatement
from engine.types import LOCAL
from tests.bank import desk, rows
from tests.engine.stalls import MINUTE, act, pass_by, told

Make = Callable[..., Dispatcher]


class Page(Row, table=True):
    """A page that nobody writes."""

    __tablename__ = "bad_statements__page"
    number: int = Field(primary_key=True)


BAD: dict[str, Callable[[], Any]] = {
    "function": lambda: func.no_such_function(col(Page.number)) == 1,
    "call": lambda: "number = 1",
}


@effect(on_success="found")
async def look_up(call: EffectCall, how: str) -> str:
    """Find something out."""
    return how


class Reader(World, rows=[Page], effects=[look_up]):
    """Asks what cannot be asked."""

    @action
    def soon(self, how: str) -> None:
        self.after(MINUTE, Reader.found, how=how)

    @action
    def outside(self, how: str) -> None:
        self.effect(look_up, how=how)

    @action(only_for=nobody)
    def found(self, how: str) -> None:
        self.rows(Page).where(BAD[how]())

    @action
    def turn(self) -> None: ...


@pytest.mark.parametrize("how", BAD)
def test_a_timer_of_one_fails_and_its_session_goes_on(dispatcher_of: Make, how: str) -> None:
    dispatcher = dispatcher_of(Reader)
    session = dispatcher.start(LOCAL, "reader").session
    act(dispatcher, session, "soon", how=how)
    pass_by(dispatcher, 2)
    act(dispatcher, session, "turn")
    then, _ = dispatcher.past(LOCAL, session)
    assert [name for _, name in told(dispatcher, session)] == ["start", "soon", "timer", "turn"]
    assert str(then.timers[0].failed).startswith(BadStatement.__name__)


@pytest.mark.parametrize("how", BAD)
def test_an_outcome_of_one_is_parked_and_frees_its_place(dispatcher_of: Make, how: str) -> None:
    dispatcher = dispatcher_of(Reader)
    session = dispatcher.start(LOCAL, "reader").session
    act(dispatcher, session, "outside", how=how)
    with desk(dispatcher) as worker:
        worker.run()
    (row,) = rows(dispatcher)
    assert (row.state, row.worker_id) == ("parked", None) and "the log explains" in str(row.error)
