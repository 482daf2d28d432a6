"""What a stream is still to be told: once for many changes, and the last one surely."""

import asyncio

import pytest

from engine.mcp_adapter.outbox import APART, Outbox

pytestmark = pytest.mark.anyio
SECONDS = 5.0


async def test_many_changes_of_a_resource_are_told_once() -> None:
    outbox = Outbox()
    for _ in range(1000):
        outbox.put("a")
        outbox.put("b")
    assert [await outbox.next(), await outbox.next()] == ["a", "b"]
    outbox.close()
    assert await outbox.next() is None


async def test_what_changes_while_it_rests_is_told_when_it_has_rested() -> None:
    outbox, loop = Outbox(), asyncio.get_running_loop()
    outbox.put("a")
    assert await outbox.next() == "a"
    began = loop.time()
    for _ in range(1000):
        outbox.put("a")
    outbox.put("b")
    assert await outbox.next() == "b"
    assert await asyncio.wait_for(outbox.next(), SECONDS) == "a"
    assert loop.time() - began >= APART * 0.9


async def test_what_waits_when_a_stream_ends_is_told_before_its_end() -> None:
    outbox = Outbox()
    outbox.put("a")
    assert await outbox.next() == "a"
    outbox.put("a")
    outbox.put("b")
    outbox.close()
    assert {await outbox.next(), await outbox.next()} == {"a", "b"}
    assert await outbox.next() is None


async def test_what_was_dropped_is_not_told() -> None:
    outbox = Outbox()
    for uri in ("a", "b"):
        outbox.put(uri)
    assert await outbox.next() == "a"
    outbox.put("a")
    outbox.drop(["a", "b"])
    outbox.put("c")
    assert await outbox.next() == "c"
    outbox.close()
    assert await outbox.next() is None
