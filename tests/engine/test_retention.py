"""Retention: what is older than it is kept goes, the rest stays whole, and a late retry is still answered."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlmodel import Field

from engine import Row, World, action
from engine.background.sweeping import BITE_SECONDS, Sweeping, tasks_of
from engine.batches import sweep
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.limits import Limits
from engine.models import table_of
from engine.operations import Call
from engine.retention import KEYS_FOR, prune
from engine.store.records import Entry
from engine.types import OPERATOR, Outcome, Principal

ANN = Principal("test", "ann", "Ann")
DAY = timedelta(days=1)
KEPT = 10 * DAY


class Cover(BaseModel):
    title: str = "untitled"


class Page(Row, table=True):
    """A page."""

    number: int | None = Field(default=None, primary_key=True)
    text: str


class Book(World, rows=[Page]):
    """A book that is written for long."""

    data: Cover

    def start(self, title: str = "untitled") -> str:
        self.data.title = title
        return title

    @action
    def write(self, text: str) -> int | None:
        """Write a page."""
        return self.rows(Page).add(text=text).number

    @action
    def fill(self, number: int) -> None:
        """Write many pages."""
        for page in range(number):
            self.rows(Page).add(text=f"secret {page}")

    @action
    def rename(self, title: str) -> None:
        """Give it another title."""
        self.data.title = title


def act(dispatcher: Dispatcher, action: str, session: str, **more: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=ANN, world="book", action=action, session=session, **more))


def written(dispatcher: Dispatcher, days: int) -> str:
    """A book with a title on the first day, and a page a day under the day's key."""
    session = dispatcher.start(ANN, "book", {"title": "Days"}, key="book").session
    for day in range(1, days + 1):
        dispatcher.store.offset += DAY
        act(dispatcher, "write", session, arguments={"text": f"day {day}"}, key=f"day {day}")
    return session


def entries(dispatcher: Dispatcher, session: str) -> list[Entry]:
    """All that the journal holds."""

    def work(transaction: Any) -> list[Entry]:
        return list(transaction.entries(transaction.session(session).id))

    return dispatcher.store.read(work)


def pages(dispatcher: Dispatcher, beginning: str) -> int:
    """How many pages there are, whoever may see them, whose text begins so."""
    table = table_of(Page)
    found = select(func.count()).select_from(table).where(table.c.text.startswith(beginning))
    return int(dispatcher.store.read(lambda tx: tx.run(found).scalar_one()))


def removed(call: Callable[[], object]) -> str:
    """The refusal of what would need the past that was removed."""
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.rule == "past_removed"
    return str(caught.value)


def test_the_past_that_is_kept_is_as_it_was_and_what_is_older_is_refused_by_name(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 30)
    before = {revision: dispatcher.past(ANN, session, revision)[0] for revision in range(1, 32)}
    assert prune(dispatcher.store, KEPT) == 1
    floor = 21
    for revision in range(floor, 32):
        assert dispatcher.past(ANN, session, revision)[0] == before[revision]
    assert before[floor].data == '{"title":"Days"}'
    for revision in range(1, floor):
        said = removed(lambda at=revision: dispatcher.past(ANN, session, at))  # type: ignore[misc]
        assert f"from revision {floor} of " in said and f"Revisions {floor} to 31" in said
    removed(lambda: dispatcher.fork(ANN, session, floor - 1))
    assert [entry["revision"] for entry in dispatcher.history(ANN, session)] == list(range(floor, 32))
    assert all(entry.rows is None and entry.shared is None for entry in entries(dispatcher, session)[:-10])
    assert prune(dispatcher.store, KEPT) == 0


def test_undo_and_redo_stop_where_the_past_was_removed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 12)
    prune(dispatcher.store, KEPT)
    for _ in range(10):
        act(dispatcher, "undo", session)
    assert dispatcher.past(ANN, session)[0].rows == dispatcher.past(ANN, session, 3)[0].rows
    assert "Revision 3 cannot be undone" in removed(lambda: act(dispatcher, "undo", session))
    act(dispatcher, "redo", session)
    dispatcher.store.offset += 5 * DAY
    prune(dispatcher.store, KEPT)
    assert "Revision 5 " in removed(lambda: act(dispatcher, "redo", session))


def test_a_fork_of_what_is_kept_has_that_and_no_more(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 20)
    prune(dispatcher.store, KEPT)
    fork = dispatcher.fork(ANN, session, 15).session
    assert dispatcher.past(ANN, fork)[0] == dispatcher.past(ANN, session, 15)[0]
    removed(lambda: dispatcher.past(ANN, fork, 10))
    act(dispatcher, "undo", fork)
    assert dispatcher.past(ANN, fork)[0].rows == dispatcher.past(ANN, session, 14)[0].rows


