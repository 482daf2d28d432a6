"""Exact contracts: what the author said, to the letter, and nothing that Turnkeeper invented."""

from typing import Any

import mcp_types as t
import pytest
from jsonschema import Draft202012Validator
from mcp.shared.exceptions import MCPError

from tests.engine.mcp_adapter.answers import ERAS, called, structured
from tests.serving import Served, connected, post

pytestmark = pytest.mark.anyio
PATH = "/worlds/verbatim/mcp"


def listed(served: Served, what: str, person: str) -> dict[str, Any]:
    answer = post(served, PATH, f"{what}/list", person=person).json()["result"][what]
    return {entry["name"]: entry for entry in answer}


def test_an_exact_tool_has_only_what_its_author_gave_it(served: Served, person: str) -> None:
    tools = listed(served, "tools", person)
    assert set(tools["step"]) == {"name", "description", "inputSchema"}
    assert tools["tree"]["annotations"] == {"readOnlyHint": True}
    assert not {"title", "icons"} & set(tools["tree"])
    hints = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    assert tools["hinted"]["annotations"] == hints
    assert tools["hurl"]["annotations"] == {"destructiveHint": True}
    assert tools["hurl"]["title"] == "Hurl it"
    assert [icon["src"] for icon in tools["hurl"]["icons"]] == ["https://example.org/hurl.svg"]


def test_exact_resources_and_prompts_have_only_what_their_author_gave_them(served: Served, person: str) -> None:
    for what, name in (("resources", "plain"), ("prompts", "speak")):
        assert not {"title", "icons"} & set(listed(served, what, person)[name])


@pytest.mark.parametrize("mode", ERAS)
async def test_a_recursive_model_is_an_object_with_a_schema(served: Served, person: str, mode: str) -> None:
    async with connected(served, PATH, mode=mode, person=person) as client:
        tools = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        for name in ("tree", "forest"):
            schema: Any = tools[name]
            assert schema["type"] == "object"
            answer = structured(await client.call_tool(name, {}))
            Draft202012Validator(schema).validate(answer)
            assert answer.get("result", answer)["children"] == [{"name": "leaf", "children": []}]


def test_an_exact_refusal_carries_the_envelope_beside_it(served: Served, person: str) -> None:
    result = post(served, PATH, "tools/call", {"name": "hurl", "arguments": {}}, person=person).json()["result"]
    assert result["content"] == [{"type": "text", "text": "it never is"}]
    assert "structuredContent" not in result
    (message,) = result["_meta"]["turnkeeper/envelope"]["messages"]
    assert (message["type"], message["code"]) == ("error", "never")


@pytest.mark.parametrize("mode", ERAS)
async def test_an_exact_prompts_session_is_its_own_and_its_arguments_are_json(
    served: Served, person: str, mode: str
) -> None:
    given = {"session": "of its own", "point": '{"x": 1, "y": 2}', "numbers": "[3]", "mood": "glad", "tone": "low"}
    async with connected(served, PATH, mode=mode, person=person) as client:
        content = (await client.get_prompt("speak", given)).messages[0].content
        assert isinstance(content, t.TextContent)
        assert content.text == "of its own 3 [3] glad low"
        with pytest.raises(MCPError, match=r"\$\.point: 'nonsense' is not JSON"):
            await client.get_prompt("speak", {**given, "point": "nonsense"})


async def test_what_may_be_left_out_completes_too(served: Served, person: str) -> None:
    reference = t.PromptReference(type="ref/prompt", name="speak")
    async with connected(served, PATH, person=person) as client:
        for argument, values in (("mood", ["glad", "grim"]), ("tone", ["high", "low"]), ("session", []), ("x", [])):
            found = await client.complete(reference, {"name": argument, "value": ""})
            assert found.completion.values == values


async def test_an_authors_validation_error_is_not_blamed_on_the_request(served: Served, person: str) -> None:
    called(served, "forest", {}, path=PATH, person=person)
    answer = post(served, PATH, "resources/read", {"uri": "session://verbatim/broken"}, person=person).json()
    assert answer["error"]["code"] == -32603
    number = answer["error"]["message"].rpartition(" ")[2].rstrip(".")
    assert f"error {number}" in served.logged()
    wrong = post(served, PATH, "prompts/get", {"name": "speak", "arguments": 5}, person=person).json()
    assert wrong["error"]["code"] == -32602
