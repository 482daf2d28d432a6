"""The counter: the smallest world."""

import ast
import io
import logging
import threading
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest

import worlds.counter
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments
from engine.operations import Call
from engine.types import LOCAL, Outcome
from tests.hearing import hooks_of, passing
from worlds.counter import Counter


def call(dispatcher: Dispatcher, action: str, **arguments: int) -> Outcome:
    return dispatcher.dispatch(Call(principal=LOCAL, world="counter", action=action, arguments=arguments))


def total(dispatcher: Dispatcher) -> int:
    found: int = dispatcher.look(LOCAL, "counter", None, Counter.definition.resources["total"].method)
    return found


def test_add_counts_from_one(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Counter)
    assert call(dispatcher, "add", a=5).value == "Added 5, total is now 6"
    assert call(dispatcher, "add", a=-2).value == "Added -2, total is now 4"
    assert total(dispatcher) == 4


def test_undone_add_gives_the_old_total(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Counter)
    call(dispatcher, "add", a=5)
    call(dispatcher, "undo")
    assert total(dispatcher) == 1
    call(dispatcher, "redo")
    assert total(dispatcher) == 6


def test_add_takes_whole_numbers_only(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Counter)
    with pytest.raises(InvalidArguments, match=r"\$\.a: .*received 1\.5\. The arguments are: a\."):
        dispatcher.dispatch(Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1.5}))
    assert total(dispatcher) == 1


def test_no_add_of_many_clients_is_lost(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Counter)
    revisions: list[int] = []
    barrier = threading.Barrier(8)

    def client() -> None:
        barrier.wait()
        revisions.extend(call(dispatcher, "add", a=1).revision for _ in range(25))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(dispatcher) == 201 and sorted(revisions) == list(range(2, 202))


def test_changes_are_logged(dispatcher_of: Callable[..., Dispatcher], caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = dispatcher_of(Counter, hooks=hooks_of(worlds.counter.log_change))
    with caplog.at_level(logging.INFO, logger="worlds.counter"), passing(dispatcher) as process:
        session = call(dispatcher, "add", a=5).session
        process.finish()
    assert f"{session} is at revision 2" in caplog.text


def test_it_is_about_fifteen_lines_of_code() -> None:
    source = Path(worlds.counter.__file__).read_text()
    assert 12 <= len(code_lines(source)) <= 20


def code_lines(source: str) -> set[int]:
    """The lines that hold code: no blank ones, comments or docstrings."""
    passive = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in passive
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines
