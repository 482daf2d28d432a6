"""Parts: rows of history that a prepare function writes ahead, and that one change takes in."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel import select as chosen

from engine import Asking, World, Written, action, upgrade
from engine.asking import Prepare
from engine.batches import sweep
from engine.dispatch import Dispatcher
from engine.errors import Conflict, InvalidArguments, LimitExceeded, Refused
from engine.limits import Limits
from engine.operations import Call
from engine.preparing import prepared_call
from engine.registry import Registry
from engine.store.schema import PART_BITS
from engine.types import LOCAL, Change
from tests.engine.parts import MANY, Library, Make, Nobody, Page, Volume, call, do, pages, stored, taken_in


def test_what_is_written_ahead_is_taken_in_by_one_change_and_taken_back_by_one_undo(dispatcher_of: Make) -> None:
    told: list[Change] = []
    library = dispatcher_of(Library, listeners=[told.append])
    do(library, call("write", text="one"))
    outcome = taken_in(library)
    assert (outcome.revision, outcome.value) == (3, MANY + 1)
    assert stored(library) == (MANY, 0)
    (change,) = (change for change in told if change.revision == 3)
    assert [(row.table, row.before) for row in change.rows] == [(str(Volume.__tablename__), None)]
    assert library.registry.worlds["library"].resources["first"].touched_by(frozenset(row.table for row in change.rows))
    expected = {1: 0, 2: 1, 3: MANY + 1}
    for revision, way, then in ((4, "undo", 1), (5, "redo", MANY + 1), (6, "undo", 1), (7, "undo", 0), (8, "redo", 1)):
        assert library.dispatch(call(way, outcome.session)).revision == revision
        expected[revision] = then
        assert {at: pages(library, at=at) for at in expected} == expected
    assert library.dispatch(call("ever")).value == MANY + 2  # the page that was written began twice


def test_rows_of_a_part_end_and_begin_like_others(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    session = taken_in(library).session
    do(library, call("tear_out", text="page 1"))
    for way, then in (("undo", MANY), ("undo", 0), ("redo", MANY), ("redo", MANY - 1)):
        library.dispatch(call(way, session))
        assert pages(library) == then
    for at, then in {1: 0, 2: MANY, 3: MANY - 1, 4: MANY, 5: 0}.items():
        fork = library.fork(LOCAL, session, at=at).session
        assert pages(library, fork) == pages(library, session, at) == then
        assert sum(len(rows) for rows in library.past(LOCAL, session, at)[0].rows.values()) == sum(
            len(rows) for rows in library.past(LOCAL, fork)[0].rows.values()
        )


@pytest.mark.parametrize("end", ["broken", "failing", "refused", "left", "twice", "dropped"])
def test_what_is_not_taken_in_does_not_stay(dispatcher_of: Make, end: str) -> None:
    library = dispatcher_of(Library)
    if end == "left":
        assert taken_in(library, end=end).revision == 2
    else:
        with pytest.raises((Refused, Conflict, TypeError)):
            taken_in(library, end=end)
        assert pages(library) == 0
    assert stored(library) == (0, 0)


def test_rows_that_no_table_keeps_are_refused_and_nothing_stays(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    for row, said in (
        ({"number": 1}, "row 2 for Page lacks text"),
        ({"text": "a", "colour": 1}, "row 2 for Page has 'colour', which is none of its columns"),
        ({"text": "a", "id": 1}, "row 2 for Page has 'id'"),
        ({"text": 1}, "row 2 for Page: text cannot be 1"),
        ({"text": "a\0"}, "row 2 for Page: text has NUL or half a character"),
        ({"text": "\ud800"}, "row 2 for Page: text has NUL or half a character"),
    ):
        with pytest.raises(InvalidArguments, match=said):
            write_ahead(library, [{"text": "fine"}, row])
    assert stored(library) == (0, 0)


def write_ahead(library: Dispatcher, rows: Iterable[Mapping[str, Any]], model: Any = Page) -> Call:
    """A call whose rows are written and not adopted yet."""

    async def prepare(view: World, asking: Asking) -> Written:
        return await asking.write_ahead(model, rows)

    return written_by(library, prepare)


def written_by(library: Dispatcher, prepare: Prepare) -> Call:
    """A call of an action that was prepared so."""

    class Other(World, name="library", rows=[Page, Volume]):
        @action(prepare=prepare)
        def take_in(self, prepared: Any = None) -> int:
            return 0

    asked = Call(principal=LOCAL, world="library", action="take_in")
    return asyncio.run(prepared_call(Dispatcher(library.store, Registry([Other])), asked, Nobody()))


def test_only_rows_of_history_of_a_world_with_parts_are_written_ahead(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    with pytest.raises(TypeError, match="takes a HistoryRow class of library"):
        write_ahead(library, [], model=Volume)


def test_only_what_was_written_for_the_session_is_adopted(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    with pytest.raises(TypeError, match="takes what write_ahead"):
        do(library, call("adopt_what"))
    ready = asyncio.run(prepared_call(library, call("take_in", count=1), Nobody()))
    other = library.start(LOCAL, "library").session
    with pytest.raises(TypeError, match="for this session"):
        library.dispatch(replace(ready, session=other))


def test_rows_in_flight_are_seen_by_nobody_and_copied_nowhere(dispatcher_of: Make, tmp_path: Path) -> None:
    library = dispatcher_of(Library)
    do(library, call("write", text="one"))
    session = library.main(LOCAL, "library")
    ready = asyncio.run(prepared_call(library, call("take_in", count=MANY), Nobody()))
    assert stored(library) == (MANY, 1)
    assert (pages(library), library.dispatch(call("ever")).value) == (1, 1)
    assert [len(rows) for rows in library.past(LOCAL, session)[0].rows.values()] == [1, 0]
    library.fork(LOCAL, session)
    assert library.export(LOCAL, session, tmp_path / "before.db").rows == 1
    assert stored(library) == (MANY, 1)
    library.dispatch(ready)
    assert library.export(LOCAL, session, tmp_path / "after.db").rows == MANY + 2
    imported = library.import_file(LOCAL, tmp_path / "after.db").session
    assert (pages(library, imported), pages(library, imported, at=2)) == (MANY + 1, 1)
    assert pages(library, library.import_file(LOCAL, tmp_path / "before.db").session) == 1
    library.dispatch(call("undo", imported))
    assert pages(library, imported) == 1


def test_a_file_does_not_take_the_place_of_rows_that_are_history(dispatcher_of: Make, tmp_path: Path) -> None:
    library = dispatcher_of(Library)
    session = taken_in(library, 1).session
    library.export(LOCAL, session, tmp_path / "file.db")
    with pytest.raises(Refused, match="without the old handle") as refused:
        library.import_file(LOCAL, tmp_path / "file.db", same_handle=True)
    assert refused.value.rule == "keeps_history"
    library.erase(LOCAL, session)
    assert library.import_file(LOCAL, tmp_path / "file.db", same_handle=True).session == session
    assert pages(library, session) == 1


def test_others_act_while_a_part_is_written(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    session = library.main(LOCAL, "library")
    asked = replace(call("take_in", count=3), attached=lambda: library.dispatch(call("write", text="x")))
    ready = asyncio.run(prepared_call(library, asked, Nobody()))
    assert (ready.if_revision, ready.prepared.revision) == (None, 1)
    library.dispatch(call("write", session, text="y"))
    outcome = library.dispatch(ready)
    assert (outcome.revision, outcome.value) == (4, 5)


def test_no_select_finds_what_is_not_adopted(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    do(library, call("write", text="one"))
    session, found = library.main(LOCAL, "library"), list[int]()

    def look() -> None:
        view, other = library.detached(LOCAL, "library", session, 2), aliased(Page)
        found.extend(len(view.select(statement)) for statement in (chosen(Page.id), chosen(other.id)))
        assert stored(library)[0] > 0

    asyncio.run(prepared_call(library, replace(call("take_in", count=5_000), attached=look), Nobody()))
    assert found == [1, 1]


def test_a_view_of_history_stays_as_it_was(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    do(library, call("write", text="one"))
    session = library.main(LOCAL, "library")
    view = library.detached(LOCAL, "library", session, 2)
    do(library, call("write", text="two"))
    taken_in(library, 3)
    assert (view.revision, len(view.rows(Page)), len(view.rows(Page).at(3))) == (2, 1, 2)
    again = library.detached(LOCAL, "library", session, 3)
    assert (again.revision, [page.text for page in again.rows(Page)]) == (3, ["one", "two"])
    assert len(again.select(chosen(Page.id).where(*again.rows(Page).standing()))) == 2


def test_a_caller_may_still_insist_on_a_revision(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    session = library.main(LOCAL, "library")
    asked = replace(call("take_in", session, count=3), if_revision=1)
    ready = asyncio.run(prepared_call(library, asked, Nobody()))
    library.dispatch(call("write", text="x"))
    with pytest.raises(Conflict):
        library.dispatch(ready)
    assert stored(library) == (0, 0)


def test_a_repeated_call_is_replayed_and_writes_nothing(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    asked = replace(call("take_in", count=3), key="once")
    first, second = (asyncio.run(prepared_call(library, asked, Nobody())) for _ in range(2))
    assert stored(library) == (6, 2)
    assert library.dispatch(first).revision == 2
    assert library.dispatch(second).replayed == 2  # that raced the first
    assert stored(library) == (3, 0)
    again = asyncio.run(prepared_call(library, asked, Nobody()))
    assert (again.written, library.dispatch(again).replayed) == ((), 2)
    assert stored(library) == (3, 0)


def test_a_session_that_gets_too_large_is_refused_while_it_is_written(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library, limits=Limits(stored=20_000))
    seen: list[int] = []

    def counted() -> Iterator[Mapping[str, Any]]:
        for number in range(100_000):
            seen.append(number)
            yield {"text": "x" * 50}

    with pytest.raises(LimitExceeded) as refused:
        write_ahead(library, counted())
    assert (refused.value.rule, len(seen) < 1_000, stored(library)) == ("session_full", True, (0, 0))
    taken_in(library, 100)
    with pytest.raises(LimitExceeded):  # what was taken in counts
        taken_in(library, 100)


def test_what_a_killed_process_left_is_swept(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    session = taken_in(library, 3).session
    late = asyncio.run(prepared_call(library, call("take_in", count=MANY), Nobody()))
    sweep(library.store, library.registry, library.store.now() - timedelta(minutes=15))
    assert stored(library) == (MANY + 3, 1)
    library.store.offset = timedelta(hours=1)
    assert sweep(library.store, library.registry, library.store.now() - timedelta(minutes=15)) == 1
    assert stored(library) == (3, 0)
    with pytest.raises(Conflict, match="swept"):
        library.dispatch(late)
    assert pages(library, session) == 3


def test_an_erased_session_takes_what_is_in_flight_along(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    session = library.main(LOCAL, "library")
    asyncio.run(prepared_call(library, call("take_in", count=3), Nobody()))
    asked = replace(call("take_in", count=MANY), attached=lambda: library.erase(LOCAL, session))
    with pytest.raises(Conflict):
        asyncio.run(prepared_call(library, asked, Nobody()))
    assert stored(library) == (0, 0)


def test_a_snapshot_of_later_says_nothing_of_what_was_taken_in_since(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library, limits=Limits(snapshot=4))
    session = library.main(LOCAL, "library")
    taken_in(library, 1)
    ready = asyncio.run(prepared_call(library, call("take_in", count=1), Nobody()))
    for text in "ab":  # the second makes the snapshot
        library.dispatch(call("write", text=text))
    library.dispatch(ready)
    library.dispatch(call("undo", session))

    def kept(at: int) -> list[int]:
        return [len(rows) for rows in library.past(LOCAL, session, at)[0].rows.values()]

    assert [kept(at) for at in range(1, 7)] == [[0, 0], [1, 1], [2, 1], [3, 1], [4, 2], [4, 2]]


def test_a_world_of_a_newer_version_takes_no_rows_of_an_older_ones_along(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    taken_in(library, 3)
    late = asyncio.run(prepared_call(library, call("take_in", count=MANY), Nobody()))

    @upgrade(to=2, of=Page)
    def shout(page: dict[str, Any]) -> dict[str, Any]:
        return {**page, "text": page["text"].upper()}

    class Newer(World, name="library", rows=[Page, Volume], version=2, upgrades=[shout]):
        @action
        def write(self, text: str) -> list[str]:
            self.rows(Page).add(text=text)
            return [page.text for page in self.rows(Page)]

    newer = Dispatcher(library.store, Registry([Newer]))
    assert newer.dispatch(call("write", text="x")).value == ["x", "PAGE 0", "PAGE 1", "PAGE 2"]
    with pytest.raises(Refused) as refused:
        library.dispatch(late)
    assert (refused.value.rule, stored(newer)) == ("newer_version", (3, 0))


def test_what_is_told_meanwhile_is_told_from_the_beginning(dispatcher_of: Make) -> None:
    library, told = dispatcher_of(Library), list[str]()

    async def prepare(view: World, asking: Asking) -> Written:
        async def meanwhile() -> None:
            told.append("some")

        return await asking.write_ahead(Page, [{"text": "a"}], meanwhile=meanwhile)

    written_by(library, prepare)
    assert told == ["some"]


def test_what_is_taken_in_later_has_the_higher_ids(dispatcher_of: Make) -> None:
    library = dispatcher_of(Library)
    for count in (1, 2):
        taken_in(library, count)
    library.dispatch(Call(principal=LOCAL, world="library", action="undo", session=library.main(LOCAL, "library")))
    taken_in(library, 3)
    with library.store.snapshot() as transaction:
        ids = transaction.run(chosen(Page.id).order_by(col(Page.id))).scalars().all()
    assert ids == [part << PART_BITS | number for part in (1, 2, 3) for number in range(1, part + 1)]
