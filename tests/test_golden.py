"""A database that a release made is opened by this code: every past is read, undone, forked and gone on with."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.errors import NotFound, Refused
from engine.limits import DEFAULT, Limits
from engine.migrate import behind, upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import Json, Outcome
from tests.golden.after.ledger import Ledger
from tests.golden.facts import FOLDER, PEOPLE, Facts, Kept, read, seen_of
from worlds.adventure import Adventure
from worlds.counter import Counter

RELEASES = sorted(FOLDER.glob("*.sqlite"))
REGISTRY = Registry([Ledger, Counter, Adventure])
GOING_ON: dict[str, tuple[str, dict[str, Json]]] = {
    "ledger": ("add", {"text": "more", "amount": 1}),
    "counter": ("add", {"a": 1}),
}
GONE = {("ledger", "label")}
"""Actions that the worlds' present versions do not have."""


@pytest.fixture(params=RELEASES, ids=lambda path: path.stem)
def facts(request: pytest.FixtureRequest) -> Facts:
    """What the release saw."""
    path: Path = request.param
    return read(path.with_suffix(".json"))


@pytest.fixture
def opened(facts: Facts, tmp_path: Path) -> Iterator[Callable[..., Dispatcher]]:
    """Opens a copy of the release's database."""
    copy = tmp_path / "golden.sqlite"
    shutil.copy(FOLDER / f"{facts.release}.sqlite", copy)
    stores: list[SqliteStore] = []

    def make(limits: Limits = DEFAULT) -> Dispatcher:
        stores.append(SqliteStore(str(copy), limits))
        upgrade(stores[-1], REGISTRY.worlds.values())
        return Dispatcher(stores[-1], REGISTRY)

    yield make
    for store in stores:
        store.close()


def expected(kept: Kept, revision: int) -> Json:
    """What was seen after a revision, as the present version has it: written here apart from the world's own steps."""
    seen = kept.seen[revision]
    if kept.world != "ledger" or seen["version"] == 2:
        return seen
    lines = [
        {"number": line["number"], "text": line["text"], "cents": line["amount"] * 100, "kind": "cost"}
        for line in seen["rows"]["ledger__line"]
    ]
    return {
        "version": 2,
        "state": {"draft": "open", "closed": "closed"}[seen["state"]],
        "data": {"holder": seen["data"]["owner"], "lines": seen["data"]["lines"]},
        "rows": {"ledger__line": lines},
    }


def act(dispatcher: Dispatcher, kept: Kept, action: str, **arguments: Json) -> Outcome:
    return dispatcher.dispatch(
        Call(
            principal=PEOPLE[kept.owner],
            world=kept.world,
            action=action,
            arguments=arguments,
            session=kept.handle,
        )
    )


def last(kept: Kept) -> int:
    return max(kept.seen)


def open_sessions(facts: Facts) -> list[Kept]:
    return [kept for kept in facts.sessions.values() if not kept.ended]


def undone(dispatcher: Dispatcher, kept: Kept) -> Iterator[tuple[int, Json]]:
    """Each revision that undo takes back, until there is none, and what is then seen."""
    while True:
        try:
            revision = act(dispatcher, kept, "undo").value["revision"]
        except Refused as error:
            assert error.rule == "nothing_to_undo"
            return
        yield revision, seen_of(dispatcher, kept.owner, kept.handle)


def test_there_is_a_golden_database_with_both_sides_of_an_upgrade(facts: Facts) -> None:
    versions = [{seen["version"] for seen in kept.seen.values()} for kept in facts.sessions.values()]
    assert {1, 2} in versions and {1} in versions and {2} in versions


def test_database_is_brought_up_to_date(opened: Callable[..., Dispatcher]) -> None:
    assert behind(opened().store, REGISTRY.worlds.values()) == []


