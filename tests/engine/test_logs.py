"""The log: one line for each action, whatever came of it, and nothing of what callers sent or got."""

import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mcp.client import Client
from pydantic import BaseModel
from sqlmodel import CheckConstraint, Field

from engine import Change, Row, World, action, on_change, prompt, resource
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, NotFound, Refused, StoreError
from engine.logs import LogFormatter, explained, trace
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.server import build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.operations import Call
from engine.types import LOCAL, Json, Principal
from tests.hearing import hooks_of, passing

ANN = Principal("test", "ann", "Ann")
LINE = re.compile(
    r"action=\S+ session=(ses_\S+|main|-)( revision=\d+)? outcome=(done|replayed|refused rule=\S+|failed error=\w{8})"
    r" ms=\d+\.\d"
)


class Diary(BaseModel):
    text: str = ""


class Entry(Row, table=True):
    """One entry."""

    __table_args__ = (CheckConstraint("length(text) < 200", name="text"),)
    number: int | None = Field(default=None, primary_key=True)
    text: str


def never(diary: "Secret", text: str) -> str | None:
    return f"{text} is not for now"


def fragile(diary: "Secret", text: str) -> str | None:
    raise LookupError(text)


class Secret(World, rows=[Entry]):
    """A diary."""

    data: Diary

    @action
    def keep(self, text: str) -> str:
        """Keep something."""
        self.data.text = text
        return text

    @action
    def note(self, text: str) -> str:
        """Add an entry, which may be too long."""
        return str(self.rows(Entry).add(text=text * 20).number)

    @action
    def refuse(self, text: str) -> None:
        """Refuse, saying why."""
        raise Refused(text, f"not {text}", hint=text)

    @action
    def fail(self, text: str) -> None:
        """Fail, saying where."""
        raise ValueError(text)

    @action
    def fail_twice(self, text: str) -> None:
        """Fail while failing."""
        try:
            dict[str, str]()[text]
        except KeyError as error:
            error.add_note(text)
            raise RuntimeError(text) from ExceptionGroup(text, [OSError(text), error])

    @action
    def lose(self, text: str) -> None:
        """Lose the database."""
        raise StoreError(text, hint=text)

    @action
    def misjudge(self, text: str) -> None:
        """Find fault with the arguments."""
        raise InvalidArguments(text, hint=text, path=text)

    @action
    def mislay(self, text: str) -> None:
        """Find nothing."""
        raise NotFound(text, hint=text)

    @action
    def leave(self, text: str) -> None:
        """Leave the process."""
        raise SystemExit(text)

    @action(guards=[never])
    def wait(self, text: str) -> None:
        """Never possible."""

    @action(guards=[fragile])
    def stumble(self, text: str) -> None:
        """A guard that fails."""

    @action
    def lie(self, text: str) -> int:
        """Answer with something else than was declared."""
        return text  # type: ignore[return-value]

    @action(read_only=True)
    def recall(self, text: str) -> str:
        """Read something."""
        return text

    @action(read_only=True)
    def forget(self, text: str) -> str:
        """Fail to read something."""
        raise ArithmeticError(text)

    @resource(uri="diary://{text}")
    def page(self, text: str) -> str:
        """Fail to be read."""
        raise ValueError(text)

    @prompt
    def advice(self, text: str) -> str:
        """Fail to be asked."""
        raise ValueError(text)


@on_change(Secret)
def tell(change: Change) -> None:
    raise ValueError(str(change.arguments))


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """What the log says meanwhile, of whatever library, from INFO on."""
    said, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(said), root.level
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def lines(said: io.StringIO) -> list[str]:
    """The lines of actions."""
    return [text.partition("engine.logs: ")[2] for text in said.getvalue().splitlines() if "action=" in text]


def act(dispatcher: Dispatcher, action: str, session: str | None = None, **more: Any) -> Any:
    return dispatcher.dispatch(Call(principal=ANN, world="secret", action=action, session=session, **more))


def test_each_action_has_one_line_with_session_revision_outcome_and_time(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Secret)
    with logged() as said:
        session = act(dispatcher, "keep", arguments={"text": "a"}, key="k").session
        act(dispatcher, "keep", arguments={"text": "a"}, key="k")
        act(dispatcher, "recall", session, arguments={"text": "a"})
        for action in ("refuse", "wait", "misjudge", "mislay", "lose", "fail", "keep", "fly"):
            with pytest.raises(Exception):  # noqa: B017  of every kind
                act(dispatcher, action, session, arguments={"text": "a"} if action != "keep" else {})
        act(dispatcher, "undo", session)
        fork = dispatcher.fork(ANN, session).session
        dispatcher.erase(ANN, fork)
        dispatcher.start(ANN, "secret")
    found = lines(said)
    assert all(LINE.fullmatch(line) for line in found)
    assert [re.sub(r" ms=.*|error=\w+", "", line).replace(session, "S").replace(fork, "F") for line in found][:-1] == [
        "action=secret.keep session=S revision=2 outcome=done",
        "action=secret.keep session=S revision=2 outcome=replayed",
        "action=secret.recall session=S revision=2 outcome=done",
        "action=secret.refuse session=S outcome=refused rule=a",
        "action=secret.wait session=S outcome=refused rule=never",
        "action=secret.misjudge session=S outcome=refused rule=invalid_arguments",
        "action=secret.mislay session=- outcome=refused rule=not_found",
        "action=secret.lose session=S outcome=failed ",
        "action=secret.fail session=S outcome=failed ",
        "action=secret.keep session=S outcome=refused rule=invalid_arguments",
        "action=unknown session=- outcome=refused rule=not_found",
        "action=secret.undo session=S revision=3 outcome=done",
        "action=fork session=F revision=3 outcome=done",
        "action=erase session=F outcome=done",
    ]


