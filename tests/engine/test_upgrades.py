"""What an older version of a world stored is read, undone and gone on with by the present one."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import JSON, Column, text
from sqlmodel import Field

from engine import Row, World, action, resource, upgrade
from engine.dispatch import Answer, Dispatcher
from engine.errors import Conflict, DefinitionError, Refused
from engine.limits import Limits
from engine.migrate import upgrade as upgrade_tables
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.touched import image
from engine.types import LOCAL, Outcome

Make = Callable[..., Dispatcher]


class Word(Row, table=True):
    """A word, which version 1 knew by its place only, and version 2 keeps loud and with its size."""

    place: int = Field(primary_key=True)
    word: str
    size: int | None = None


class Old(StrEnum):
    DRAFT = "draft"
    DONE = "done"


class OldCount(BaseModel):
    words: int = 0


class Essay(World, name="essay", states=Old, start=Old.DRAFT, rows=[Word]):
    """Version 1."""

    data: OldCount

    @action(source=Old.DRAFT)
    def write(self, word: str) -> int:
        self.data.words += 1
        self.rows(Word).add(place=self.data.words, word=word)
        return self.data.words

    @action(source=Old.DRAFT)
    def fill(self, words: list[str]) -> None:
        for word in words:
            self.write(word)

    @action(source=Old.DRAFT)
    def strike(self) -> None:
        for last in self.rows(Word).where()[-1:]:
            self.rows(Word).remove(last)
            self.data.words -= 1

    @action(source=Old.DRAFT)
    def rewrite(self, place: int, word: str) -> None:
        if found := self.rows(Word).find(place=place):
            found.word = word

    @action(source=Old.DRAFT, target=Old.DONE)
    def finish(self) -> None: ...

    @action(source=Old.DONE, target=Old.DRAFT)
    def reopen(self) -> None: ...


class New(StrEnum):
    OPEN = "open"
    DONE = "done"


class Count(BaseModel):
    total: int = 0
    title: str = "untitled"


@upgrade(to=2)
def total(document: dict[str, Any]) -> dict[str, Any]:
    return {"total": document["words"]}


@upgrade(to=2, of=New)
def opened(state: str) -> str:
    return "open" if state == "draft" else state


@upgrade(to=2, of=Word)
def sized(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "word": row["word"].upper(), "size": len(row["word"])}


def has_long(essay: "Essay2") -> str | None:
    return None if essay.rows(Word).where(Word.size > 4) else "there is no long word"  # type: ignore[operator]


class Essay2(World, name="essay", states=New, start=New.OPEN, rows=[Word], version=2, upgrades=[total, opened, sized]):
    """Version 2."""

    data: Count

    @action(source=New.OPEN)
    def write(self, word: str) -> int:
        self.data.total += 1
        self.rows(Word).add(place=self.data.total, word=word.upper(), size=len(word))
        return self.data.total

    @action(source=New.OPEN)
    def fill(self, words: list[str]) -> None:
        for word in words:
            self.write(word)

    @action(source=New.OPEN)
    def strike(self) -> None:
        for last in self.rows(Word).where()[-1:]:
            self.rows(Word).remove(last)
            self.data.total -= 1

    @action(source=New.OPEN)
    def rewrite(self, place: int, word: str) -> None:
        if found := self.rows(Word).find(place=place):
            found.word, found.size = word.upper(), len(word)

    @action(source=New.OPEN, guards=[has_long])
    def shorten(self) -> int:
        long = self.rows(Word).where(Word.size > 4)  # type: ignore[operator]
        for word in long:
            self.rows(Word).remove(word)
        return len(long)

    @action
    def nothing(self) -> None:
        self.unchanged()

    @action(source=New.OPEN, target=New.DONE)
    def finish(self) -> None: ...

    @action(source=New.DONE, target=New.OPEN)
    def reopen(self) -> None: ...

    @action(read_only=True)
    def long(self) -> list[str]:
        return [word.word for word in self.rows(Word).where(Word.size > 4, order_by=Word.word)]  # type: ignore[operator]

    @resource
    def words(self) -> str:
        return " ".join(word.word for word in self.rows(Word))


def act(
    dispatcher: Dispatcher, action: str, session: str | None = None, key: str | None = None, **arguments: Any
) -> Outcome:
    return dispatcher.dispatch(
        Call(principal=LOCAL, world="essay", action=action, arguments=arguments, session=session, key=key)
    )


def written(dispatcher: Dispatcher, words: str, session: str | None = None) -> str:
    """Write words, and give the session's handle."""
    return [act(dispatcher, "write", word=word, session=session).session for word in words.split()][-1]


