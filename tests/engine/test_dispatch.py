"""The one path: what is asked of a call, in which order, and what a refusal leaves."""

import threading
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import inspect
from sqlmodel import Field

from engine import Row, World, action, resource
from engine.dispatch import Dispatcher
from engine.errors import (
    Conflict,
    EngineError,
    Forbidden,
    InvalidArguments,
    LimitExceeded,
    NotFound,
    Refused,
)
from engine.operations import Call
from engine.types import LOCAL, OPERATOR, Change, Outcome, Principal, Role

ANN = Principal("test", "ann", "Ann")
BEN = Principal("test", "ben", "Ben")
CY = Principal("test", "cy", "Cy")
NOBODYS = "ses_AAAAAAAAAAAAAAAAAAAAAAAA"


class Lid(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Purse(BaseModel):
    spent: int = 0


class Coin(Row, table=True):
    """One coin of a box."""

    id: int | None = Field(default=None, primary_key=True)
    cents: int = Field(ge=1)


def has_coins(box: "Box") -> str | None:
    return None if box.rows(Coin) else "the box is empty"


def can_afford(box: "Box", price: int) -> str | None:
    owned = sum(coin.cents for coin in box.rows(Coin))
    return None if owned >= price else f"{price} cents are needed, the box holds {owned}"


class Rest(BaseModel):
    naps: int = 0


class Idle(World, rows=[]):
    """One who mostly does nothing."""

    data: Rest

    def start(self) -> str:
        return "Good night."

    @action
    def nap(self, deep: bool) -> str:
        """Sleep, if it is deep."""
        if not deep:
            self.unchanged()
            return "nothing"
        self.data.naps += 1
        return "slept"

    @action
    def pretend(self) -> None:
        """Say one thing and do another."""
        self.data.naps += 1
        self.unchanged()


class Box(World, states=Lid, start=Lid.OPEN, rows=[Coin]):
    """A box of coins."""

    data: Purse

    @action(source=Lid.OPEN)
    def put(self, cents: int) -> int | None:
        """Put a coin in."""
        return self.rows(Coin).add(cents=cents).id

    @action(source=Lid.OPEN, guards=[has_coins, can_afford])
    def spend(self, price: int) -> int:
        """Spend money."""
        self.data.spent += price
        return self.data.spent

    @action(source=Lid.OPEN, target=Lid.SHUT, guards=[has_coins])
    def shut(self) -> None:
        """Shut the lid."""

    @action(source=Lid.SHUT, target=Lid.OPEN)
    def open(self) -> None:
        """Open the lid."""

    @action(source=Lid.OPEN)
    def fumble(self, cents: int) -> None:
        """Change everything, then fail."""
        self.data.spent = 99
        self.rows(Coin).add(cents=cents)
        raise ZeroDivisionError("dropped it")

    @action(source=Lid.OPEN, scope="box:bank")
    def bank(self) -> None:
        """Needs a scope of its own."""

    @action
    def roll(self, sides: int = 6) -> int:
        """Roll a die."""
        return self.random.randint(1, sides)

    @action(read_only=True)
    def count(self) -> int:
        """How many coins there are."""
        return self.rows(Coin).count()

    @action(read_only=True)
    def meddle(self) -> None:
        """A read-only action that tries to write a row."""
        self.rows(Coin).add(cents=1)

    @action(read_only=True)
    def pretend(self) -> int:
        """A read-only action that changes its copy of the data."""
        self.data.spent = 7
        return self.data.spent

    @action(read_only=True)
    def gild(self) -> int:
        """A read-only action that changes rows in its hands."""
        for coin in self.rows(Coin):
            coin.cents = 1000
        return self.rows(Coin).count()

    @resource
    def contents(self) -> list[int]:
        """What every coin is worth."""
        return [coin.cents for coin in self.rows(Coin)]


def act(
    dispatcher: Dispatcher, action: str, *, by: Principal = ANN, session: str | None = None, **given: Any
) -> Outcome:
    return dispatcher.dispatch(call(action, by=by, session=session, **given))


def call(
    action: str,
    *,
    by: Principal = ANN,
    session: str | None = None,
    key: str | None = None,
    if_revision: int | None = None,
    **arguments: Any,
) -> Call:
    return Call(
        principal=by,
        world="box",
        action=action,
        arguments=arguments,
        session=session,
        key=key,
        if_revision=if_revision,
    )


def snapshot(dispatcher: Dispatcher) -> dict[str, list[Any]]:
    """Everything that is in the database about sessions."""
    with dispatcher.store.snapshot() as transaction:
        connection = transaction.db.connection()
        tables = ("session", "journal", "test_dispatch__coin", "start_key", "share")
        found = [name for name in inspect(connection).get_table_names() if name in tables or name.endswith("__coin")]
        return {name: sorted(map(repr, connection.exec_driver_sql(f"select * from {name}"))) for name in found}


def refused(dispatcher: Dispatcher, error: type[EngineError], asked: Call) -> EngineError:
    """The error of a call, having made sure that it left nothing."""
    before = snapshot(dispatcher)
    with pytest.raises(error) as raised:
        dispatcher.dispatch(asked)
    assert snapshot(dispatcher) == before
    assert "Traceback" not in str(raised.value)
    return raised.value


# arguments


def test_accepted_action_gives_its_value_revision_state_and_what_is_possible(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    outcome = act(dispatcher_of(Box), "put", cents=5)
    assert (outcome.value, outcome.revision, outcome.state) == (1, 2, "open")
    assert outcome.session.startswith("ses_") and outcome.world == "box" and outcome.replayed is None
    assert outcome.allowed_actions == (
        "put",
        "spend",
        "shut",
        "fumble",
        "bank",
        "roll",
        "count",
        "meddle",
        "pretend",
        "gild",
    )


def test_wrong_arguments_are_told_before_a_missing_session(dispatcher_of: Callable[..., Dispatcher]) -> None:
    error = refused(dispatcher_of(Box), InvalidArguments, call("put", session=NOBODYS, cents="many"))
    assert error.path == "$.cents"
    assert "'many'" in str(error) and "The arguments are: cents." in str(error)


def test_missing_argument_is_named(dispatcher_of: Callable[..., Dispatcher]) -> None:
    error = refused(dispatcher_of(Box), InvalidArguments, call("put"))
    assert "$.cents" in str(error) and "The arguments are: cents." in str(error)


def test_unknown_argument_is_named_beside_the_known_ones(dispatcher_of: Callable[..., Dispatcher]) -> None:
    error = refused(dispatcher_of(Box), InvalidArguments, call("put", cents=1, colour="red"))
    assert "colour" in str(error) and "The arguments are: cents." in str(error)


def test_too_many_bytes_of_arguments_are_refused_with_the_limit(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Pad(World, rows=[]):
        @action
        def write(self, text: str) -> None: ...

    dispatcher = dispatcher_of(Pad)
    asked = Call(principal=ANN, world="pad", action="write", arguments={"text": "x" * 1024 * 1024})
    error = refused(dispatcher, LimitExceeded, asked)
    assert "1,048,576" in str(error)


def test_lone_surrogate_is_refused_as_no_character(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Slate(World, rows=[]):
        @action
        def write(self, text: str) -> None: ...

    asked = Call(principal=ANN, world="slate", action="write", arguments={"text": "\ud800"})
    refused(dispatcher_of(Slate), InvalidArguments, asked)


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_key_of_a_wrong_length_is_refused(dispatcher_of: Callable[..., Dispatcher], key: str) -> None:
    error = refused(dispatcher_of(Box), InvalidArguments, call("put", cents=1, key=key))
    assert "1 to 200 characters" in str(error)


def test_unknown_world_is_refused_with_those_there_are(dispatcher_of: Callable[..., Dispatcher]) -> None:
    error = refused(dispatcher_of(Box), NotFound, replace(call("put", cents=1), world="crate"))
    assert "'crate'" in str(error) and "There are: box." in str(error)


def test_unknown_action_is_refused_with_those_there_are(dispatcher_of: Callable[..., Dispatcher]) -> None:
    error = refused(dispatcher_of(Box), NotFound, call("kick"))
    assert "'kick'" in str(error) and "It has: put, spend" in str(error)


# whose session


def test_missing_session_is_not_found_before_a_missing_scope(dispatcher_of: Callable[..., Dispatcher]) -> None:
    nothing = replace(ANN, scopes=frozenset())
    refused(dispatcher_of(Box), NotFound, call("put", by=nothing, session=NOBODYS, cents=1))


def test_anothers_session_answers_like_one_that_never_was(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    anns = act(dispatcher, "put", cents=5).session
    for ask in (
        lambda handle: act(dispatcher, "put", by=BEN, session=handle, cents=1),
        lambda handle: act(dispatcher, "undo", by=BEN, session=handle),
        lambda handle: act(dispatcher, "end", by=BEN, session=handle),
        lambda handle: dispatcher.read(call("count", by=BEN, session=handle)),
        lambda handle: dispatcher.recorded(call("put", by=BEN, session=handle, cents=5)),
        lambda handle: dispatcher.check(call("put", by=BEN, session=handle, cents=1)),
        lambda handle: dispatcher.now(BEN, handle),
        lambda handle: dispatcher.fork(BEN, handle),
        lambda handle: dispatcher.erase(BEN, handle),
        lambda handle: dispatcher.world_of(BEN, handle),
        lambda handle: dispatcher.detached(BEN, "box", handle, 2),
        lambda handle: dispatcher.look(BEN, "box", handle, lambda world: world.revision),
    ):
        with pytest.raises(NotFound) as hidden:
            ask(anns)
        with pytest.raises(NotFound) as unknown:
            ask(NOBODYS)
        assert type(hidden.value) is type(unknown.value)
        assert str(hidden.value).replace(anns, "…") == str(unknown.value).replace(NOBODYS, "…")


def test_session_of_another_world_is_not_found(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Crate(World, rows=[]):
        @action
        def kick(self) -> None: ...

    dispatcher = dispatcher_of(Box, Crate)
    crate = dispatcher.start(ANN, "crate").session
    refused(dispatcher, NotFound, call("put", session=crate, cents=1))


def test_without_a_handle_each_principal_has_a_session_of_their_own(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    anns, bens = act(dispatcher, "put", cents=5), act(dispatcher, "put", by=BEN, cents=7)
    assert anns.session != bens.session
    assert dispatcher.read(call("count", by=BEN)).value == 1


def test_roles_read_act_and_decide_as_far_as_they_go(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    for person in (BEN, CY):
        dispatcher.main(person, "box")
    act(dispatcher, "share", session=session, person=dispatcher.person("ben"), role="viewer")
    act(dispatcher, "share", session=session, person=dispatcher.person("cy"), role="editor")

    assert dispatcher.read(call("count", by=BEN, session=session)).value == 1
    assert "role editor; you are viewer" in str(
        refused(dispatcher, Forbidden, call("put", by=BEN, session=session, cents=1))
    )
    refused(dispatcher, Forbidden, call("undo", by=BEN, session=session))
    assert dispatcher.fork(BEN, session).session != session

    assert act(dispatcher, "put", by=CY, session=session, cents=1).value == 2
    assert act(dispatcher, "undo", by=CY, session=session).value == {"revision": 5, "action": "put"}
    assert "role owner; you are editor" in str(refused(dispatcher, Forbidden, call("end", by=CY, session=session)))
    refused(dispatcher, Forbidden, call("share", by=CY, session=session, person=1))
    with pytest.raises(Forbidden):
        dispatcher.erase(CY, session)


def test_share_taken_back_hides_the_session_again(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    dispatcher.main(BEN, "box")
    ben = dispatcher.person("ben")
    act(dispatcher, "share", session=session, person=ben)
    act(dispatcher, "share", session=session, person=ben, role=None)
    refused(dispatcher, NotFound, call("put", by=BEN, session=session, cents=1))


def test_sharing_with_the_owner_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = dispatcher.main(ANN, "box")
    error = refused(dispatcher, Refused, call("share", session=session, person=dispatcher.person("ann")))
    assert error.rule == "already_owner"


def test_unknown_person_is_refused_by_name(dispatcher_of: Callable[..., Dispatcher]) -> None:
    with pytest.raises(Refused, match="Nobody here is called 'zoe'") as raised:
        dispatcher_of(Box).person("zoe")
    assert raised.value.rule == "unknown_person"


def test_operator_may_do_what_the_owner_may(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    assert act(dispatcher, "undo", by=OPERATOR, session=session).revision == 3
    assert dispatcher.read(call("count", session=session)).value == 0


@pytest.mark.parametrize(
    ("granted", "action", "missing"),
    [
        ({"box:read"}, "roll", "box:write"),
        ({"box:read", "box:write"}, "bank", "box:bank"),
        ({"box:read"}, "undo", "box:write"),
    ],
)
def test_missing_scope_is_named(
    dispatcher_of: Callable[..., Dispatcher], granted: set[str], action: str, missing: str
) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    error = refused(dispatcher, Forbidden, call(action, by=replace(ANN, scopes=frozenset(granted))))
    assert isinstance(error, Forbidden) and error.scope == missing and missing in str(error)


def test_reading_and_starting_need_their_scopes(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    with pytest.raises(Forbidden) as reading:
        dispatcher.read(call("count", by=replace(ANN, scopes=frozenset({"box:write"}))))
    with pytest.raises(Forbidden) as starting:
        dispatcher.start(replace(ANN, scopes=frozenset({"box:read"})), "box")
    assert (reading.value.scope, starting.value.scope) == ("box:read", "box:write")


def test_role_is_asked_before_scope(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = dispatcher.main(ANN, "box")
    dispatcher.main(BEN, "box")
    act(dispatcher, "share", session=session, person=dispatcher.person("ben"))
    viewer = replace(BEN, scopes=frozenset())
    assert "role editor" in str(refused(dispatcher, Forbidden, call("put", by=viewer, session=session, cents=1)))


# replay


def test_repeated_key_gives_the_first_answer_and_the_present_revision(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    first = act(dispatcher, "put", cents=5, key="a")
    act(dispatcher, "put", cents=6)
    again = act(dispatcher, "put", cents=5, key="a")
    assert (again.value, again.content, again.replayed, again.revision) == (first.value, first.content, 2, 3)
    assert [message.code for message in again.messages] == ["replayed"] and again.change is None
    assert dispatcher.read(call("count")).value == 2


def test_replay_comes_before_stale_revision_state_and_guards(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    act(dispatcher, "spend", price=5, key="s", if_revision=2)
    act(dispatcher, "undo")
    act(dispatcher, "undo")  # now the guard would say no
    assert act(dispatcher, "spend", price=5, key="s", if_revision=2).replayed == 3
    act(dispatcher, "put", cents=5)
    act(dispatcher, "shut", key="z")  # now the state would say no
    assert act(dispatcher, "shut", key="z").replayed == 7
    assert act(dispatcher, "spend", price=5, key="s", if_revision=1).replayed == 3


def test_replay_is_answered_after_the_session_ended(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5, key="a").session
    act(dispatcher, "end", session=session)
    assert act(dispatcher, "put", session=session, cents=5, key="a").replayed == 2


def test_equal_arguments_written_differently_are_the_same_call(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "roll", key="a")
    assert act(dispatcher, "roll", key="a", sides="6").replayed == 2


@pytest.mark.parametrize(("action", "arguments"), [("put", {"cents": 6}), ("shut", {})])
def test_key_of_another_call_is_refused_as_reused(
    dispatcher_of: Callable[..., Dispatcher], action: str, arguments: dict[str, Any]
) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5, key="a")
    error = refused(dispatcher, Refused, call(action, key="a", **arguments))
    assert error.rule == "key_reused" and "take a new key" in str(error)


def test_same_key_of_another_principal_is_another_key(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5, key="a").session
    dispatcher.main(BEN, "box")
    act(dispatcher, "share", session=session, person=dispatcher.person("ben"), role="editor")
    outcome = act(dispatcher, "put", by=BEN, session=session, cents=6, key="a")
    assert outcome.replayed is None and outcome.value == 2


def test_same_key_in_another_session_is_another_key(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    other = dispatcher.start(ANN, "box").session
    act(dispatcher, "put", cents=5, key="a")
    assert act(dispatcher, "put", session=other, cents=6, key="a").replayed is None


def test_repeat_by_revision_alone_is_replayed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    act(dispatcher, "put", cents=5, if_revision=1)
    again = act(dispatcher, "put", cents=5, if_revision=1)
    assert (again.replayed, again.revision) == (2, 2)
    assert dispatcher.read(call("count")).value == 1


def test_repeat_by_revision_of_what_was_undone_since_is_stale(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    act(dispatcher, "put", cents=5, if_revision=1)
    act(dispatcher, "undo")
    refused(dispatcher, Conflict, call("put", cents=5, if_revision=1))
    act(dispatcher, "redo")
    assert act(dispatcher, "put", cents=5, if_revision=1).replayed == 2


def test_repeat_by_revision_of_an_undo_is_replayed_unless_done_again_since(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    act(dispatcher, "undo", if_revision=2)
    assert act(dispatcher, "undo", if_revision=2).replayed == 3
    act(dispatcher, "redo")
    refused(dispatcher, Conflict, call("undo", if_revision=2))


def test_repeat_by_revision_of_another_principal_is_stale(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = dispatcher.main(ANN, "box")
    dispatcher.main(BEN, "box")
    act(dispatcher, "share", session=session, person=dispatcher.person("ben"), role="editor")
    act(dispatcher, "put", session=session, cents=5, if_revision=2)
    refused(dispatcher, Conflict, call("put", by=BEN, session=session, cents=5, if_revision=2))


def test_refusals_are_not_recorded_and_decided_anew(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    refused(dispatcher, Refused, call("spend", price=5, key="s"))
    act(dispatcher, "put", cents=5)
    outcome = act(dispatcher, "spend", price=5, key="s")
    assert (outcome.value, outcome.replayed) == (5, None)


def test_recorded_answer_can_be_asked_for(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    assert dispatcher.recorded(call("put", cents=5, key="a")) is None
    act(dispatcher, "put", cents=5, key="a")
    found = dispatcher.recorded(call("put", cents=5, key="a"))
    assert found is not None and (found.value, found.replayed) == (1, 2)


def test_repeated_start_gives_the_same_session(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    first, again = dispatcher.start(ANN, "box", key="a"), dispatcher.start(ANN, "box", key="a")
    assert (again.session, again.replayed) == (first.session, 1)
    assert dispatcher.start(BEN, "box", key="a").session != first.session
    with pytest.raises(Refused) as raised:
        dispatcher.start(ANN, "box", key="a", main=True)
    assert raised.value.rule == "key_reused"


def test_repeated_fork_gives_the_same_session(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    first, again = dispatcher.fork(ANN, session, 1, key="f"), dispatcher.fork(ANN, session, 1, key="f")
    assert (again.session, again.replayed) == (first.session, 1)
    with pytest.raises(Refused) as raised:
        dispatcher.fork(ANN, session, 2, key="f")
    assert raised.value.rule == "key_reused"


# revision


def test_stale_revision_is_refused_with_what_happened_since(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    for cents in (5, 6):
        act(dispatcher, "put", cents=cents)
    error = refused(dispatcher, Conflict, call("put", cents=7, if_revision=1))
    assert isinstance(error, Conflict) and error.revision == 3 and error.rule == "stale_revision"
    assert 'at revision 3, not 1. Since then: 2: put {"cents":5}, 3: put {"cents":6}.' in str(error)


def test_revision_that_is_yet_to_come_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    assert "at revision 2, not 3." in str(refused(dispatcher, Conflict, call("put", cents=7, if_revision=3)))


def test_stale_revision_is_told_before_state_and_guards(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    refused(dispatcher, Conflict, call("spend", price=5, if_revision=7))


# state and guards


def test_wrong_state_is_told_with_what_is_possible_and_before_guards(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    assert act(dispatcher, "shut").state == "shut"
    error = refused(dispatcher, Refused, call("spend", price=999))
    assert error.rule == "wrong_state"
    assert "spend is not possible while the session is shut." in str(error)
    assert "Possible now: open, roll, count" in str(error)


def test_first_guard_that_says_no_is_named(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    dispatcher.main(ANN, "box")
    error = refused(dispatcher, Refused, call("spend", price=5))
    assert (error.rule, error.reason) == ("has_coins", "the box is empty")
    act(dispatcher, "put", cents=3)
    error = refused(dispatcher, Refused, call("spend", price=5))
    assert (error.rule, error.reason) == ("can_afford", "5 cents are needed, the box holds 3")


def test_allowed_actions_ask_the_guards_that_need_no_arguments(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    empty = dispatcher.now(ANN, dispatcher.main(ANN, "box")).allowed_actions
    assert "put" in empty and "spend" not in empty and "shut" not in empty and "open" not in empty


def test_check_asks_state_and_guards_and_changes_nothing(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    before = snapshot(dispatcher)
    assert dispatcher.check(call("spend", price=5)) == (session, 2)
    with pytest.raises(Refused, match="6 cents are needed"):
        dispatcher.check(call("spend", price=6))
    with pytest.raises(Conflict):
        dispatcher.check(call("spend", price=5, if_revision=1))
    assert snapshot(dispatcher) == before


class Peg(Row, table=True):
    """A row that guards try to change."""

    id: int | None = Field(default=None, primary_key=True)
    colour: str = "plain"


class Marks(BaseModel):
    words: list[str] = []


def adds_a_row(board: "Board") -> str | None:
    board.rows(Peg).add(colour="red")
    return None


def removes_a_row(board: "Board") -> str | None:
    board.rows(Peg).remove(board.rows(Peg).where()[0])
    return None


def paints_a_row(board: "Board") -> str | None:
    for peg in board.rows(Peg):
        peg.colour = "red"
    return None


def changes_data(board: "Board") -> str | None:
    board.data.words.append("sly")
    return None


class Board(World, rows=[Peg]):
    """A world whose guards write, as they must not."""

    data: Marks

    def start(self) -> None:
        """Begin with one row."""
        self.rows(Peg).add()

    def asked_with(self, word: str) -> str | None:
        return None if word else "no word"

    @action(guards=["asked_with", "adds"])
    def by_adding(self, word: str = "x") -> None: ...

    def adds(self, word: str) -> str | None:
        return adds_a_row(self)

    @action(guards=["asked_with", "removes"])
    def by_removing(self, word: str = "x") -> None: ...

    def removes(self, word: str) -> str | None:
        return removes_a_row(self)

    @action(guards=["paints"])
    def by_painting(self, word: str = "x") -> int:
        return self.rows(Peg).count()

    @action(guards=["paints"])
    def by_painting_unseen(self, word: str = "x") -> None: ...

    def paints(self, word: str) -> str | None:
        return paints_a_row(self)

    @action(guards=[changes_data])
    def by_data(self) -> int:
        return len(self.data.words)


@pytest.mark.parametrize("action", ["by_adding", "by_removing", "by_painting", "by_painting_unseen"])
def test_guard_cannot_write_rows(dispatcher_of: Callable[..., Dispatcher], action: str) -> None:
    dispatcher = dispatcher_of(Board)
    session = dispatcher.main(ANN, "board")
    asked = Call(principal=ANN, world="board", action=action)
    if action == "by_painting_unseen":
        dispatcher.dispatch(asked)  # what the guard did in memory is dropped
    else:
        with pytest.raises(TypeError, match="only read"):
            dispatcher.dispatch(asked)
    colours = dispatcher.look(ANN, "board", session, lambda world: [peg.colour for peg in world.rows(Peg)])
    assert colours == ["plain"]


def test_data_that_a_guard_changes_is_not_kept(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Board)
    outcome = dispatcher.dispatch(Call(principal=ANN, world="board", action="by_data"))
    assert outcome.value == 0
    assert dispatcher.look(ANN, "board", None, lambda world: world.data.words) == []


# the method


def test_exception_in_a_method_leaves_nothing(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    before = snapshot(dispatcher)
    with pytest.raises(ZeroDivisionError):
        act(dispatcher, "fumble", cents=1)
    assert snapshot(dispatcher) == before
    assert dispatcher.now(ANN, session).revision == 2


def test_exception_in_the_first_call_leaves_no_main_session(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    with pytest.raises(ZeroDivisionError):
        act(dispatcher, "fumble", cents=1)
    assert snapshot(dispatcher) == {"session": [], "journal": [], "start_key": [], "share": [], **_no_coins(dispatcher)}


def _no_coins(dispatcher: Dispatcher) -> dict[str, list[Any]]:
    return {name: [] for name in snapshot(dispatcher) if name.endswith("__coin")}


def test_state_and_journal_are_written_together(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    outcome = act(dispatcher, "shut")
    with dispatcher.store.snapshot() as transaction:
        record = transaction.session(outcome.session)
        assert record is not None
        entries = list(transaction.entries(record.id))
    assert (record.state, record.revision) == ("shut", 3)
    assert [(entry.revision, entry.action, entry.state) for entry in entries] == [
        (1, "start", "open"),
        (2, "put", "open"),
        (3, "shut", "shut"),
    ]
    assert outcome.change is not None
    assert (outcome.change.state_before, outcome.change.state, outcome.change.revision) == ("open", "shut", 3)


def test_seed_of_randomness_is_in_the_journal(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    outcome = act(dispatcher, "roll", sides=1000)
    with dispatcher.store.snapshot() as transaction:
        record = transaction.session(outcome.session)
        assert record is not None
        entry = transaction.entry(record.id, 2)
    assert entry is not None and entry.seed is not None
    assert Random(entry.seed).randint(1, 1000) == outcome.value


def test_read_only_action_makes_no_revision(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    before = snapshot(dispatcher)
    outcome = dispatcher.read(call("count"))
    assert (outcome.value, outcome.revision) == (1, 2)
    assert snapshot(dispatcher) == before


def test_read_only_action_cannot_write_rows(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    before = snapshot(dispatcher)
    for name in ("meddle", "gild"):
        with pytest.raises(TypeError, match="only read"):
            dispatcher.read(call(name))
    assert dispatcher.read(call("pretend")).value == 7
    assert snapshot(dispatcher) == before


def test_read_only_action_is_refused_for_a_stale_revision(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    with pytest.raises(Conflict):
        dispatcher.read(call("count", if_revision=1))


def test_resource_method_cannot_write(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    act(dispatcher, "put", cents=5)
    assert dispatcher.look(ANN, "box", None, Box.definition.resources["contents"].method) == [5]
    with pytest.raises(TypeError, match="only read"):
        dispatcher.look(ANN, "box", None, lambda world: world.rows(Coin).add(cents=1))


def test_detached_view_reads_until_the_session_goes_on(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    view = dispatcher.detached(ANN, "box", session, 2)
    assert len(view.rows(Coin)) == 1 and view.revision == 2
    act(dispatcher, "put", cents=6)
    with pytest.raises(Conflict, match="went on to revision 3"):
        len(view.rows(Coin))
    with pytest.raises(Conflict):
        dispatcher.detached(ANN, "box", session, 2)


# main sessions


def test_racing_first_calls_share_one_main_session(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    barrier, found = threading.Barrier(8), []

    def first(number: int) -> None:
        barrier.wait()
        found.append(act(dispatcher, "put", cents=1).session if number % 2 else dispatcher.main(ANN, "box"))

    threads = [threading.Thread(target=first, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert dispatcher.now(ANN, found[0]).revision == 5
    assert len(snapshot(dispatcher)["session"]) == 1


def test_started_main_session_takes_the_others_place(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    first = dispatcher.main(ANN, "box")
    beside = dispatcher.start(ANN, "box").session
    assert dispatcher.main(ANN, "box") == first != beside
    second = dispatcher.start(ANN, "box", main=True).session
    assert dispatcher.main(ANN, "box") == second
    assert dispatcher.now(ANN, first).revision == 1


def test_ended_main_session_frees_the_place(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    first = dispatcher.main(ANN, "box")
    act(dispatcher, "end")
    assert dispatcher.main(ANN, "box") != first


def test_ended_session_is_read_forked_and_shared_and_nothing_else(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    ended = act(dispatcher, "end", session=session)
    assert ended.allowed_actions == ("count", "meddle", "pretend", "gild") and ended.revision == 3
    for asked in (call("put", cents=1), call("undo"), call("redo"), call("end")):
        error = refused(dispatcher, Refused, replace(asked, session=session))
        assert error.rule == "session_ended" and "Start or fork another one." in str(error)
    assert dispatcher.read(call("count", session=session)).value == 1
    fork = dispatcher.fork(ANN, session).session
    assert act(dispatcher, "put", session=fork, cents=6).value == 2


def test_erased_session_leaves_nothing(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=5).session
    dispatcher.erase(ANN, session)
    assert not any(snapshot(dispatcher).values())
    refused(dispatcher, NotFound, call("put", session=session, cents=1))


def test_world_whose_start_needs_arguments_has_no_main_session_by_itself(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    class Trip(World, rows=[]):
        def start(self, city: str) -> str:
            """Where to."""
            return f"Off to {city}"

        @action
        def walk(self) -> None: ...

    dispatcher = dispatcher_of(Trip)
    asked = Call(principal=ANN, world="trip", action="walk")
    error = refused(dispatcher, Refused, asked)
    assert error.rule == "not_started" and "needs: city" in str(error) and "start_session" in str(error)
    with pytest.raises(InvalidArguments, match=r"\$.city"):
        dispatcher.start(ANN, "trip", main=True)
    assert dispatcher.start(ANN, "trip", {"city": "Rome"}, main=True).value == "Off to Rome"
    assert dispatcher.dispatch(asked).revision == 2


# order and concurrency


def test_no_update_is_lost_among_threads(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Box)
    session = act(dispatcher, "put", cents=10_000).session
    barrier, revisions = threading.Barrier(8), []

    def spend() -> None:
        barrier.wait()
        for _ in range(25):
            revisions.append(act(dispatcher, "spend", session=session, price=1).revision)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revisions) == list(range(3, 203))
    assert dispatcher.look(ANN, "box", session, lambda world: world.data.spent) == 200


def test_listeners_hear_of_changes_in_the_order_of_their_commits(dispatcher_of: Callable[..., Dispatcher]) -> None:
    heard: list[int] = []
    overtaking = threading.Thread(target=lambda: act(dispatcher, "roll"))

    def listen(change: Change) -> None:
        if change.revision == 1:
            overtaking.start()
            overtaking.join(timeout=0.2)  # long enough to overtake, if it could
        heard.append(change.revision)

    dispatcher = dispatcher_of(Box, listeners=[listen])
    dispatcher.main(ANN, "box")
    overtaking.join()
    assert heard == [1, 2]


def test_roles_cover_those_below_them() -> None:
    assert Role.OWNER.covers(Role.VIEWER) and Role.EDITOR.covers(Role.EDITOR)
    assert not Role.VIEWER.covers(Role.EDITOR)


def test_an_action_that_says_unchanged_makes_no_revision_and_one_that_lies_fails(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Idle)
    first = dispatcher.dispatch(Call(principal=LOCAL, world="idle", action="nap", arguments={"deep": True}))
    again = dispatcher.dispatch(Call(principal=LOCAL, world="idle", action="nap", arguments={"deep": False}))
    assert (first.revision, again.revision, again.value) == (2, 2, "nothing")
    with pytest.raises(TypeError, match="changed something"):
        dispatcher.dispatch(Call(principal=LOCAL, world="idle", action="pretend"))
    assert dispatcher.now(LOCAL, first.session).revision == 2
    undone = dispatcher.dispatch(Call(principal=LOCAL, world="idle", action="undo"))
    assert undone.value == {"revision": 2, "action": "nap"}


def test_the_first_call_says_that_the_main_session_was_started(dispatcher_of: Callable[..., Dispatcher]) -> None:
    outcome = dispatcher_of(Idle).dispatch(Call(principal=LOCAL, world="idle", action="nap", arguments={"deep": True}))
    assert [(m.code, m.content) for m in outcome.messages] == [
        ("started", "Your main session was started. Good night.")
    ]