def test_every_revision_of_every_session_reads_as_it_was_seen(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    for name, kept in facts.sessions.items():
        for revision in kept.seen:
            seen = seen_of(dispatcher, kept.owner, kept.handle, revision)
            assert seen == expected(kept, revision), f"{name} at {revision}"


def test_every_session_is_as_it_was_left(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    for kept in facts.sessions.values():
        now = dispatcher.now(PEOPLE[kept.owner], kept.handle)
        assert (now.revision, now.state) == (last(kept), expected(kept, last(kept))["state"])
        entries = dispatcher.history(PEOPLE[kept.owner], kept.handle)
        assert [[e["action"], e["arguments"], e["state"], e.get("about")] for e in entries] == kept.entries
    for begun in facts.begun:
        if begun.main:
            kept = facts.sessions[begun.session]
            assert dispatcher.main(PEOPLE[begun.by], kept.world) == kept.handle


@pytest.mark.parametrize("limits", [DEFAULT, Limits(at_once=4, snapshot=5)], ids=["at once", "written ahead"])
def test_undo_goes_back_to_the_start_and_redo_comes_all_the_way_again(
    opened: Callable[..., Dispatcher], facts: Facts, limits: Limits
) -> None:
    dispatcher = opened(limits)
    for name, kept in facts.sessions.items():
        if kept.ended:
            continue
        taken = list(undone(dispatcher, kept))
        for revision, seen in taken:
            assert seen == expected(kept, revision - 1), f"{name}: undo of {revision}"
        for revision, _ in reversed(taken):
            assert act(dispatcher, kept, "redo").value["revision"] == revision
            assert seen_of(dispatcher, kept.owner, kept.handle) == expected(kept, revision), f"{name}: redo {revision}"


@pytest.mark.parametrize("limits", [DEFAULT, Limits(at_once=4, snapshot=5)], ids=["at once", "written ahead"])
def test_fork_at_every_revision_is_what_was_seen_there(
    opened: Callable[..., Dispatcher], facts: Facts, limits: Limits
) -> None:
    dispatcher = opened(limits)
    for name, kept in facts.sessions.items():
        for revision in kept.seen:
            fork = dispatcher.fork(PEOPLE[kept.owner], kept.handle, revision).session
            assert seen_of(dispatcher, kept.owner, fork) == expected(kept, revision), f"{name} at {revision}"
            assert seen_of(dispatcher, kept.owner, fork, 1) == expected(kept, 1), f"{name} at {revision}"


def test_sessions_go_on(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    for kept in open_sessions(facts):
        if kept.world not in GOING_ON:
            continue
        if expected(kept, last(kept))["state"] == "closed":
            act(dispatcher, kept, "reopen")
        action, arguments = GOING_ON[kept.world]
        before = seen_of(dispatcher, kept.owner, kept.handle)
        revision = act(dispatcher, kept, action, **arguments).revision
        act(dispatcher, kept, "undo")
        assert seen_of(dispatcher, kept.owner, kept.handle) == before
        assert seen_of(dispatcher, kept.owner, kept.handle, revision - 1) == before


def test_a_story_goes_on(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher, kept = opened(), facts.sessions["story"]
    assert act(dispatcher, kept, "look").content
    assert act(dispatcher, kept, "command", text="wait").revision == last(kept) + 1


def test_every_key_finds_its_recorded_answer(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    for made in facts.answered:
        kept = facts.sessions[made.session]
        call = Call(
            principal=PEOPLE[made.by],
            world=made.world,
            action=made.action,
            arguments=made.arguments,
            session=kept.handle,
            key=made.key,
        )
        if (made.world, made.action) in GONE:
            with pytest.raises(NotFound, match="has no action 'label'"):
                dispatcher.dispatch(call)
            continue
        again = dispatcher.dispatch(call)
        assert (again.replayed, again.value, again.revision) == (made.revision, made.value, last(kept)), made


def test_every_key_of_a_start_or_fork_finds_its_session(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    for begun in facts.begun:
        kept, by = facts.sessions[begun.session], PEOPLE[begun.by]
        if begun.origin is None:
            again = dispatcher.start(by, kept.world, begun.arguments, key=begun.key, main=begun.main)
        else:
            again = dispatcher.fork(by, facts.sessions[begun.origin].handle, begun.at, key=begun.key)
        assert (again.session, again.replayed) == (kept.handle, begun.at or 1)


def test_shared_session_is_still_shared(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher, kept = opened(), facts.sessions["shared"]
    found = {record.handle: str(role) for record, role in dispatcher.sessions(PEOPLE["ben"])}
    assert found[kept.handle] == "editor"
    assert kept.handle not in [record.handle for record, _ in dispatcher.sessions(PEOPLE["cleo"])]


def test_ended_session_stays_ended(opened: Callable[..., Dispatcher], facts: Facts) -> None:
    dispatcher = opened()
    with pytest.raises(Refused) as raised:
        act(dispatcher, facts.sessions["ended"], "add", text="more", amount=1)
    assert raised.value.rule == "session_ended"