def shown(dispatcher: Dispatcher, session: str | None = None) -> tuple[list[tuple[str, int | None]], int, str]:
    """The words with their sizes, their number, and the state, as version 2 sees them."""
    return dispatcher.look(
        LOCAL,
        "essay",
        session,
        lambda world: ([(row.word, row.size) for row in world.rows(Word)], world.data.total, str(world.state)),
    )


def then(dispatcher: Dispatcher, session: str, revision: int) -> tuple[list[tuple[str, int | None]], int, str]:
    """The same, as it was at a revision."""
    past, _ = dispatcher.past(LOCAL, session, revision)
    return (
        [(row["word"], row["size"]) for row in past.rows[str(Word.__tablename__)]],
        json.loads(past.data or "{}")["total"],
        past.state,
    )


def stored(dispatcher: Dispatcher, session: str) -> tuple[int, str, str, list[tuple[Any, ...]]]:
    """What the database itself has: version, state, document and rows."""
    with dispatcher.store.connection() as connection:
        query = "select version, state, data, id from session where handle = :handle"
        version, state, data, own = connection.execute(text(query), {"handle": session}).one()
        rows = connection.execute(text(f"select word, size from {Word.__tablename__} where session_id = {own}"))
        return version, state, data, [tuple(row) for row in rows]


# reading


def test_session_of_an_older_version_is_read_as_the_present_one_would_have_stored_it(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "to stay")
    dispatcher = dispatcher_of(Essay2)
    assert shown(dispatcher) == ([("TO", 2), ("STAY", 4)], 2, "open")
    assert dispatcher.now(LOCAL, session).state == "open"
    assert [record.state for record, _ in dispatcher.sessions(LOCAL)] == ["open"]


def test_conditions_are_about_upgraded_rows(dispatcher_of: Make) -> None:
    written(dispatcher_of(Essay), "zebras are animals")
    dispatcher = dispatcher_of(Essay2)
    call = Call(principal=LOCAL, world="essay", action="long")
    assert dispatcher.read(call).value == ["ANIMALS", "ZEBRAS"]
    assert dispatcher.look(LOCAL, "essay", None, lambda world: world.rows(Word).count(word="ARE")) == 1
    assert dispatcher.look(LOCAL, "essay", None, lambda world: image(world.rows(Word).where()[1]))["size"] == 3
    assert dispatcher.look(LOCAL, "essay", None, Essay2.words) == "ZEBRAS ARE ANIMALS"  # type: ignore[arg-type]


