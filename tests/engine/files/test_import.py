"""A session file brought back: what it was, what can be done with it then, whose it is, and what refuses it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from engine import World
from engine.dispatch import Dispatcher
from engine.errors import EngineError, LimitExceeded, NotFound, Refused
from engine.limits import Limits
from engine.operations import Call
from engine.retention import prune
from engine.types import LOCAL, OPERATOR, Outcome, Principal
from tests.engine.files.gardens import ANN, BEDS, BEN, PLANTS, Garden, Make, Park, act, grown
from worlds.adventure import Adventure
from worlds.cart import Cart
from worlds.counter import Counter

Kept = tuple[Dispatcher, str, Path]
"""A store with a garden in it, the garden's handle, and the file it was exported into."""


def call(dispatcher: Dispatcher, world: str, action: str, session: str, **arguments: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=ANN, world=world, action=action, arguments=arguments, session=session))


def told(dispatcher: Dispatcher, session: str, by: Principal = ANN) -> list[Any]:
    """The history of a session, and what it was at each of its revisions."""
    history = dispatcher.history(by, session)
    pasts = [dispatcher.past(by, session, entry["revision"])[0] for entry in history]
    return [history, pasts, dispatcher.now(by, session).allowed_actions]


def contents(dispatcher: Dispatcher) -> list[Any]:
    """Everything that is stored of sessions."""
    tables = [SQLModel.metadata.tables[name] for name in ("person", "session", "journal", "share", BEDS)]
    tables = [table for table in tables if table.name != BEDS or "garden" in dispatcher.registry.worlds]
    return dispatcher.store.read(
        lambda tx: [tx.run(select(table).order_by(*table.primary_key)).all() for table in tables]
    )


@pytest.fixture
def garden(dispatcher_of: Make, tmp_path: Path) -> Kept:
    """A store with a garden in it, the garden's handle, and the file it was exported into."""
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    session = grown(dispatcher)
    dispatcher.export(ANN, session, path)
    return dispatcher, session, path


# what comes back


def test_imported_session_is_what_it_was_at_every_revision(garden: Kept, dispatcher_of: Make) -> None:
    dispatcher, session, path = garden
    other = dispatcher_of(Garden, file="other.db")
    outcome = other.import_file(ANN, path)
    assert outcome.session != session and (outcome.revision, outcome.state) == (9, "summer")
    assert [message.code for message in outcome.messages] == ["imported"]
    assert told(other, outcome.session) == told(dispatcher, session)


def test_imported_session_goes_on(garden: Kept, dispatcher_of: Make) -> None:
    dispatcher, session, path = garden
    other = dispatcher_of(Garden, file="other.db")
    imported = other.import_file(ANN, path).session
    for name in ("undo", "undo", "redo", "undo", "undo", "undo", "undo", "redo", "rest", "undo"):
        results = [act(where, name, session=handle) for where, handle in ((dispatcher, session), (other, imported))]
        assert results[0].value == results[1].value and results[0].revision == results[1].revision
    assert act(other, "dig", name="new", session=imported).revision == 20
    assert [row["name"] for row in other.past(ANN, imported)[0].rows[BEDS]] == ["front", "new"]


