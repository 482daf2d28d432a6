"""Hooks hear of changes after the commit, in order, and cannot harm."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from engine import Change, World, action, after, on_change
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError, Refused
from engine.hooks import HookFunction
from engine.operations import Call
from engine.types import LOCAL, Outcome
from tests.hearing import Process, hooks_of, passing


def is_positive(world: "Meter", amount: int) -> str | None:
    return None if amount > 0 else "only more than nothing"


class Meter(World, rows=[]):
    """Counts."""

    @action(guards=[is_positive])
    def tick(self, amount: int = 1) -> None:
        """Go on."""

    @action
    def reset(self) -> None:
        """Begin again."""


class Bell(World, rows=[]):
    """Rings."""

    @action
    def ring(self) -> None:
        """Ring."""


Running = Callable[..., Dispatcher]


@pytest.fixture
def running(dispatcher_of: Callable[..., Dispatcher]) -> Iterator[tuple[Running, Callable[[], None]]]:
    """A dispatcher whose hooks are told by a process, and how to have all of them told."""
    told: list[Process] = []
    with ExitStack() as stack:

        def run(*functions: HookFunction) -> Dispatcher:
            dispatcher = dispatcher_of(Meter, Bell, hooks=hooks_of(*functions))
            told.append(stack.enter_context(passing(dispatcher)))
            return dispatcher

        yield run, lambda: told[-1].finish()


def call(dispatcher: Dispatcher, action: str, world: str = "meter", key: str | None = None, **given: int) -> Outcome:
    return dispatcher.dispatch(Call(principal=LOCAL, world=world, action=action, arguments=given, key=key))


def test_hooks_are_told_of_every_change_in_order(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    heard: list[tuple[str, int]] = []

    @on_change()
    def note(change: Change) -> None:
        heard.append((change.action, change.revision))

    dispatcher = run(note)
    for name in ("tick", "reset", "undo", "redo"):
        call(dispatcher, name)
    finish()
    assert heard == [("start", 1), ("tick", 2), ("reset", 3), ("undo", 4), ("redo", 5)]


def test_hook_is_told_when_the_change_can_be_read(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    seen: list[int] = []

    @after(Meter.tick)
    def look(change: Change) -> None:
        seen.append(dispatcher.now(LOCAL, change.session).revision - change.revision)

    dispatcher = run(look)
    call(dispatcher, "tick")
    finish()
    assert seen == [0]


def test_hook_may_dispatch_again(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running

    @after(Meter.reset)
    def tick_again(change: Change) -> None:
        call(dispatcher, "tick")

    dispatcher = run(tick_again)
    call(dispatcher, "reset")
    finish()
    assert dispatcher.now(LOCAL, dispatcher.main(LOCAL, "meter")).revision == 3


def test_failing_hook_is_logged_and_harms_nobody(
    running: tuple[Running, Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    run, finish = running
    heard: list[int] = []

    @on_change(Meter)
    def stumble(change: Change) -> None:
        raise ZeroDivisionError("stumbled")

    @on_change(Meter)
    def note(change: Change) -> None:
        heard.append(change.revision)

    dispatcher = run(stumble, note)
    assert call(dispatcher, "tick").revision == 2
    assert call(dispatcher, "tick").revision == 3
    finish()
    assert heard == [1, 2, 3]
    assert "stumble failed on revision 1 of ses_" in caplog.text and "ZeroDivisionError" in caplog.text
    found = {record.levelno for record in caplog.records if record.name == "engine.background.hearing"}
    assert found == {logging.ERROR}


def test_hook_after_an_action_hears_of_that_action_only(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    heard: list[str] = []

    @after(Meter.tick)
    def note(change: Change) -> None:
        heard.append(change.action)

    dispatcher = run(note)
    for name in ("reset", "tick", "undo"):
        call(dispatcher, name)
    call(dispatcher, "ring", "bell")
    finish()
    assert heard == ["tick"]


def test_hook_of_a_world_hears_of_that_world_only(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    heard: list[str] = []

    @on_change(Bell)
    def note(change: Change) -> None:
        heard.append(change.world)

    dispatcher = run(note)
    call(dispatcher, "tick")
    call(dispatcher, "ring", "bell")
    finish()
    assert heard == ["bell", "bell"]


def test_one_function_may_be_told_after_several_actions(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    heard: list[str] = []

    @after(Meter.tick)
    @after(Bell.ring)
    def note(change: Change) -> None:
        heard.append(change.action)

    dispatcher = run(note)
    call(dispatcher, "tick")
    call(dispatcher, "ring", "bell")
    finish()
    assert sorted(heard) == ["ring", "tick"]  # of two sessions, in any order


def test_hooks_are_not_told_of_refusals_and_replays(running: tuple[Running, Callable[[], None]]) -> None:
    run, finish = running
    heard: list[int] = []

    @after(Meter.tick)
    def note(change: Change) -> None:
        heard.append(change.revision)

    dispatcher = run(note)
    with pytest.raises(Refused):
        call(dispatcher, "tick", amount=0)
    call(dispatcher, "tick", key="k")
    call(dispatcher, "tick", key="k")
    finish()
    assert heard == [2]


def test_hook_of_a_wrong_signature_is_refused() -> None:
    with pytest.raises(DefinitionError) as raised:

        @after(Meter.tick)  # type: ignore[type-var]
        def note() -> None: ...

    assert "must take one argument" in str(raised.value)
    assert "Write `def note(change: Change) -> None`" in str(raised.value)


def test_async_hook_is_refused() -> None:
    with pytest.raises(DefinitionError) as raised:

        @on_change(Meter)  # type: ignore[type-var]
        async def note(change: Change) -> None: ...

    assert "is async, but hooks are called plainly" in str(raised.value)
    assert "Write `def note(change: Change) -> None`" in str(raised.value)


def test_hook_after_what_is_no_action_is_refused() -> None:
    def walk() -> None: ...

    with pytest.raises(DefinitionError, match=r"walk.*that is not an action"):
        after(walk)


@pytest.mark.parametrize("decorate", [on_change, on_change(), on_change(World)], ids=["bare", "empty", "World"])
def test_on_change_of_no_world_is_told_of_all(
    decorate: Callable[[HookFunction], HookFunction], running: tuple[Running, Callable[[], None]]
) -> None:
    run, finish = running
    heard: list[tuple[str, str]] = []

    def note(change: Change) -> None:
        heard.append((change.world, change.action))

    assert decorate(note) is note
    dispatcher = run(note)
    call(dispatcher, "tick")
    call(dispatcher, "ring", "bell")
    finish()
    by_world = {world: [action for named, action in heard if named == world] for world in ("meter", "bell")}
    assert by_world == {"meter": ["start", "tick"], "bell": ["start", "ring"]}


def test_on_change_of_what_is_no_world_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"that is not a world. Name the world's class"):
        on_change(int)


def test_bare_on_change_checks_the_hook() -> None:
    with pytest.raises(DefinitionError, match=r"must take one argument"):

        @on_change  # type: ignore[type-var]
        def note() -> None: ...


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_hook_that_ends_its_thread_is_logged_and_the_next_are_told(
    error: type[BaseException], running: tuple[Running, Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    run, finish = running
    heard: list[int] = []

    @on_change
    def leave(change: Change) -> None:
        raise error

    @on_change
    def note(change: Change) -> None:
        heard.append(change.revision)

    dispatcher = run(leave, note)
    call(dispatcher, "tick")
    finish()
    assert heard == [1, 2] and "leave failed on revision 1" in caplog.text