def test_keys_outlive_the_past_by_two_days(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 20)
    prune(dispatcher.store, KEPT)
    again = act(dispatcher, "write", session, arguments={"text": "day 9"}, key="day 9")
    assert (again.replayed, again.value) == (10, 9)
    with pytest.raises(Refused, match="This key was used"):
        act(dispatcher, "write", session, arguments={"text": "another"}, key="day 9")
    assert [entry.revision for entry in entries(dispatcher, session)] == list(range(10, 22))
    assert act(dispatcher, "write", session, arguments={"text": "day 7"}, key="day 7").replayed is None


def test_a_start_is_answered_again_until_two_days_after_its_past_is_gone(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 1)
    dispatcher.store.offset += KEPT
    prune(dispatcher.store, KEPT)
    removed(lambda: dispatcher.past(ANN, session, 1))
    again = dispatcher.start(ANN, "book", {"title": "Days"}, key="book")
    assert (again.session, again.value) == (session, "Days")
    dispatcher.store.offset += KEYS_FOR
    prune(dispatcher.store, KEPT)
    assert dispatcher.start(ANN, "book", {"title": "Days"}, key="book").session != session


def test_the_present_is_kept_however_old_it_is(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 3)
    present = dispatcher.past(ANN, session)[0]
    dispatcher.store.offset += 1000 * DAY
    prune(dispatcher.store, KEPT)
    assert dispatcher.past(ANN, session)[0] == present
    assert [entry["revision"] for entry in dispatcher.history(ANN, session)] == [4]
    act(dispatcher, "write", session, arguments={"text": "on"})
    act(dispatcher, "undo", session)
    assert dispatcher.past(ANN, session)[0].rows == present.rows
    removed(lambda: act(dispatcher, "undo", session))


def test_what_is_removed_is_not_counted_as_stored(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 30)

    def stored() -> int:
        return next(record.stored for record, _ in dispatcher.sessions(OPERATOR) if record.handle == session)

    before = stored()
    dispatcher.store.offset += 1000 * DAY
    prune(dispatcher.store, KEPT)
    rows = 30 * len('{"number":1,"text":"day 1"}')
    assert rows <= stored() < before - 29 * len('[["tests",null,{"number":1,"text":"day 1"}]]')


def test_a_document_of_an_older_version_is_read_where_the_past_begins(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 3)
    newer = type("Newer", (Book,), {"__doc__": "Newer.", "__annotations__": {"data": Cover}}, name="book", version=2)
    later = dispatcher_of(newer)
    later.store.offset = dispatcher.store.offset + 20 * DAY
    act(later, "write", session, arguments={"text": "of the newer version"})
    act(later, "write", session, arguments={"text": "another"})
    before = later.past(ANN, session)[0]
    for _ in range(2):
        later.store.offset += 20 * DAY
        prune(later.store, KEPT)
        assert later.past(ANN, session, 6)[0] == later.past(ANN, session)[0] == before
        removed(lambda: later.past(ANN, session, 5))


def test_rows_that_only_the_removed_past_showed_are_in_no_fork_and_no_file_and_are_swept(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path
) -> None:
    """The first row set is the session's own, which has no row of `session` to itself."""
    dispatcher, other = dispatcher_of(Book, limits=Limits(at_once=5)), dispatcher_of(Book, file="other.db")
    session, store = dispatcher.start(ANN, "book").session, dispatcher.store
    act(dispatcher, "fill", session, arguments={"number": 20})
    act(dispatcher, "undo", session)  # shows another row set
    act(dispatcher, "fill", session, arguments={"number": 10})
    act(dispatcher, "undo", session)  # shows a third
    store.offset += DAY
    act(dispatcher, "write", session, arguments={"text": "on"})
    assert sweep(store, dispatcher.registry, store.now()) == 0
    assert pages(dispatcher, "secret") == 30
    store.offset += KEPT
    prune(store, KEPT)
    act(dispatcher, "write", session, arguments={"text": "further"})
    before = dispatcher.past(ANN, session)[0]

    def kept(there: Dispatcher, handle: str) -> None:
        assert there.past(ANN, handle)[0] == before
        assert [page["text"] for page in there.past(ANN, handle, 6)[0].rows[table_of(Page).name]] == ["on"]

    assert pages(dispatcher, "secret") == 30
    fork = dispatcher.fork(ANN, session).session
    dispatcher.export(ANN, session, tmp_path / "book.db")
    imported = other.import_file(ANN, tmp_path / "book.db").session
    assert (pages(dispatcher, "secret"), pages(other, "secret")) == (30, 0)
    assert sweep(store, dispatcher.registry, store.now()) == 2
    assert (pages(dispatcher, "secret"), pages(dispatcher, "on")) == (0, 2)
    assert sweep(store, dispatcher.registry, store.now()) == 0
    kept(dispatcher, session)
    kept(dispatcher, fork)
    kept(other, imported)


