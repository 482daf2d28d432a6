"""Hearing of changes: `subscriptions/listen` since 2026-07-28, `resources/subscribe` before."""

from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from tests.engine.mcp_adapter.answers import begun, called
from tests.serving import SECONDS, Served, connected
from tests.subscribing import BOTH, hearing

pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]


@pytest.mark.parametrize("mode", BOTH)
async def test_a_client_hears_of_its_own_changes(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    async with hearing(served, mode, person, f"session://{handle}/ink") as (client, hear):
        for text in ("one", "two"):
            await client.call_tool("desk_write", {"text": text, "session": handle})
            assert await hear() == f"session://{handle}/ink"


@pytest.mark.parametrize("mode", BOTH)
async def test_a_client_hears_what_another_client_does(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    async with hearing(served, mode, person, f"session://{handle}/state") as (_, hear):
        called(served, "stamp", {}, path=f"/sessions/{handle}/mcp", person=person)
        assert await hear() == f"session://{handle}/state"
        called(served, "undo", {"session": handle}, person=person)
        assert await hear() == f"session://{handle}/state"


@pytest.mark.parametrize("mode", BOTH)
async def test_both_eras_hear_of_the_same_change(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    uri = f"session://{handle}/history"
    async with (
        hearing(served, "auto", person, uri) as (_, hear_new),
        hearing(served, "legacy", person, uri, path="/worlds/desk/mcp") as (_, hear_old),
    ):
        async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as actor:
            await actor.call_tool("stamp", {})
        assert await hear_new() == await hear_old() == uri


@pytest.mark.parametrize("mode", BOTH)
async def test_an_alias_follows_the_main_session(served: Served, person: str, mode: str) -> None:
    async with hearing(served, mode, person, "session://desk/ink") as (client, hear):
        await client.call_tool("desk_stamp", {})
        assert await hear() == "session://desk/ink"
        await client.call_tool("start_session", {"world": "desk", "main": True})
        assert await hear() == "session://desk/ink"
        await client.call_tool("desk_stamp", {})
        assert await hear() == "session://desk/ink"


@pytest.mark.parametrize("mode", BOTH)
async def test_a_resource_made_of_some_tables_is_told_of_those_alone(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    notes, stamps = f"session://{handle}/notes", f"session://{handle}/stamps"
    async with hearing(served, mode, person, notes, stamps) as (client, hear):
        await client.call_tool("desk_stamp", {"session": handle})
        assert await hear() == stamps
        await client.call_tool("desk_write", {"text": "x", "session": handle})
        assert await hear() == notes
        await client.call_tool("undo", {"session": handle})
        assert await hear() == notes
        await client.call_tool("desk_stamp", {"session": handle})
        assert await hear() == stamps


@pytest.mark.parametrize("mode", BOTH)
async def test_other_sessions_are_not_heard(served: Served, person: str, mode: str) -> None:
    mine, other = begun(served, person), begun(served, person)
    async with hearing(served, mode, person, f"session://{mine}/ink") as (client, hear):
        await client.call_tool("desk_stamp", {"session": other})
        await client.call_tool("counter_add", {"a": 1})
        await client.call_tool("desk_stamp", {"session": mine})
        assert await hear() == f"session://{mine}/ink"


async def test_somebody_elses_session_cannot_be_listened_to(served: Served, person: str) -> None:
    theirs = begun(served, f"other-{person}")
    mine = begun(served, person)
    wanted = [f"session://{theirs}/ink", f"session://{mine}/ink", "session://ses_nobody/ink", "nonsense"]
    async with connected(served, person=person) as client:
        async with client.listen(resource_subscriptions=wanted) as events:
            assert events.honored.resource_subscriptions == [f"session://{mine}/ink"]
            called(served, "desk_stamp", {"session": theirs}, person=f"other-{person}")
            called(served, "desk_stamp", {"session": mine}, person=person)
            with anyio.fail_after(SECONDS):
                assert await anext(events) == ResourceUpdated(f"session://{mine}/ink")


async def test_somebody_elses_session_cannot_be_subscribed_to(served: Served, person: str) -> None:
    theirs = begun(served, f"other-{person}")
    mine = begun(served, person)
    async with hearing(served, "legacy", person, f"session://{mine}/ink") as (client, hear):
        for uri in (f"session://{theirs}/ink", "session://ses_nobody/ink"):
            with pytest.raises(MCPError, match="There is no session"):
                await client.subscribe_resource(uri)
        called(served, "desk_stamp", {"session": theirs}, person=f"other-{person}")
        called(served, "desk_stamp", {"session": mine}, person=person)
        assert await hear() == f"session://{mine}/ink"


async def test_everybodys_alias_is_their_own(served: Served, person: str) -> None:
    other = f"other-{person}"
    async with hearing(served, "auto", person, "session://desk/ink") as (client, hear):
        async with hearing(served, "legacy", other, "session://desk/ink") as (their_client, their_hear):
            await client.call_tool("desk_stamp", {})
            assert await hear() == "session://desk/ink"
            await their_client.call_tool("desk_write", {"text": "x"})
            assert await their_hear() == "session://desk/ink"
            await client.call_tool("desk_write", {"text": "x"})
            assert await hear() == "session://desk/ink"


async def test_who_unsubscribed_hears_no_more(served: Served, person: str) -> None:
    handle = begun(served, person)
    first, second = f"session://{handle}/ink", f"session://{handle}/state"
    async with hearing(served, "legacy", person, first, second) as (client, hear):
        await client.unsubscribe_resource(first)
        for _ in range(2):
            await client.call_tool("desk_stamp", {"session": handle})
            assert await hear() == second


async def test_who_stopped_listening_can_listen_again(served: Served, person: str) -> None:
    uri = f"session://{begun(served, person)}/ink"
    async with connected(served, person=person) as client:
        for _ in range(2):
            async with client.listen(resource_subscriptions=[uri]) as events:
                called(served, "desk_stamp", {"session": uri.split("/")[2]}, person=person)
                with anyio.fail_after(SECONDS):
                    assert await anext(events) == ResourceUpdated(uri)


async def test_refused_and_replayed_actions_are_no_news(served: Served, person: str) -> None:
    handle = begun(served, person)
    uri = f"session://{handle}/ink"
    meta: Any = {"turnkeeper/key": "once"}
    async with hearing(served, "auto", person, uri) as (client, hear):
        await client.call_tool("desk_stamp", {"session": handle}, meta=meta)
        assert await hear() == uri
        await client.call_tool("desk_stamp", {"session": handle}, meta=meta)
        await client.call_tool("desk_unlock", {"session": handle})
        await client.call_tool("desk_count", {"session": handle})
        with anyio.move_on_after(0.3) as waited:
            await hear()
        assert waited.cancelled_caught


@pytest.mark.parametrize("mode", BOTH)
async def test_who_lost_a_share_hears_no_more(served: Served, person: str, mode: str) -> None:
    friend = f"friend-{person}"
    begun(served, friend)
    theirs, own = begun(served, person), begun(served, friend)
    share = {"session": theirs, "person": friend}
    called(served, "share_session", share, person=person)
    uris = (f"session://{theirs}/ink", f"session://{own}/ink")
    async with hearing(served, mode, person, uris[0]) as (_, owner_hears):
        async with hearing(served, mode, friend, *uris) as (_, hear):
            called(served, "desk_stamp", {"session": theirs}, person=person)
            assert await hear() == await owner_hears() == uris[0]
            called(served, "share_session", {**share, "role": None}, person=person)
            called(served, "desk_stamp", {"session": theirs}, person=person)
            called(served, "desk_stamp", {"session": own}, person=friend)
            assert await hear() == uris[1]
            assert await owner_hears() == uris[0]
