"""Undo, redo, forks and the past: what a session was can be had again."""

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import Forbidden, NotFound, Refused
from engine.operations import Call
from engine.registry import Registry
from engine.types import LOCAL, OPERATOR, Outcome, Principal

ANN = Principal("test", "ann", "Ann")
BEN = Principal("test", "ben", "Ben")
Make = Callable[..., Dispatcher]


class Page(StrEnum):
    DRAFT = "draft"
    DONE = "done"


class Count(BaseModel):
    words: int = 0


class Word(Row, table=True):
    """One word of a text."""

    place: int = Field(primary_key=True)
    word: str


class Essay(World, states=Page, start=Page.DRAFT, rows=[Word]):
    """A text, word by word."""

    data: Count

    @action(source=Page.DRAFT)
    def write(self, word: str) -> int:
        """Add a word."""
        self.data.words += 1
        self.rows(Word).add(place=self.data.words, word=word)
        return self.data.words

    @action(source=Page.DRAFT)
    def shout(self) -> None:
        """Make every word loud."""
        for word in self.rows(Word):
            word.word = word.word.upper()

    @action(source=Page.DRAFT)
    def strike(self) -> None:
        """Take the last word away."""
        self.rows(Word).remove(self.rows(Word).where()[-1])
        self.data.words -= 1

    @action(source=Page.DRAFT, target=Page.DONE)
    def finish(self) -> None:
        """Call it done."""

    @action(undo=False)
    def publish(self) -> None:
        """Cannot be taken back."""


def act(
    dispatcher: Dispatcher,
    action: str,
    *,
    by: Principal = ANN,
    session: str | None = None,
    key: str | None = None,
    if_revision: int | None = None,
    **arguments: Any,
) -> Outcome:
    return dispatcher.dispatch(
        Call(
            principal=by,
            world="essay",
            action=action,
            arguments=arguments,
            session=session,
            key=key,
            if_revision=if_revision,
        )
    )


def write(dispatcher: Dispatcher, words: str, session: str | None = None) -> str:
    """Write words, and give the session's handle."""
    handles = [act(dispatcher, "write", word=word, session=session).session for word in words.split()]
    return handles[-1]


def shown(dispatcher: Dispatcher, session: str | None = None, by: Principal = ANN) -> tuple[str, int, str]:
    """The words, their number and the state."""
    return dispatcher.look(
        by,
        "essay",
        session,
        lambda world: (" ".join(word.word for word in world.rows(Word)), world.data.words, str(world.state)),
    )


def then(dispatcher: Dispatcher, session: str, revision: int, by: Principal = ANN) -> tuple[str, int, str]:
    """The same, as it was at a revision."""
    past, _ = dispatcher.past(by, session, revision)
    (rows,) = past.rows.values()
    words = " ".join(row["word"] for row in sorted(rows, key=lambda row: row["place"]))
    return words, json.loads(past.data or "{}")["words"], past.state


def steps(dispatcher: Dispatcher, names: Iterable[str]) -> list[str]:
    """The words after each of some calls."""
    found = []
    for name in names:
        act(dispatcher, name)
        found.append(shown(dispatcher)[0])
    return found


# undo and redo


def test_undo_takes_back_rows_data_and_state(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "one two")
    assert act(dispatcher, "finish").state == "done"
    outcome = act(dispatcher, "undo")
    assert outcome.state == "draft" and outcome.value == {"revision": 4, "action": "finish"} and outcome.revision == 5
    act(dispatcher, "undo")
    assert shown(dispatcher) == ("one", 1, "draft")


def test_undo_of_changed_and_removed_rows_gives_them_back(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "one two")
    act(dispatcher, "shout")
    act(dispatcher, "strike")
    assert steps(dispatcher, ["undo", "undo", "redo", "redo"]) == ["ONE TWO", "one two", "ONE TWO", "ONE"]
    assert shown(dispatcher) == ("ONE", 1, "draft")


def test_repeated_undo_goes_further_back_and_redo_forward_again(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "a b c")
    assert steps(dispatcher, ["undo", "undo", "redo", "undo", "undo"]) == ["a b", "a", "a b", "a", ""]
    assert steps(dispatcher, ["redo", "redo", "redo"]) == ["a", "a b", "a b c"]