@pytest.mark.parametrize("first", [(), ("undo", "redo")], ids=["never left", "come back to"])
def test_rows_that_a_kept_revision_shows_stay_though_another_row_set_is_shown(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path, first: tuple[str, ...]
) -> None:
    dispatcher, other = dispatcher_of(Book, limits=Limits(at_once=5)), dispatcher_of(Book, file="other.db")
    session, store = dispatcher.start(ANN, "book").session, dispatcher.store
    floor = act(dispatcher, "fill", session, arguments={"number": 20}).revision
    for name in first:  # to another row set and back to the own one
        floor = act(dispatcher, name, session).revision
    store.offset += KEPT
    act(dispatcher, "undo", session)  # and to the other, where the last one before is the first kept
    prune(store, KEPT)
    sweep(store, dispatcher.registry, store.now())
    removed(lambda: dispatcher.past(ANN, session, floor - 1))
    dispatcher.export(ANN, session, tmp_path / "book.db")
    fork, imported = dispatcher.fork(ANN, session).session, other.import_file(ANN, tmp_path / "book.db").session
    for there, handle in ((dispatcher, session), (dispatcher, fork), (other, imported)):
        found = [there.past(ANN, handle, at)[0].rows[table_of(Page).name] for at in (floor, floor + 1)]
        assert [len(rows) for rows in found] == [20, 0]


def test_pruning_stops_when_it_is_told_to_and_goes_on_later(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book)
    sessions = [dispatcher.start(ANN, "book").session for _ in range(3)]
    for session in sessions:
        act(dispatcher, "write", session, arguments={"text": "old"})
    dispatcher.store.offset += 2 * KEPT
    steps = iter([True, True, True, False])
    prune(dispatcher.store, KEPT, lambda: next(steps, False))
    left = [len(entries(dispatcher, session)) for session in sessions]
    assert left != [1, 1, 1]
    prune(dispatcher.store, KEPT)
    assert [len(entries(dispatcher, session)) for session in sessions] == [1, 1, 1]
    assert prune(dispatcher.store, KEPT) == 0


def test_a_long_past_goes_in_short_transactions(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Book, limits=Limits(snapshot=50))
    session = dispatcher.start(ANN, "book").session
    for number in range(450):
        act(dispatcher, "write", session, arguments={"text": str(number)})
    dispatcher.store.offset += 2 * KEPT
    prune(dispatcher.store, KEPT)
    assert len(entries(dispatcher, session)) == 1 and len(dispatcher.past(ANN, session)[0].rows) == 1


def test_sweeping_carries_out_what_it_is_for_and_survives_what_fails(
    dispatcher_of: Callable[..., Dispatcher], caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = dispatcher_of(Book)
    session = written(dispatcher, 20)

    def fail(go_on: Callable[[], bool]) -> None:
        raise ValueError("".join(("sec", "ret")))

    def sweep(retention: timedelta | None) -> None:
        sweeping = Sweeping({"failing": fail} | tasks_of(dispatcher, retention, None), begins=0.0)
        while sweeping.look("wrk") == 0.0:
            pass

    sweep(None)
    assert dispatcher.past(ANN, session, 1)[0].revision == 1
    sweep(KEPT)
    removed(lambda: dispatcher.past(ANN, session, 1))
    assert "sweeping failing failed: ValueError" in caplog.text and "secret" not in caplog.text


def test_a_task_that_is_not_done_is_cut_off_and_goes_on_at_the_next_look() -> None:
    bites: list[float] = []

    def task(go_on: Callable[[], bool]) -> None:
        began = time.monotonic()
        while len(bites) < 2 and go_on():
            pass
        bites.append(time.monotonic() - began)

    sweeping = Sweeping({"task": task}, begins=0.0)
    assert [sweeping.look("wrk") > 0 for _ in range(3)] == [False, False, True] and len(bites) == 3
    assert max(bites) < 10 * BITE_SECONDS