def test_played_counter_comes_back(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, other, path = dispatcher_of(Counter), dispatcher_of(Counter, file="other.db"), tmp_path / "counter.db"
    session = dispatcher.main(ANN, "counter")
    for number in (5, 7):
        call(dispatcher, "counter", "add", session, a=number)
    call(dispatcher, "counter", "undo", session)
    dispatcher.export(ANN, session, path)
    imported = other.import_file(ANN, path).session
    assert told(other, imported) == told(dispatcher, session)
    assert call(other, "counter", "redo", imported).revision == 5
    assert other.look(ANN, "counter", imported, lambda world: world.data.total) == 13


def test_played_adventure_comes_back(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, other = dispatcher_of(Adventure), dispatcher_of(Adventure, file="other.db")
    session, path = dispatcher.main(ANN, "adventure"), tmp_path / "game.db"
    for text in ("read slate", "go north", "look", "hint", "go south"):
        call(dispatcher, "adventure", "command", session, text=text)
    call(dispatcher, "adventure", "undo", session)
    dispatcher.export(ANN, session, path)
    imported = other.import_file(ANN, path).session
    assert told(other, imported) == told(dispatcher, session)
    again = [
        call(where, "adventure", "command", to, text="look") for where, to in ((dispatcher, session), (other, imported))
    ]
    assert again[0].value == again[1].value
    call(other, "adventure", "undo", imported)


def test_cart_that_was_checked_out_comes_back_open_and_has_taken_nothing(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, other = dispatcher_of(Cart), dispatcher_of(Cart, file="other.db")
    session, path = dispatcher.main(ANN, "cart"), tmp_path / "cart.db"
    call(dispatcher, "cart", "add", session, sku="cup", quantity=2)
    call(dispatcher, "cart", "checkout", session)
    dispatcher.export(ANN, session, path)
    outcome = other.import_file(ANN, path)
    assert outcome.state == "open" and "checkout" in outcome.allowed_actions
    assert [entry["action"] for entry in other.history(ANN, outcome.session)][:3] == ["start", "add", "checkout"]
    assert call(other, "cart", "checkout", outcome.session).state == "payment_due"
    (stock,) = other.query(ANN, outcome.session, "select sku, stock from cart__product").rows
    assert stock == ("cup", 58)


def test_what_was_written_ahead_comes_back_with_its_row_sets(dispatcher_of: Make, tmp_path: Path) -> None:
    few = Limits(at_once=5, snapshot=4)
    dispatcher, other = dispatcher_of(Garden, limits=few), dispatcher_of(Garden, file="other.db")
    session = act(dispatcher, "sow", number=20).session
    act(dispatcher, "dig", name="front")
    for name in ("undo", "undo", "redo", "undo"):
        act(dispatcher, name)
    act(dispatcher, "sow", number=2)
    dispatcher.export(ANN, session, tmp_path / "lawn.db")
    imported = other.import_file(ANN, tmp_path / "lawn.db").session
    assert told(other, imported) == told(dispatcher, session)
    for name in ("undo", "redo", "undo"):
        assert act(other, name, session=imported).value == act(dispatcher, name, session=session).value
    assert told(other, imported)[1] == told(dispatcher, session)[1]


def test_imported_session_can_be_exported_again(garden: Kept, dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, session, path = garden
    other, third = dispatcher_of(Garden, file="other.db"), dispatcher_of(Garden, file="third.db")
    imported = other.import_file(ANN, path).session
    other.export(ANN, imported, tmp_path / "again.db")
    assert told(third, third.import_file(ANN, tmp_path / "again.db").session) == told(dispatcher, session)


def test_ended_session_comes_back_ended(garden: Kept, tmp_path: Path) -> None:
    dispatcher, session, _ = garden
    act(dispatcher, "end", session=session)
    dispatcher.export(ANN, session, tmp_path / "ended.db")
    imported = dispatcher.import_file(ANN, tmp_path / "ended.db").session
    with pytest.raises(Refused) as raised:
        act(dispatcher, "water", session=imported)
    assert raised.value.rule == "session_ended"


@pytest.mark.parametrize(("later", "entries"), [(Garden, 4), (Park, 5)], ids=["same version", "newer version"])
def test_file_begins_where_the_past_is_kept(
    dispatcher_of: Make, tmp_path: Path, later: type[World], entries: int
) -> None:
    """A newer version keeps an entry from before that, without arguments and result: it says what the document was."""
    early, path = dispatcher_of(Garden), tmp_path / "kept.db"
    for name in ("front", "back"):
        session = act(early, "dig", name=name).session
    for name in ("plant", "undo", "water"):
        act(early, name)
    dispatcher, other = dispatcher_of(later), dispatcher_of(later, file="other.db")
    act(dispatcher, "rest")
    dispatcher.store.offset += timedelta(days=10)
    for name in ("water", "water", "undo"):
        act(dispatcher, name)
    prune(dispatcher.store, timedelta(days=5))
    assert dispatcher.export(ANN, session, path).entries == entries
    before = dispatcher.query(ANN, session, "select arguments, result, rows from journal where revision < 7").rows
    assert set(before) <= {("{}", '{"value":null,"content":[]}', None)}
    imported = other.import_file(ANN, path).session
    assert told(other, imported) == told(dispatcher, session)
    for name in ("undo", "redo", "redo", "undo", "undo", "undo"):
        assert answer(other, name, imported) == answer(dispatcher, name, session)


def answer(dispatcher: Dispatcher, action: str, session: str) -> Any:
    """What an action gives, or the name of its refusal."""
    try:
        return act(dispatcher, action, session=session).value
    except Refused as error:
        return error.rule


# across versions


def test_file_of_an_older_version_comes_back_in_present_form(garden: Kept, dispatcher_of: Make) -> None:
    _, session, path = garden
    here, other = dispatcher_of(Park), dispatcher_of(Park, file="other.db")
    imported = other.import_file(ANN, path).session
    assert told(other, imported) == told(here, session)
    assert json.loads(other.past(ANN, imported)[0].data or "") == {"poured": 2}
    assert other.past(ANN, imported)[0].rows[PLANTS][0]["names"][0] == "AN OLD TREE"
    for name in ("undo", "undo", "undo", "undo", "redo", "water"):
        results = [act(where, name, session=handle) for where, handle in ((here, session), (other, imported))]
        assert results[0].value == results[1].value
    assert told(other, imported)[1] == told(here, session)[1]


def test_session_of_an_older_version_is_exported_in_present_form(
    garden: Kept, dispatcher_of: Make, tmp_path: Path
) -> None:
    _, session, _ = garden
    here, other = dispatcher_of(Park), dispatcher_of(Park, file="other.db")
    here.export(ANN, session, tmp_path / "park.db")
    imported = other.import_file(ANN, tmp_path / "park.db").session
    assert told(other, imported) == told(here, session)


def test_file_of_a_newer_version_of_the_world_is_refused(garden: Kept, dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, session, _ = garden
    dispatcher_of(Park).export(ANN, session, tmp_path / "park.db")
    error = refused(dispatcher, tmp_path / "park.db")
    assert error.rule == "newer_file" and "version 2 of garden; here is 1" in str(error)


# whose it is


def test_importer_owns_it_and_the_others_are_people_of_the_file(garden: Kept, dispatcher_of: Make) -> None:
    dispatcher, _, path = garden
    imported = dispatcher.import_file(BEN, path).session
    with pytest.raises(NotFound):
        dispatcher.now(ANN, imported)
    # Ann owned the file, so what she did is Ben's now; the Ben of the file is a person of that file.
    assert [entry["by"] for entry in dispatcher.history(BEN, imported)][-2:] == ["Ben", "Ben"]
    other = dispatcher_of(Garden, file="other.db")
    eve = other.import_file(Principal("test", "eve", "Eve"), path).session
    assert [entry["by"] for entry in other.history(Principal("test", "eve"), eve)][-2:] == ["Eve", "Ben"]
    assert other.sessions(BEN) == []


def test_keys_and_shares_stay_behind(garden: Kept, dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, session, _ = garden
    dispatcher.dispatch(Call(principal=ANN, world="garden", action="water", session=session, key="once"))
    dispatcher.export(ANN, session, tmp_path / "keyed.db")
    imported = dispatcher.import_file(ANN, tmp_path / "keyed.db").session
    again = dispatcher.dispatch(Call(principal=ANN, world="garden", action="water", session=imported, key="once"))
    assert again.replayed is None
    with pytest.raises(NotFound):
        dispatcher.now(BEN, imported)


def test_operator_imports_for_the_local_principal(garden: Kept) -> None:
    dispatcher, _, path = garden
    imported = dispatcher.import_file(OPERATOR, path).session
    assert dispatcher.now(LOCAL, imported).revision == 9


def test_owner_may_have_more_sessions_only_up_to_the_limit(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Garden, limits=Limits(sessions=2))
    session = grown(dispatcher)
    dispatcher.export(ANN, session, tmp_path / "garden.db")
    dispatcher.import_file(ANN, tmp_path / "garden.db")
    with pytest.raises(LimitExceeded) as raised:
        dispatcher.import_file(ANN, tmp_path / "garden.db")
    assert raised.value.rule == "too_many_sessions"


def test_session_that_is_too_large_here_is_refused(garden: Kept, dispatcher_of: Make) -> None:
    other = dispatcher_of(Garden, file="other.db", limits=Limits(stored=500))
    with pytest.raises(LimitExceeded) as raised:
        other.import_file(ANN, garden[2])
    assert raised.value.rule == "session_full" and other.sessions(ANN) == []


# the old handle


def test_owner_gets_the_old_handle_where_there_is_no_such_session(garden: Kept, dispatcher_of: Make) -> None:
    dispatcher, session, path = garden
    before = told(dispatcher, session)
    other = dispatcher_of(Garden, file="other.db")
    assert other.import_file(ANN, path, same_handle=True).session == session
    dispatcher.erase(ANN, session)
    assert dispatcher.import_file(ANN, path, same_handle=True).session == session
    assert told(dispatcher, session) == told(other, session) == before


def test_session_that_is_still_there_becomes_the_files_by_one_change(garden: Kept) -> None:
    dispatcher, session, path = garden
    then = dispatcher.past(ANN, session)[0]
    act(dispatcher, "dig", name="late", session=session)
    act(dispatcher, "water", session=session)
    act(dispatcher, "rest", session=session)
    late = dispatcher.past(ANN, session)[0]
    outcome = dispatcher.import_file(ANN, path, same_handle=True)
    assert (outcome.session, outcome.revision, outcome.state) == (session, 13, "summer")
    assert dispatcher.history(ANN, session)[-1]["action"] == "import"

    def shown() -> tuple[Any, ...]:
        past = dispatcher.past(ANN, session)[0]
        return past.state, past.data, past.rows

    assert shown() == (then.state, then.data, then.rows)
    act(dispatcher, "undo", session=session)
    assert shown() == (late.state, late.data, late.rows)
    act(dispatcher, "redo", session=session)
    assert shown() == (then.state, then.data, then.rows)
    act(dispatcher, "dig", name="new", session=session)
    assert len(shown()[2][BEDS]) == 3


def test_session_without_rows_becomes_the_files_too(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Counter)
    session = dispatcher.main(ANN, "counter")
    dispatcher.export(ANN, session, tmp_path / "counter.db")
    call(dispatcher, "counter", "add", session, a=5)
    dispatcher.import_file(ANN, tmp_path / "counter.db", same_handle=True)
    assert json.loads(dispatcher.past(ANN, session)[0].data or "") == {"total": 1}
    call(dispatcher, "counter", "undo", session)
    assert json.loads(dispatcher.past(ANN, session)[0].data or "") == {"total": 6}


@pytest.mark.parametrize("by", [BEN, Principal("test", "eve")], ids=["editor", "stranger"])
def test_others_get_no_old_handle(garden: Kept, dispatcher_of: Make, by: Principal) -> None:
    dispatcher, _, path = garden
    other, answers = dispatcher_of(Garden, file="other.db"), []
    for where in (dispatcher, other):
        before = contents(where)
        with pytest.raises(NotFound) as raised:
            where.import_file(by, path, same_handle=True)
        answers.append(str(raised.value))
        assert contents(where) == before
    assert answers[0] == answers[1]


# what is refused


def refused(dispatcher: Dispatcher, path: Path, by: Principal = ANN) -> EngineError:
    """The refusal of a file, which changed nothing."""
    before = contents(dispatcher)
    with pytest.raises(EngineError) as raised:
        dispatcher.import_file(by, path)
    assert contents(dispatcher) == before
    return raised.value


def test_file_of_an_unknown_world_is_refused(garden: Kept, dispatcher_of: Make) -> None:
    error = refused(dispatcher_of(Counter, file="other.db"), garden[2])
    assert isinstance(error, NotFound) and "There is no world 'garden'" in str(error)


def test_missing_file_is_named(dispatcher_of: Make, tmp_path: Path) -> None:
    assert isinstance(refused(dispatcher_of(Garden), tmp_path / "nothing.db"), NotFound)
    assert refused(dispatcher_of(Garden), tmp_path).rule == "foreign_file"


def test_import_needs_the_scope_of_the_world(garden: Kept) -> None:
    dispatcher, _, path = garden
    assert refused(dispatcher, path, Principal("test", "eve", scopes=frozenset({"garden:read"}))).rule == "forbidden"