def test_view_without_a_transaction_sees_upgraded_rows(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a")
    view = dispatcher_of(Essay2).detached(LOCAL, "essay", session, 2)
    assert view.words() == "A" and view.data.total == 1 and view.state is New.OPEN  # type: ignore[attr-defined]


def test_reading_stores_nothing(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a")
    dispatcher = dispatcher_of(Essay2)
    before = stored(dispatcher, session)
    shown(dispatcher), then(dispatcher, session, 1), dispatcher.now(LOCAL, session)
    assert stored(dispatcher, session) == before == (1, "draft", '{"words":1}', [("a", None)])


def test_guards_and_what_is_possible_are_about_upgraded_rows(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "short")
    dispatcher = dispatcher_of(Essay2)
    assert "shorten" in dispatcher.now(LOCAL, session).allowed_actions
    assert act(dispatcher, "shorten").value == 1
    with pytest.raises(Refused, match="there is no long word"):
        act(dispatcher, "shorten")


def test_other_sessions_of_the_same_table_stay_apart(dispatcher_of: Make) -> None:
    old = dispatcher_of(Essay)
    first = written(old, "a")
    second = written(old, "b", old.start(LOCAL, "essay", {}).session)
    dispatcher = dispatcher_of(Essay2)
    act(dispatcher, "write", session=first, word="c")
    assert stored(dispatcher, second)[3] == [("b", None)]
    assert shown(dispatcher, second)[0] == [("B", 1)] and shown(dispatcher, first)[0] == [("A", 1), ("C", 1)]


# writing


def test_next_write_stores_state_document_and_rows_in_present_form(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a")
    dispatcher = dispatcher_of(Essay2)
    change = act(dispatcher, "write", word="bc").change
    assert stored(dispatcher, session) == (2, "open", '{"total":2,"title":"untitled"}', [("A", 1), ("BC", 2)])
    assert change is not None and [row.after for row in change.rows] == [{"place": 2, "word": "BC", "size": 2}]
    assert change.state_before == "open"


def test_refused_action_stores_nothing(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a")
    dispatcher = dispatcher_of(Essay2)
    before = stored(dispatcher, session)
    with pytest.raises(Refused):
        act(dispatcher, "shorten")
    assert stored(dispatcher, session) == before


def test_action_that_changes_nothing_makes_no_revision_and_leaves_a_readable_session(dispatcher_of: Make) -> None:
    written(dispatcher_of(Essay), "a")
    dispatcher = dispatcher_of(Essay2)
    assert act(dispatcher, "nothing").revision == 2
    assert shown(dispatcher) == ([("A", 1)], 1, "open")
    assert act(dispatcher, "write", word="b").revision == 3
    assert shown(dispatcher) == ([("A", 1), ("B", 1)], 2, "open")


def test_retry_of_what_the_older_version_did_gets_its_recorded_answer(dispatcher_of: Make) -> None:
    first = act(dispatcher_of(Essay), "write", key="k", word="a")
    again = act(dispatcher_of(Essay2), "write", key="k", word="a")
    assert (again.value, again.replayed, again.revision, again.state) == (1, 2, first.revision, "open")


def test_retry_of_a_start_by_the_older_version_finds_its_session(dispatcher_of: Make) -> None:
    first = dispatcher_of(Essay).start(LOCAL, "essay", {}, key="k")
    again = dispatcher_of(Essay2).start(LOCAL, "essay", {}, key="k")
    assert (again.session, again.state) == (first.session, "open") and "write" in again.allowed_actions


# the past


def test_undo_across_an_upgrade_gives_what_was_in_present_form(dispatcher_of: Make) -> None:
    old = dispatcher_of(Essay)
    written(old, "a bb")
    act(old, "rewrite", place=1, word="ccc")
    act(old, "finish")
    dispatcher = dispatcher_of(Essay2)
    act(dispatcher, "reopen")
    found = []
    for _ in range(5):
        act(dispatcher, "undo")
        found.append(shown(dispatcher))
    assert found == [
        ([("CCC", 3), ("BB", 2)], 2, "done"),
        ([("CCC", 3), ("BB", 2)], 2, "open"),
        ([("A", 1), ("BB", 2)], 2, "open"),
        ([("A", 1)], 1, "open"),
        ([], 0, "open"),
    ]
    for expected in reversed(found[:-1]):
        act(dispatcher, "redo")
        assert shown(dispatcher) == expected


def test_redo_of_what_the_older_version_undid(dispatcher_of: Make) -> None:
    old = dispatcher_of(Essay)
    written(old, "a b")
    act(old, "undo")
    act(old, "undo")
    dispatcher = dispatcher_of(Essay2)
    act(dispatcher, "redo")
    act(dispatcher, "redo")
    assert shown(dispatcher) == ([("A", 1), ("B", 1)], 2, "open")


def test_history_names_states_as_the_present_version_does(dispatcher_of: Make) -> None:
    old = dispatcher_of(Essay)
    session = written(old, "a")
    act(old, "finish")
    states = [entry["state"] for entry in dispatcher_of(Essay2).history(LOCAL, session)]
    assert states == ["open", "open", "done"]


def test_fork_of_an_older_session_is_of_the_present_version(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a bb")
    dispatcher = dispatcher_of(Essay2)
    fork = dispatcher.fork(LOCAL, session, 2).session
    assert stored(dispatcher, fork) == (2, "open", '{"total":1,"title":"untitled"}', [("A", 1)])
    assert then(dispatcher, fork, 1) == ([], 0, "open")
    act(dispatcher, "undo", fork)
    assert shown(dispatcher, fork) == ([], 0, "open")
    assert shown(dispatcher, session) == ([("A", 1), ("BB", 2)], 2, "open")


def test_row_sets_at_rest_and_snapshots_are_upgraded_too(dispatcher_of: Make) -> None:
    few = Limits(at_once=2, snapshot=3)
    old = dispatcher_of(Essay, limits=few)
    session = written(old, "a")
    act(old, "fill", words=["bb", "ccc", "dddd"])
    act(old, "rewrite", place=2, word="b")
    act(old, "undo")
    act(old, "undo")
    dispatcher = dispatcher_of(Essay2, limits=few)
    full = [("A", 1), ("BB", 2), ("CCC", 3), ("DDDD", 4)]
    expected: dict[int, Any] = {1: [], 2: full[:1], 3: full, 4: [full[0], ("B", 1), *full[2:]], 5: full, 6: full[:1]}
    assert {revision: then(dispatcher, session, revision)[0] for revision in expected} == expected
    fork = dispatcher.fork(LOCAL, session, 5).session
    assert shown(dispatcher, fork) == (full, 4, "open")
    act(dispatcher, "redo")
    act(dispatcher, "rewrite", place=1, word="x")
    act(dispatcher, "undo")
    act(dispatcher, "undo")
    act(dispatcher, "redo")
    expected |= {7: full, 8: [("X", 1), *full[1:]], 9: full, 10: full[:1], 11: full}
    assert {revision: then(dispatcher, session, revision)[0] for revision in expected} == expected
    assert shown(dispatcher) == (full, 4, "open")


def test_large_undo_may_be_the_first_call_of_the_new_version(dispatcher_of: Make) -> None:
    few = Limits(at_once=2)
    old = dispatcher_of(Essay, limits=few)
    session = written(old, "a bb")
    act(old, "fill", words=["ccc", "dddd", "eeeee"])
    dispatcher = dispatcher_of(Essay2, limits=few)
    act(dispatcher, "undo")
    assert shown(dispatcher) == ([("A", 1), ("BB", 2)], 2, "open")
    assert then(dispatcher, session, 4)[0] == [("A", 1), ("BB", 2), ("CCC", 3), ("DDDD", 4), ("EEEEE", 5)]
    act(dispatcher, "undo")
    assert shown(dispatcher) == ([("A", 1)], 1, "open")


def left_over(dispatcher: Dispatcher) -> int:
    """How many hidden sessions there are, and rows that belong to none."""
    with dispatcher.store.connection() as connection:
        hidden = connection.execute(text("select count(*) from session where hidden is not null")).scalar_one()
        lost = f"select count(*) from {Word.__tablename__} where session_id not in (select id from session)"
        return int(hidden) + int(connection.execute(text(lost)).scalar_one())


def test_large_session_is_stored_ahead_and_leaves_nothing_over(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a bb ccc dddd")
    dispatcher = dispatcher_of(Essay2, limits=Limits(at_once=2))
    assert act(dispatcher, "write", word="e").revision == 6
    assert stored(dispatcher, session)[0] == 2
    assert sorted(stored(dispatcher, session)[3]) == [("A", 1), ("BB", 2), ("CCC", 3), ("DDDD", 4), ("E", 1)]
    assert [len(then(dispatcher, session, revision)[0]) for revision in range(1, 7)] == [0, 1, 2, 3, 4, 5]
    assert left_over(dispatcher) == 0


def test_event_loop_gets_the_answer_of_a_large_session_too(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "a bb ccc dddd")
    dispatcher = dispatcher_of(Essay2, limits=Limits(at_once=2))
    answers: Queue[Answer] = Queue()
    call = Call(principal=LOCAL, world="essay", action="write", arguments={"word": "e"}, session=session)
    dispatcher.submit(call, answers.put)
    answer = answers.get(timeout=20)
    assert answer.error is None and answer.outcome is not None and answer.outcome.revision == 6
    assert len(shown(dispatcher)[0]) == 5


@pytest.mark.parametrize(("times", "done"), [(1, True), (2, True), (99, False)])
def test_large_session_that_the_old_version_goes_on_with_is_stored_when_it_stands_still(
    dispatcher_of: Make, times: int, done: bool
) -> None:
    old = dispatcher_of(Essay)
    session = written(old, "a bb ccc")
    going_on = iter(range(times))

    @upgrade(to=2, of=Word)
    def meddling(row: dict[str, Any]) -> dict[str, Any]:
        if row["place"] == 1 and next(going_on, None) is not None:
            act(old, "write", session, word="more")
        return sized(row)

    dispatcher = dispatcher_of(essay_upgraded_by(total, opened, meddling), limits=Limits(at_once=2))
    if done:
        assert act(dispatcher, "finish", session).revision == 5 + times
        assert stored(dispatcher, session)[3][3:] == [("MORE", 4)] * times
    else:
        with pytest.raises(Conflict, match="went on 3 times while it was being stored in its new form"):
            act(dispatcher, "finish", session)
        assert stored(dispatcher, session)[0] == 1
    assert left_over(dispatcher) == 0


def test_export_of_an_older_session_holds_it_in_present_form(dispatcher_of: Make, tmp_path: Path) -> None:
    session = written(dispatcher_of(Essay), "a bb")
    dispatcher_of(Essay2).export(LOCAL, session, tmp_path / "file.sqlite")
    with closing(sqlite3.connect(tmp_path / "file.sqlite")) as file:
        assert file.execute("select state, data, version from session").fetchall() == [
            ("open", '{"total":2,"title":"untitled"}', 2)
        ]
        assert file.execute(f"select word, size from {Word.__tablename__}").fetchall() == [("A", 1), ("BB", 2)]
        assert file.execute("select distinct version from journal").fetchall() == [(1,)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(["a", "bb", "ccc", "dddddd"])),
        st.tuples(st.just("fill"), st.sampled_from(["e ff ggg", "h iiiiii j kk l"])),
        st.tuples(st.just("rewrite"), st.sampled_from(["x", "yyyyyy"])),
        st.tuples(st.sampled_from(["strike", "undo", "redo", "finish", "reopen"]), st.none()),
    ),
    max_size=8,
)


def walked(dispatcher: Dispatcher, session: str, steps: list[tuple[str, str | None]], look: Callable[[], Any]) -> Any:
    """What was seen at each revision that some steps made; what is refused makes none."""
    seen = {}
    for name, word in steps:
        taken: dict[str, dict[str, Any]] = {
            "write": {"word": word},
            "rewrite": {"place": 1, "word": word},
            "fill": {"words": (word or "").split()},
        }
        try:
            revision = act(dispatcher, name, session, **taken.get(name, {})).revision
            seen[revision] = look()
        except Refused:
            continue
    return seen


def as_upgraded(words: list[str], number: int, state: str) -> Any:
    return [(word.upper(), len(word)) for word in words], number, "open" if state == "draft" else state


@settings(max_examples=30, deadline=None)
@given(before=STEPS, after=STEPS)
def test_every_revision_of_any_history_is_the_upgraded_one(
    before: list[tuple[str, str | None]], after: list[tuple[str, str | None]]
) -> None:
    with TemporaryDirectory() as folder:
        # So few that undo, redo and forks write ahead, and that there are row sets at rest and snapshots.
        store = SqliteStore(str(Path(folder) / "essay.db"), Limits(at_once=2, snapshot=3))
        upgrade_tables(store, [Essay.definition])
        old, new = (Dispatcher(store, Registry([world])) for world in (Essay, Essay2))
        session = old.start(LOCAL, "essay", {}).session

        def seen() -> Any:
            return old.look(
                LOCAL,
                "essay",
                session,
                lambda world: as_upgraded([row.word for row in world.rows(Word)], world.data.words, str(world.state)),
            )

        model = {1: seen()} | walked(old, session, before, seen)
        assert {revision: then(new, session, revision) for revision in model} == model
        model |= walked(new, session, after, lambda: shown(new, session))
        assert {revision: then(new, session, revision) for revision in model} == model
        forks = {revision: new.fork(LOCAL, session, revision).session for revision in model}
        assert {revision: shown(new, fork) for revision, fork in forks.items()} == model
        store.close()


# what does not fit


@upgrade(to=2, of=Word)
def broken(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "size": "many"}


@upgrade(to=2)
def raising(document: dict[str, Any]) -> dict[str, Any]:
    return {"total": document["pages"]}


@upgrade(to=2)
def answering_nothing(document: dict[str, Any]) -> None:
    """Forgets to return."""


@upgrade(to=2, of=Word)
def dropped(row: dict[str, Any]) -> dict[str, Any] | None:
    return None if row["word"] == "um" else row


class Plain(World, name="essay", rows=[Word], version=2, upgrades=[dropped], states=Old, start=Old.DRAFT):
    """Version 2 without a document, which drops some rows."""

    @action(source=Old.DRAFT, target=Old.DONE)
    def finish(self) -> None: ...

    @action(source=Old.DONE, target=Old.DRAFT)
    def reopen(self) -> None: ...


def essay_upgraded_by(*steps: Callable[..., Any]) -> type[World]:
    """Version 2 with other steps."""

    class Other(World, name="essay", states=New, start=New.OPEN, rows=[Word], version=2, upgrades=steps):
        """Version 2."""

        data: Count

        @action(source=New.OPEN, target=New.DONE)
        def finish(self) -> None: ...

        @action(source=New.DONE, target=New.OPEN)
        def reopen(self) -> None: ...

    return Other


@pytest.mark.parametrize(
    ("steps", "rule", "said"),
    [
        ((total, opened, broken), "cannot_upgrade", "row of .*word of version 1 does not fit version 2 of essay: size"),
        ((raising, opened), "cannot_upgrade", r"raising raised KeyError\('pages'\), for the document"),
        ((answering_nothing, opened), "cannot_upgrade", "answering_nothing returned None, not a dict"),
        ((total,), "unknown_state", "in the state 'draft' in version 1 of essay, which version 2 does not have"),
    ],
)
def test_content_that_cannot_be_upgraded_is_refused_by_name_and_stays(
    dispatcher_of: Make, steps: tuple[Callable[..., Any], ...], rule: str, said: str
) -> None:
    session = written(dispatcher_of(Essay), "a")
    dispatcher = dispatcher_of(essay_upgraded_by(*steps))
    before = stored(dispatcher, session)
    for attempt in (
        lambda: act(dispatcher, "finish", session),
        lambda: dispatcher.now(LOCAL, session) and dispatcher.look(LOCAL, "essay", session, lambda world: world.data),
        lambda: dispatcher.past(LOCAL, session, 2),
    ):
        with pytest.raises(Refused, match=said) as raised:
            attempt()
        assert raised.value.rule == rule and raised.value.hint
    assert stored(dispatcher, session) == before
    assert [record.handle for record, _ in dispatcher.sessions(LOCAL)] == [session]


def test_newer_version_is_refused_by_name(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay2), "a")
    old = dispatcher_of(Essay)
    for attempt in (
        lambda: act(old, "write", session, word="b"),
        lambda: old.now(LOCAL, session),
        lambda: old.past(LOCAL, session),
        lambda: old.fork(LOCAL, session),
        lambda: old.detached(LOCAL, "essay", session, 2),
    ):
        with pytest.raises(Refused, match="written by version 2 of essay; here is 1") as raised:
            attempt()
        assert raised.value.rule == "newer_version"


def test_row_that_an_upgrade_drops_is_gone_from_the_past_too(dispatcher_of: Make) -> None:
    session = written(dispatcher_of(Essay), "well um yes")
    dispatcher = dispatcher_of(Plain)
    table = str(Word.__tablename__)
    assert [row["word"] for row in dispatcher.past(LOCAL, session, 4)[0].rows[table]] == ["well", "yes"]
    assert [row["word"] for row in dispatcher.past(LOCAL, session, 3)[0].rows[table]] == ["well"]
    act(dispatcher, "finish", session)
    act(dispatcher, "undo", session)
    assert [row[0] for row in stored(dispatcher, session)[3]] == ["well", "yes"]
    assert stored(dispatcher, session)[2] is None


def test_document_of_another_model_is_refused_with_the_way_to_upgrade_it(dispatcher_of: Make) -> None:
    class Strict(BaseModel, extra="forbid"):
        total: int = 0

    class SameVersion(World, name="essay", states=Old, start=Old.DRAFT, final=[Old.DONE], rows=[Word]):
        """Version 1, whose author changed the model and kept the version."""

        data: Strict

        @action(source=Old.DRAFT, target=Old.DONE)
        def finish(self) -> None: ...

    session = written(dispatcher_of(Essay), "a")
    with pytest.raises(Refused, match=r"no Strict of version 1 of essay: words.*raise version=") as raised:
        act(dispatcher_of(SameVersion), "finish", session)
    assert raised.value.rule == "unreadable_document"


# tables that changed meanwhile


class Kind(StrEnum):
    NEW = "new"


class Box(Row, table=True):
    """A box, which once had a number only, and once was of a kind that there is no more."""

    number: int = Field(primary_key=True)
    kind: Kind = Field(default=Kind.NEW, sa_column_kwargs={"server_default": "NEW"})
    size: int = Field(default=0, sa_column_kwargs={"server_default": text("5")})
    tags: list[str] = Field(sa_column=Column(JSON, server_default="[]", nullable=False))
    note: str | None = "empty"


class Boxes(World, name="boxes", rows=[Box]):
    """Version 1."""

    @action
    def pack(self) -> None:
        self.rows(Box).add(number=1, tags=["a"], size=3)

    @action
    def drop(self) -> None:
        for box in self.rows(Box):
            self.rows(Box).remove(box)


@upgrade(to=2, of=Box)
def renewed(box: dict[str, Any]) -> dict[str, Any]:
    return {**box, "kind": "new", "note": box["kind"]}


class Boxes2(Boxes, name="boxes", rows=[Box], version=2, upgrades=[renewed]):
    """Version 2."""


def rewritten(dispatcher: Dispatcher, *statements: str) -> None:
    """Have the database hold what an older version would have written."""
    with dispatcher.store.connection() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def boxes(dispatcher: Dispatcher, *actions: str) -> list[dict[str, Any]]:
    """The boxes after some actions."""
    for name in actions:
        dispatcher.dispatch(Call(principal=LOCAL, world="boxes", action=name))
    return dispatcher.look(LOCAL, "boxes", None, lambda world: [image(box) for box in world.rows(Box)])


def test_row_of_the_past_gets_what_a_migration_gave_the_rows_that_were_there(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Boxes)
    boxes(dispatcher, "pack", "drop")
    old = '{"number":1}'
    rewritten(
        dispatcher,
        f"update journal set rows = '[[\"{Box.__tablename__}\",null,{old}]]' where revision = 2",
        f"update journal set rows = '[[\"{Box.__tablename__}\",{old},null]]' where revision = 3",
    )
    given = {"number": 1, "kind": "new", "size": 5, "tags": [], "note": None}
    handle = dispatcher.main(LOCAL, "boxes")
    assert boxes(dispatcher, "undo") == [given]
    assert dispatcher.past(LOCAL, handle, 2)[0].rows[str(Box.__tablename__)] == [given]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_live_row_that_its_column_would_refuse_can_be_upgraded(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Boxes)
    boxes(dispatcher, "pack")
    rewritten(
        dispatcher,
        f"update {Box.__tablename__} set kind = 'OLD'",
        """update journal set rows = replace(rows, '"new"', '"old"')""",
    )
    newer = dispatcher_of(Boxes2)
    expected = {"number": 1, "kind": "new", "size": 3, "tags": ["a"]}
    assert boxes(newer) == [{**expected, "note": "OLD"}]
    assert boxes(newer, "drop", "undo") == [{**expected, "note": "OLD"}]
    assert boxes(newer, "undo") == [] and boxes(newer, "redo") == [{**expected, "note": "old"}]


# declaring


def refused(*steps: Any, version: Any = 2) -> str:
    """The message of the DefinitionError that a world with these steps raises."""
    with pytest.raises(DefinitionError) as raised:

        class Wrong(World, rows=[Word], version=version, upgrades=steps):
            """Wrong."""

    return str(raised.value)


def test_step_that_is_declared_wrong_is_refused_at_import() -> None:
    class Elsewhere(StrEnum):
        HERE = "here"

    async def slow(stored: dict[str, Any]) -> dict[str, Any]:
        return stored

    assert "leads to version 3, but the world is at version 2" in refused(upgrade(to=3)(lambda stored: stored))
    assert "leads to version 1" in refused(upgrade(to=1)(lambda stored: stored))
    assert "leads to version True" in refused(upgrade(to=True)(lambda stored: stored))
    assert "are the same step, to version 2" in refused(total, raising)
    assert "which is none" in refused(has_long)
    assert "which is not this world's. It has: Word." in refused(upgrade(to=2, of=Elsewhere)(lambda stored: stored))
    assert "version='two' is no version" in refused(version="two")
    assert "version=0 is no version" in refused(version=0)
    with pytest.raises(DefinitionError, match="Give a list of functions marked @upgrade"):

        class Wrong(World, rows=[], version=2, upgrades=total):  # type: ignore[arg-type]
            """Wrong."""

    wrong: list[tuple[Any, str]] = [
        (slow, "is async"),
        (lambda: None, "does not take one thing to upgrade"),
        (lambda one, other: one, "does not take one thing to upgrade"),
        (lambda one, other=None: one, "does not take one thing to upgrade"),
        (len, "no plain function"),
    ]
    for function, said in wrong:
        with pytest.raises(DefinitionError, match=said):
            upgrade(to=2)(function)


def test_step_may_serve_two_versions() -> None:
    @upgrade(to=2)
    @upgrade(to=3)
    def doubled(document: dict[str, Any]) -> dict[str, Any]:
        return document

    class Twice(World, rows=[], version=3, upgrades=[doubled]):
        """Twice."""

    assert Twice.definition.upgrades.after(1, "the document") == [doubled, doubled]
    assert Twice.definition.upgrades.after(2, "the document") == [doubled]


class Till(World, name="till"):
    """Version 1."""

    @action
    def put(self, cents: int) -> int:
        return cents


class Till2(World, name="till", version=2):
    """Version 2, in which one may say why."""

    @action
    def put(self, cents: int, why: str = "") -> int:
        return cents


def test_retry_finds_what_an_older_version_did_although_the_action_takes_more_by_now(dispatcher_of: Make) -> None:
    call = Call(principal=LOCAL, world="till", action="put", arguments={"cents": 5}, key="a key")
    by_revision = Call(principal=LOCAL, world="till", action="put", arguments={"cents": 7}, if_revision=2)
    older = dispatcher_of(Till)
    older.dispatch(call)
    older.dispatch(by_revision)
    newer = dispatcher_of(Till2)
    assert newer.dispatch(call).replayed == 2 and newer.dispatch(by_revision).replayed == 3
    with pytest.raises(Refused, match="used for another"):
        newer.dispatch(replace(call, arguments={"cents": 5, "why": "rent"}))
