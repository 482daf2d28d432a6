"""What lasts from one round of questions to the next (MCP 2026-07-28, MRTR): sealed by the SDK, kept by the client."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields

import mcp_types as t
from mcp.shared.exceptions import MCPError

from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Catalog
from engine.types import Json


@dataclass(frozen=True, slots=True)
class Round:
    """The state of the earlier rounds. A prompt's is of no session, revision and key."""

    endpoint: str
    answers: Mapping[str, Json]
    session: str = ""
    revision: int = 0
    key: str = ""

    def dump(self) -> str:
        """As the SDK seals it."""
        return json.dumps({field.name: getattr(self, field.name) for field in fields(self)})


def round_before(catalog: Catalog, state: str | None) -> Round | None:
    """The state of the earlier rounds, or None in the first. Raises MCPError."""
    if state is None:
        return None
    found = Round(**json.loads(state))
    if found.endpoint != catalog.endpoint.name:
        raise MCPError(t.INVALID_PARAMS, "Invalid or expired requestState")
    return found


def answers_now(context: Context, state: str | None) -> Mapping[str, Json]:
    """What the person answered in this round. Without the state of an earlier one nothing was asked yet."""
    found: Mapping[str, Json] = (context.params or {}).get("inputResponses") or {}
    return found if state is not None else {}
