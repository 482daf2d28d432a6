"""Actions as MCP tools: what tools/list shows."""

from collections.abc import Mapping
from typing import Any

import mcp_types as t

from engine.actions import Action
from engine.definition import Definition
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.envelope import envelope_schema, exact_schema, result_schema
from engine.mcp_adapter.icons import icons
from engine.mcp_adapter.session_tools import SESSION_TOOLS, SessionTool
from engine.types import Json

SESSION_ARGUMENT: Mapping[str, Json] = {
    "type": "string",
    "description": "The session's handle (ses_…). Left out: your main session of this world.",
}
REVISION_ARGUMENT: Mapping[str, Json] = {
    "type": "integer",
    "minimum": 0,
    "description": "The revision you last saw. Makes a retry safe, and refuses if somebody acted since.",
}


def listed(catalog: Catalog) -> list[t.Tool]:
    """The tools of an endpoint, in stable order: actions, then session tools."""
    return [
        *(_tool(catalog, name, offer.definition, offer.action) for name, offer in catalog.offers.items()),
        *(_session_tool(catalog, tool) for tool in session_tools(catalog)),
    ]


def session_tools(catalog: Catalog) -> list[SessionTool]:
    """The session tools that make sense on an endpoint."""
    bound = catalog.endpoint.session is not None
    return [tool for tool in SESSION_TOOLS if tool.on_session or not bound]


def input_schema(action: Action, *, bound: bool) -> dict[str, Any]:
    """An action's input schema: its parameters and the engine's."""
    extra: dict[str, Any] = {} if bound else {"session": dict(SESSION_ARGUMENT)}
    if not action.read_only:
        extra["if_revision"] = dict(REVISION_ARGUMENT)
    return {**action.schema, "properties": {**action.schema["properties"], **extra}}


def _tool(catalog: Catalog, name: str, definition: Definition, action: Action) -> t.Tool:
    if action.contract == "exact":
        return _exact_tool(name, definition, action)
    options = action.options
    return t.Tool(
        name=name,
        title=options.title or action.name.replace("_", " ").capitalize(),
        description=action.description,
        input_schema=input_schema(action, bound=catalog.endpoint.session is not None),
        output_schema=envelope_schema(result_schema(action)),
        annotations=t.ToolAnnotations(
            read_only_hint=action.read_only,
            destructive_hint=bool(options.destructive),
            idempotent_hint=action.read_only or bool(options.idempotent),
            open_world_hint=bool(options.open_world),
        ),
        icons=icons(options.icons or definition.icons),
    )


def _exact_tool(name: str, definition: Definition, action: Action) -> t.Tool:
    """What the author said and nothing else."""
    options = action.options
    hints = {
        "read_only_hint": options.read_only,
        "destructive_hint": options.destructive,
        "idempotent_hint": options.idempotent,
        "open_world_hint": options.open_world,
    }
    return t.Tool(
        name=name,
        title=options.title,
        description=action.description,
        input_schema=dict(action.schema),
        output_schema=exact_schema(action),
        annotations=t.ToolAnnotations(**hints) if any(hint is not None for hint in hints.values()) else None,
        icons=icons(options.icons or definition.icons, invented=False),
    )


def _session_tool(catalog: Catalog, tool: SessionTool) -> t.Tool:
    return t.Tool(
        name=tool.name,
        title=tool.name.replace("_", " ").capitalize(),
        description=tool.description,
        input_schema=tool.schema(catalog),
        output_schema=envelope_schema(dict(tool.result)),
        annotations=t.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.read_only,
            open_world_hint=False,
        ),
        icons=icons(()),
    )
