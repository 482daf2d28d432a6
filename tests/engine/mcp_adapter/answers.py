"""How the wire's tests look at answers."""

from typing import Any

import mcp_types as t
from jsonschema import Draft202012Validator
from mcp.client import Client

from tests.serving import Served, post

ERAS = ("auto", "2026-07-28", "legacy")
SESSION_TOOLS = [
    "start_session",
    "list_sessions",
    "get_session",
    "session_history",
    "undo",
    "redo",
    "fork_session",
    "share_session",
    "end_session",
]
DESK = [
    "write",
    "stamp",
    "lock",
    "unlock",
    "count",
    "burn",
    "sign",
    "sign_fully",
    "copy",
    "doze",
    "engrave",
    "spill",
]


def called(
    served: Served, tool: str, arguments: dict[str, Any] | None = None, *, path: str = "/mcp", **options: Any
) -> dict[str, Any]:
    """A tool's structured answer over the raw wire."""
    params = {"name": tool, "arguments": arguments or {}}
    answer: dict[str, Any] = post(served, path, "tools/call", params, **options).json()
    assert "result" in answer, answer
    structured: dict[str, Any] = answer["result"]["structuredContent"]
    return structured


def begun(served: Served, person: str, world: str = "desk", **arguments: Any) -> str:
    """A new session's handle."""
    given = {"world": world, "arguments": arguments}
    return str(called(served, "start_session", given, person=person)["session"])


def structured(result: t.CallToolResult) -> dict[str, Any]:
    """A result's structured content."""
    content: Any = result.structured_content
    assert isinstance(content, dict), result
    return content


def code(result: t.CallToolResult) -> str:
    """The code of a refusal."""
    assert result.is_error, result
    return str(structured(result)["messages"][0]["code"])


def text(result: t.CallToolResult) -> str:
    """A result's last text."""
    last = result.content[-1]
    assert isinstance(last, t.TextContent)
    return last.text


def footer(result: t.CallToolResult) -> str:
    """The line with which a result's text ends."""
    return text(result).splitlines()[-1]


async def schemas(client: Client) -> dict[str, Draft202012Validator]:
    """The declared output schemas of an endpoint's tools."""
    tools = (await client.list_tools()).tools
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema or {})
    return {tool.name: Draft202012Validator(tool.output_schema or {}) for tool in tools}