def test_the_number_that_a_client_is_told_is_in_the_line_and_explained_once(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Secret)

    async def fail() -> str:
        server = build_server(
            dispatcher, Hub(dispatcher.registry, dispatcher.store), Endpoint(world="secret"), lambda context: LOCAL
        )
        async with Client(server) as client:
            with pytest.raises(Exception) as caught:
                await client.call_tool("fail_twice", {"text": "x"})
            return str(caught.value)

    with logged() as said:
        number = anyio.run(fail).rpartition("error ")[2].rstrip(".")
    assert [line.partition("error=")[2].partition(" ")[0] for line in lines(said)] == [number]
    explanation = said.getvalue().partition(f"ERROR engine.logs: error {number}: ")
    assert said.getvalue().count(f"error {number}:") == 1
    for kind in (
        "RuntimeError",
        "caused by ExceptionGroup",
        "caused by OSError",
        "caused by KeyError",
        "in fail_twice",
    ):
        assert kind in explanation[2]


ACTIONS = "keep note refuse fail fail_twice lose misjudge mislay wait stumble lie recall forget undo redo".split()


async def _everything(dispatcher: Dispatcher, marker: str, ask: Callable[[str], Json]) -> None:
    server = build_server(
        dispatcher, Hub(dispatcher.registry, dispatcher.store), Endpoint(world="secret"), lambda context: LOCAL
    )
    async with Client(server) as client:

        async def tried(work: Any) -> None:
            try:
                await work
            except Exception:
                return

        for tool in (
            *ACTIONS,
            "get_session",
            "session_history",
            "fork_session",
            "share_session",
            "end_session",
            marker,
        ):
            await tried(client.call_tool(tool, ask(tool)))
        await tried(client.read_resource(f"diary://{marker}"))
        await tried(client.read_resource(f"session://{marker}/state"))
        await tried(client.get_prompt("advice", {"text": marker}))
        await tried(client.get_prompt(marker, {"text": marker}))


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data(), st.integers(10**11, 10**12))
def test_nothing_that_callers_send_is_in_the_log_whatever_comes_of_it(
    dispatcher_of: Callable[..., Dispatcher], data: st.DataObject, number: int
) -> None:
    marker = f"Mark er{number}!"
    dispatcher = dispatcher_of(Secret, file=f"{number}.db", hooks=hooks_of(tell))
    shapes: list[Json] = [
        {"text": marker},
        {"text": [marker]},
        {"text": {marker: 1}},
        {marker: 1},
        {"session": marker, "text": marker},
        {"session": [marker], "text": marker},
        {"if_revision": marker, "text": marker},
        {"person": marker},
        {"at": marker},
        {},
    ]
    drawn = {tool: data.draw(st.sampled_from(shapes)) for tool in (*ACTIONS, "get_session", "share_session")}
    with logged() as said, passing(dispatcher) as process:
        for shape in ({"text": marker}, None):
            anyio.run(_everything, dispatcher, marker, lambda tool, s=shape: s or drawn.get(tool, {"text": marker}))
        for action in ("keep", "fail", "leave"):
            for options in ({"key": f"{marker} {action}"}, {"session": marker}):
                with pytest.raises(BaseException) if action != "keep" or "session" in options else _nothing():
                    act(dispatcher, action, arguments={"text": marker}, **options)
        process.finish()
    assert "Mark er" not in said.getvalue() and str(number) not in re.sub(r"error[ =]\w{8}", "", said.getvalue())
    assert "outcome=done" in said.getvalue() and "outcome=failed" in said.getvalue() and "hook" in said.getvalue()
    assert all(LINE.fullmatch(line) for line in lines(said))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_a_trace_ends_though_errors_cause_each_other() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert trace(one) == "ValueError\ncaused by ValueError"


def test_an_error_keeps_its_number() -> None:
    error = KeyError("x")
    assert explained(error) == explained(error) != explained(KeyError("x"))


def test_without_a_log_nothing_is_made_for_it(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Secret)
    logger = logging.getLogger("engine.logs")
    with logged() as said:
        logger.setLevel(logging.WARNING)
        try:
            act(dispatcher, "keep", arguments={"text": "a"})
            with pytest.raises(Refused):
                act(dispatcher, "wait", arguments={"text": "a"})
        finally:
            logger.setLevel(logging.NOTSET)
    assert lines(said) == []
