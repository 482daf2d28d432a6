"""The adventure as a world: kept turn by turn, undone, and closed when its story ends."""

from collections.abc import Callable

import pytest

from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.operations import Call
from engine.types import LOCAL, Json, Outcome
from worlds.adventure import Adventure


def do(dispatcher: Dispatcher, action: str, **arguments: Json) -> Outcome:
    return dispatcher.dispatch(Call(principal=LOCAL, world="adventure", action=action, arguments=arguments))


def seen(dispatcher: Dispatcher, action: str) -> Json:
    return dispatcher.read(Call(principal=LOCAL, world="adventure", action=action)).value


def test_each_command_is_a_revision_and_can_be_undone(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Adventure)
    assert do(dispatcher, "command", text="north").revision == 2
    do(dispatcher, "command", text="east. take coat")
    assert "heavy coat" in str(seen(dispatcher, "inventory"))
    do(dispatcher, "undo")
    assert "heavy coat" not in str(seen(dispatcher, "inventory"))


def test_story_that_has_ended_takes_no_more_commands(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Adventure)
    do(dispatcher, "command", text="south")
    do(dispatcher, "command", text="south")
    with pytest.raises(Refused):
        do(dispatcher, "command", text="north")


def test_unknown_story_is_refused_with_those_that_are_installed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    with pytest.raises(Refused, match="installed are stillweather"):
        dispatcher_of(Adventure).start(LOCAL, "adventure", {"story": "moonbase"})