def test_undo_never_goes_past_the_start(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "a")
    act(dispatcher, "undo")
    with pytest.raises(Refused, match="There is nothing to undo: the session is as it was started") as raised:
        act(dispatcher, "undo")
    assert raised.value.rule == "nothing_to_undo"


def test_redo_without_an_undo_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "a")
    with pytest.raises(Refused, match="There is nothing to redo") as raised:
        act(dispatcher, "redo")
    assert raised.value.rule == "nothing_to_redo"


def test_new_action_clears_what_could_be_done_again(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "a b")
    steps(dispatcher, ["undo", "undo", "redo"])
    write(dispatcher, "c")
    with pytest.raises(Refused, match="nothing to redo"):
        act(dispatcher, "redo")
    assert steps(dispatcher, ["undo", "undo", "redo", "redo"]) == ["a", "", "a", "a c"]


def test_action_that_cannot_be_undone_is_a_barrier(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    write(dispatcher, "a")
    act(dispatcher, "publish")
    for _ in range(2):
        with pytest.raises(Refused, match=r"publish at revision 3 cannot be undone. Fork the session at revision 2"):
            act(dispatcher, "undo")
    write(dispatcher, "b")
    assert steps(dispatcher, ["undo"]) == ["a"]
    with pytest.raises(Refused) as raised:
        act(dispatcher, "undo")
    assert raised.value.rule == "cannot_undo"


def test_undo_appends_and_erases_nothing(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a")
    act(dispatcher, "undo")
    act(dispatcher, "redo")
    found = dispatcher.history(ANN, session)
    assert [(entry["revision"], entry["action"], entry["stands"], entry.get("about")) for entry in found] == [
        (1, "start", True, None),
        (2, "write", True, None),
        (3, "undo", False, 2),
        (4, "redo", True, 2),
    ]
    assert [entry["revision"] for entry in dispatcher.history(ANN, session, since=2, limit=1)] == [3]


def test_sharing_between_leaves_undo_as_it_was(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    dispatcher.main(BEN, "essay")
    write(dispatcher, "a b")
    act(dispatcher, "undo")
    act(dispatcher, "share", person=dispatcher.person("ben"), role="viewer")
    assert steps(dispatcher, ["redo"]) == ["a b"]
    act(dispatcher, "share", person=dispatcher.person("ben"), role="editor")
    assert steps(dispatcher, ["undo", "undo"]) == ["a", ""]


def test_undo_by_another_editor_takes_back_the_last_action_of_anybody(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a")
    dispatcher.main(BEN, "essay")
    act(dispatcher, "share", person=dispatcher.person("ben"), role="editor")
    act(dispatcher, "undo", by=BEN, session=session)
    assert shown(dispatcher)[0] == ""


def test_undo_change_holds_the_images_the_other_way_round(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    added = act(dispatcher, "write", word="a").change
    undone = act(dispatcher, "undo").change
    assert added is not None and undone is not None and undone.undone == 2
    assert [(change.before, change.after) for change in undone.rows] == [
        (change.after, change.before) for change in added.rows
    ]


# the past


def test_past_gives_state_data_and_rows_of_every_revision(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = dispatcher.main(ANN, "essay")
    snapshots = {1: shown(dispatcher)}
    for name in ("one", "two", "shout", "undo", "undo", "redo", "three", "strike", "undo", "finish", "undo", "redo"):
        outcome = act(dispatcher, "write", word=name) if name in ("one", "two", "three") else act(dispatcher, name)
        snapshots[outcome.revision] = shown(dispatcher)
    assert {revision: then(dispatcher, session, revision) for revision in snapshots} == snapshots
    assert list(snapshots) == list(range(1, 14))


@pytest.mark.parametrize("revision", [0, -1, 3, 999])
def test_revision_that_never_was_is_not_found(dispatcher_of: Callable[..., Dispatcher], revision: int) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a")
    with pytest.raises(NotFound, match=f"There is no revision {revision}. The session has revisions 1 to 2."):
        dispatcher.past(ANN, session, revision)
    with pytest.raises(NotFound):
        dispatcher.fork(ANN, session, revision)


# forks


def test_fork_is_live_at_its_revision_and_leaves_the_origin_alone(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a b c")
    forked = dispatcher.fork(ANN, session, 3)
    assert (forked.revision, shown(dispatcher, forked.session)) == (3, ("a b", 2, "draft"))
    write(dispatcher, "x", forked.session)
    assert shown(dispatcher, forked.session)[0] == "a b x" and shown(dispatcher, session)[0] == "a b c"
    assert dispatcher.main(ANN, "essay") == session


def test_fork_carries_its_history_up_to_there(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a b c")
    act(dispatcher, "shout")
    fork = dispatcher.fork(ANN, session, 4).session
    assert [entry["action"] for entry in dispatcher.history(ANN, fork)] == ["start", "write", "write", "write"]
    for revision in (1, 2, 3, 4):
        assert then(dispatcher, fork, revision) == then(dispatcher, session, revision)
    act(dispatcher, "undo", session=fork)
    act(dispatcher, "undo", session=fork)
    assert shown(dispatcher, fork)[0] == "a"
    assert then(dispatcher, fork, 4)[0] == "a b c"


def test_fork_without_a_revision_is_made_of_the_present(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a b")
    assert shown(dispatcher, dispatcher.fork(ANN, session).session) == shown(dispatcher, session)


@pytest.mark.parametrize("revision", range(1, 11))
def test_fork_can_undo_and_redo_what_its_origin_could_at_that_revision(
    dispatcher_of: Callable[..., Dispatcher], revision: int
) -> None:
    dispatcher = dispatcher_of(Essay)
    dispatcher.main(BEN, "essay")
    names = ("a", "b", "undo", "undo", "redo", "share", "redo", "undo", "c", "undo")
    origin, twin = dispatcher.start(ANN, "essay").session, dispatcher.start(ANN, "essay").session

    def go(session: str, name: str) -> None:
        if name == "share":
            act(dispatcher, "share", session=session, person=dispatcher.person("ben"))
        elif name in ("undo", "redo"):
            act(dispatcher, name, session=session)
        else:
            act(dispatcher, "write", session=session, word=name)

    def tried(session: str, name: str) -> str:
        try:
            go(session, name)
        except Refused as refused:
            return refused.rule
        return shown(dispatcher, session)[0]

    for name in names:
        go(origin, name)
    for name in names[: revision - 1]:
        go(twin, name)
    fork = dispatcher.fork(ANN, origin, revision).session
    for name in ("redo", "redo", "undo", "undo", "undo"):
        assert tried(fork, name) == tried(twin, name)


def test_fork_has_no_keys(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = act(dispatcher, "write", word="a", key="k").session
    fork = dispatcher.fork(ANN, session).session
    outcome = act(dispatcher, "write", word="b", key="k", session=fork)
    assert outcome.replayed is None and shown(dispatcher, fork)[0] == "a b"


def test_fork_belongs_to_whoever_made_it(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a")
    dispatcher.main(BEN, "essay")
    act(dispatcher, "share", person=dispatcher.person("ben"))
    fork = dispatcher.fork(BEN, session).session
    assert act(dispatcher, "write", by=BEN, session=fork, word="b").value == 2
    with pytest.raises(NotFound):
        dispatcher.now(ANN, fork)
    with pytest.raises(Forbidden):
        act(dispatcher, "write", by=BEN, session=session, word="b")


def test_fork_by_the_operator_belongs_to_the_owner(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a")
    fork = dispatcher.fork(OPERATOR, session).session
    assert shown(dispatcher, fork) == ("a", 1, "draft")


def test_fork_of_a_fork_goes_on_counting(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a b")
    fork = dispatcher.fork(ANN, session, 2).session
    write(dispatcher, "x y", fork)
    second = dispatcher.fork(ANN, fork, 3)
    assert shown(dispatcher, second.session)[0] == "a x"
    assert act(dispatcher, "shout", session=second.session).revision == 4


def test_fork_outlives_its_origin(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    session = write(dispatcher, "a b")
    fork = dispatcher.fork(ANN, session, 2).session
    dispatcher.erase(ANN, session)
    assert then(dispatcher, fork, 2)[0] == "a"
    assert act(dispatcher, "undo", session=fork).revision == 3


def test_sessions_are_listed_the_last_changed_first(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Essay)
    first = write(dispatcher, "a")
    second = dispatcher.start(ANN, "essay").session
    bens = dispatcher.main(BEN, "essay")
    act(dispatcher, "share", by=BEN, session=bens, person=dispatcher.person("ann"))
    write(dispatcher, "b")
    listed = [(record.handle, str(role)) for record, role in dispatcher.sessions(ANN)]
    assert listed == [(first, "owner"), (bens, "viewer"), (second, "owner")]
    assert {record.handle for record, _ in dispatcher.sessions(OPERATOR, "essay")} == {first, second, bens}
    assert dispatcher.sessions(Principal("test", "cy")) == []


class Leaf(Row, table=True):
    """One leaf of a plant."""

    number: int = Field(primary_key=True)


class Plant(World, rows=[Leaf], name="plant", version=2):
    """A plant as it is today."""

    @action
    def grow(self) -> None:
        """Grow a leaf."""
        self.rows(Leaf).add()


class LeaflessPlant(World, rows=[], name="plant", version=2):
    """The same version, with the table gone."""

    @action
    def grow(self) -> None:
        """Nothing to grow."""


class BarePlant(World, rows=[], name="plant"):
    """The same world of an older release, without the table."""

    @action
    def grow(self) -> None:
        """Nothing to grow."""


class Sun(BaseModel):
    n: int = 0


class LitPlant(World, rows=[], name="plant"):
    """The same world when it had got a document."""

    data: Sun

    @action
    def grow(self) -> None:
        """Count."""
        self.data.n += 5


def reopened(dispatcher: Dispatcher, world: type[World]) -> Dispatcher:
    """The same database under other code."""
    return Dispatcher(dispatcher.store, Registry([world]))


def test_a_past_with_rows_of_a_table_that_is_gone_is_refused_by_its_name(
    dispatcher_of: Make,
) -> None:
    dispatcher = dispatcher_of(Plant)
    session = dispatcher.dispatch(Call(principal=LOCAL, world="plant", action="grow")).session
    bare = reopened(dispatcher, LeaflessPlant)
    for attempt in (
        lambda: bare.past(LOCAL, session, 1),
        lambda: bare.fork(LOCAL, session, 1),
        lambda: bare.dispatch(Call(principal=LOCAL, world="plant", action="undo", session=session)),
    ):
        with pytest.raises(Refused, match=r"__leaf"):
            attempt()


def test_a_session_of_a_newer_version_is_refused_by_name(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Plant)
    session = dispatcher.dispatch(Call(principal=LOCAL, world="plant", action="grow")).session
    bare = reopened(dispatcher, BarePlant)
    for attempt in (
        lambda: bare.dispatch(Call(principal=LOCAL, world="plant", action="grow", session=session)),
        lambda: bare.past(LOCAL, session),
        lambda: bare.fork(LOCAL, session),
    ):
        with pytest.raises(Refused, match="written by version 2 of plant; here is 1"):
            attempt()


def test_undo_to_before_there_was_a_document_is_the_same_live_and_in_the_past(
    dispatcher_of: Make,
) -> None:
    dispatcher = dispatcher_of(BarePlant)
    session = dispatcher.start(LOCAL, "plant").session
    lit = reopened(dispatcher, LitPlant)
    for name in ("grow", "undo"):
        lit.dispatch(Call(principal=LOCAL, world="plant", action=name, session=session))
    assert [lit.past(LOCAL, session, at)[0].data for at in (1, 2, 3)] == [None, '{"n":5}', None]
    fork = lit.fork(LOCAL, session, 3).session
    assert lit.past(LOCAL, fork)[0].data is None


def test_a_fork_after_a_thousand_shares_finds_what_to_undo(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(BarePlant)
    ben = Principal("test", "ben")
    dispatcher.start(ben, "plant")
    session = dispatcher.dispatch(Call(principal=LOCAL, world="plant", action="grow")).session
    person = dispatcher.person("ben")
    for _ in range(1100):
        given = {"person": person, "role": "viewer"}
        dispatcher.dispatch(Call(principal=LOCAL, world="plant", action="share", arguments=given, session=session))
    fork = dispatcher.fork(LOCAL, session).session
    undone = dispatcher.dispatch(Call(principal=LOCAL, world="plant", action="undo", session=fork))
    assert undone.value == {"revision": 2, "action": "grow"}
