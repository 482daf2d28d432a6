"""Resources, templates, completion and prompts, over HTTP in both eras."""

import json
from typing import Any
from xml.etree import ElementTree

import mcp_types as t
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.engine.mcp_adapter.answers import ERAS, begun, called, structured
from tests.serving import Served, connected, post

pytestmark = pytest.mark.anyio

DESK_RESOURCES = ["notes", "stamps", "ink", "state", "history", "diagram", "diagram.svg"]


async def read(client: Client, uri: str) -> str:
    (contents,) = (await client.read_resource(uri, cache_mode="bypass")).contents
    assert isinstance(contents, t.TextResourceContents)
    assert contents.uri == uri
    return contents.text


async def said(client: Client, name: str, arguments: dict[str, str] | None = None) -> str:
    result = await client.get_prompt(name, arguments)
    texts = [message.content for message in result.messages]
    return "\n".join(content.text for content in texts if isinstance(content, t.TextContent))


@pytest.mark.parametrize("mode", ERAS)
async def test_main_sessions_are_listed_under_their_alias(served: Served, person: str, mode: str) -> None:
    async with connected(served, mode=mode, person=person) as client:
        found = (await client.list_resources()).resources
        assert [str(r.uri) for r in found if "//desk/" in str(r.uri)] == [
            f"session://desk/{name}" for name in DESK_RESOURCES
        ]
        assert "session://counter/total" in [str(r.uri) for r in found]
        exact = ("session://verbatim/", "memory://")
        for resource in (each for each in found if not str(each.uri).startswith(exact)):
            assert resource.title and resource.description and resource.icons and resource.mime_type


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_sessions_endpoint_lists_its_own_resources(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        found = [str(r.uri) for r in (await client.list_resources()).resources]
        assert found == [f"session://{handle}/{name}" for name in DESK_RESOURCES]
        assert (await client.list_resource_templates()).resource_templates == []
        assert await read(client, found[2]) == "10 drops of blue"


@pytest.mark.parametrize("mode", ERAS)
async def test_any_sessions_resources_are_there_by_template(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        found = (await client.list_resource_templates()).resource_templates
        assert sorted(template.uri_template for template in found) == sorted(
            [
                *(
                    f"session://{{session}}/{name}"
                    for name in ("state", "diagram", "diagram.svg", "notes", "stamps", "ink")
                ),
                "session://{session}/history{?since}",
            ]
        )


@pytest.mark.parametrize("mode", ERAS)
async def test_a_resource_is_read_by_alias_and_by_handle(served: Served, person: str, mode: str) -> None:
    other = begun(served, person, colour="red")
    main = called(served, "desk_write", {"text": "main"}, person=person)["session"]
    async with connected(served, mode=mode, person=person) as client:
        assert json.loads(await read(client, "session://desk/notes")) == ["main"]
        assert json.loads(await read(client, f"session://{main}/notes")) == ["main"]
        assert json.loads(await read(client, f"session://{other}/notes")) == []
        assert await read(client, f"session://{other}/ink") == "10 drops of red"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_state_history_and_diagram_are_there_for_every_session(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        handle = begun(served, person)
        for tool in ("stamp", "lock"):
            called(served, f"desk_{tool}", {"session": handle}, person=person)
        state = json.loads(await read(client, f"session://{handle}/state"))
        assert (state["session"], state["revision"], state["state"]) == (handle, 3, "locked")
        assert state["allowed_actions"] == ["unlock", "count"]
        assert {"stamp", "write", "copy", "lock"} <= set(state["refused_actions"]) and "unlock" not in state[
            "refused_actions"
        ]
        assert state["refused_actions"]["stamp"] == {
            "rule": "wrong_state",
            "reason": "stamp is not possible while the session is locked.",
            "hint": "It is possible in open.",
        }
        got = structured(await client.call_tool("get_session", {"session": handle}))
        assert got["result"]["refused_actions"] == state["refused_actions"]
        before = structured(await client.call_tool("get_session", {"session": handle, "at": 2}))
        assert "refused_actions" not in before["result"]
        assert state["rows"]["desk__stamp"] == [{"id": 1}]
        changes = json.loads(await read(client, f"session://{handle}/history"))["changes"]
        assert [change["action"] for change in changes] == ["start", "stamp", "lock"]
        later = json.loads(await read(client, f"session://{handle}/history?since=2"))["changes"]
        assert [change["revision"] for change in later] == [3]
        drawn = (await client.read_resource(f"session://{handle}/diagram")).contents[0]
        assert drawn.mime_type == "text/vnd.mermaid"
        assert isinstance(drawn, t.TextResourceContents) and drawn.text.startswith("stateDiagram")
        assert "locked" in drawn.text
        picture = (await client.read_resource(f"session://{handle}/diagram.svg")).contents[0]
        assert picture.mime_type == "image/svg+xml"
        assert isinstance(picture, t.TextResourceContents) and ElementTree.fromstring(picture.text).tag.endswith("svg")


@pytest.mark.parametrize("mode", ERAS)
async def test_what_is_not_there_is_a_protocol_error_with_its_uri(served: Served, person: str, mode: str) -> None:
    theirs = begun(served, f"other-{person}")
    mine = begun(served, person)
    wrong = [
        "session://ses_nobody/state",
        f"session://{theirs}/notes",
        f"session://{mine}/nothing",
        "session://desk/nothing",
        "session://moon/state",
        f"session://{mine}/history?since=then",
        "https://example.org/",
        "nonsense",
        "session://",
    ]
    async with connected(served, mode=mode, person=person) as client:
        for uri in wrong:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.error.code == t.INVALID_PARAMS, uri
            assert caught.value.error.data["uri"] == uri


async def test_somebody_elses_resource_is_answered_like_one_that_never_was(served: Served, person: str) -> None:
    theirs = begun(served, f"other-{person}")
    answers = []
    for handle in (theirs, "ses_" + "x" * (len(theirs) - 4)):
        answer = post(served, "/mcp", "resources/read", {"uri": f"session://{handle}/state"}, person=person)
        answers.append(answer.text.replace(handle, "H"))
    assert answers[0] == answers[1]


async def test_another_session_is_not_there_on_a_sessions_endpoint(served: Served, person: str) -> None:
    handle, other = begun(served, person), begun(served, person)
    for uri, there in ((f"session://{handle}/ink", True), (f"session://{other}/ink", False)):
        answer = post(served, f"/sessions/{handle}/mcp", "resources/read", {"uri": uri}, person=person).json()
        assert ("result" in answer) is there


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_sessions_endpoint_of_nobodys_session_is_not_there(served: Served, person: str, mode: str) -> None:
    theirs = begun(served, f"other-{person}")
    for handle in (theirs, "ses_nobody"):
        async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
            for request in (client.list_tools, client.list_resources, client.list_prompts):
                with pytest.raises(MCPError) as caught:
                    await request()
                assert caught.value.error.code == t.INVALID_PARAMS
                assert "There is no session" in caught.value.error.message
            with pytest.raises(MCPError):
                await client.call_tool("write", {"text": "x"})


async def test_lists_and_reads_say_how_long_they_keep(served: Served, person: str) -> None:
    lists = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover")
    for method in lists:
        result = post(served, "/mcp", method, person=person).json()["result"]
        assert (result["ttlMs"], result["cacheScope"]) == (300_000, "private"), method
    read_one = post(served, "/mcp", "resources/read", {"uri": "session://desk/ink"}, person=person).json()["result"]
    assert (read_one["ttlMs"], read_one["cacheScope"]) == (0, "private")


async def test_reading_through_a_caching_client_shows_every_change(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        for expected in ("9 drops of blue", "8 drops of blue"):
            await client.call_tool("write", {"text": "x"})
            (contents,) = (await client.read_resource("session://desk/ink")).contents
            assert isinstance(contents, t.TextResourceContents) and contents.text == expected


@pytest.mark.parametrize("mode", ERAS)
async def test_handles_complete(served: Served, person: str, mode: str) -> None:
    handles = sorted([begun(served, person), begun(served, person)])
    elsewhere = begun(served, person, "counter")
    begun(served, f"other-{person}")
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        template = t.ResourceTemplateReference(type="ref/resource", uri="session://{session}/state")
        resume = t.PromptReference(type="ref/prompt", name="resume")
        for reference in (template, resume):
            found = await client.complete(reference, {"name": "session", "value": "ses_"})
            assert sorted(found.completion.values) == handles
            assert elsewhere not in found.completion.values
            one = await client.complete(reference, {"name": "session", "value": handles[0]})
            assert one.completion.values == handles[:1]
            assert (await client.complete(reference, {"name": "other", "value": ""})).completion.values == []


@pytest.mark.parametrize("mode", ERAS)
async def test_prompt_arguments_complete_to_what_their_type_allows(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:

        async def completed(prompt: str, argument: str, typed: str) -> list[str]:
            reference = t.PromptReference(type="ref/prompt", name=prompt)
            return (await client.complete(reference, {"name": argument, "value": typed})).completion.values

        assert await completed("letter", "colour", "r") == ["red", "rust"]
        assert await completed("letter", "urgent", "") == ["true", "false"]
        assert await completed("letter", "to", "A") == []
        assert await completed("start", "colour", "b") == ["blue"]
        for argument in ("colour", "session"):
            with pytest.raises(MCPError, match="Unknown prompt: 'nothing'") as unknown:
                await completed("nothing", argument, "")
            assert unknown.value.error.code == t.INVALID_PARAMS


@pytest.mark.parametrize("mode", ERAS)
async def test_each_world_offers_its_own_prompts_and_start_and_resume(served: Served, person: str, mode: str) -> None:
    async with connected(served, mode=mode, person=person) as client:
        found = (await client.list_prompts()).prompts
        names = [prompt.name for prompt in found]
        assert [n for n in names if n.startswith("desk_")] == ["desk_letter", "desk_reply", "desk_start", "desk_resume"]
        assert "counter_start" in names and "counter_resume" in names
        letter = next(prompt for prompt in found if prompt.name == "desk_letter")
        assert letter.title and letter.description and letter.icons
        arguments: Any = letter.arguments
        assert [(a.name, a.required) for a in arguments] == [
            ("to", True),
            ("colour", False),
            ("urgent", False),
            ("session", False),
        ]


@pytest.mark.parametrize("mode", ERAS)
async def test_prompts_are_told_with_their_arguments(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        told = await said(client, "letter", {"to": "Ada", "colour": "red", "urgent": "true"})
        assert told == "Write a red letter to Ada, at once."
        started = await said(client, "start", {"colour": "red"})
        assert 'start_session(arguments={"colour": "red"}, main=true)' in started


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_resuming_tells_where_a_session_stands(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    called(served, "desk_write", {"text": "hello", "session": handle}, person=person)
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        told = await said(client, "resume", {"session": handle})
        assert f"session {handle}: revision 2, state open" in told
        assert '- 2: write {"text": "hello"}' in told
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        assert handle in await said(client, "resume")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_wrong_prompt_is_a_protocol_error(served: Served, person: str, mode: str) -> None:
    theirs = begun(served, f"other-{person}")
    wrong: list[tuple[str, dict[str, str]]] = [
        ("nothing", {}),
        ("letter", {}),
        ("letter", {"to": "Ada", "colour": "green"}),
        ("letter", {"to": "Ada", "urgent": "maybe"}),
        ("letter", {"to": "Ada", "session": theirs}),
        ("start", {"colour": "green"}),
        ("resume", {"session": theirs}),
    ]
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        for name, arguments in wrong:
            with pytest.raises(MCPError) as caught:
                await client.get_prompt(name, arguments)
            assert caught.value.error.code == t.INVALID_PARAMS, (name, arguments)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_prompt_may_ask_the_person_first(served: Served, person: str, mode: str) -> None:
    async def answer(context: Any, params: t.ElicitRequestParams) -> t.ElicitResult:
        return t.ElicitResult(action="accept", content={"name": "Ada"})

    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, elicitation_callback=answer) as client:
        assert await said(client, "reply") == "Answer Ada."


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_is_much_too_long_is_not_told_again_at_length(served: Served, person: str, mode: str) -> None:
    long = "x" * 10_000
    async with connected(served, mode=mode, person=person) as client:
        for uri in (f"session://{long}/state", long):
            with pytest.raises(MCPError, match="There is no resource") as error:
                await client.read_resource(uri)
            assert len(error.value.error.message) < 500
        for name in ("desk_letter", "desk_resume"):
            with pytest.raises(MCPError, match=r"\$\.session must be text of 1 to 200 characters") as error:
                await client.get_prompt(name, {"to": "Ada", "session": long})
            assert len(error.value.error.message) < 500
