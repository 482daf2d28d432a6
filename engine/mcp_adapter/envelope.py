"""Outcomes and errors as MCP results: the envelope, the text for reading, and one table of errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mcp_types as t
from mcp.shared.exceptions import MCPError

from engine.actions import Action
from engine.content import Block, Text, indented
from engine.errors import (
    Busy,
    CannotAsk,
    Conflict,
    DefinitionError,
    EngineError,
    Forbidden,
    InvalidArguments,
    NotFound,
    Refused,
    StoreError,
    Unauthenticated,
)
from engine.logs import explained
from engine.types import Json, Message, Outcome

ENVELOPE = "turnkeeper/envelope"
"""The `_meta` key under which exact contracts carry the envelope."""

MISSING_CAPABILITY = -32021
"""MissingRequiredClientCapability (MCP 2026-07-28, basic/index)."""

TOOL_ERRORS: Mapping[type[EngineError], str] = {
    InvalidArguments: "recoverable",
    NotFound: "recoverable",
    Refused: "recoverable",
    Conflict: "recoverable",
    Forbidden: "requires_buyer_input",
    Unauthenticated: "requires_buyer_input",
    StoreError: "recoverable",
}
"""Errors that a tool result tells the model of, with the severity of their message."""

PROTOCOL_ERRORS: Mapping[type[EngineError], int] = {
    CannotAsk: MISSING_CAPABILITY,
    NotFound: t.INVALID_PARAMS,
    InvalidArguments: t.INVALID_PARAMS,
    Refused: t.INVALID_PARAMS,
    Forbidden: t.INVALID_PARAMS,
    Unauthenticated: t.INVALID_PARAMS,
    DefinitionError: t.INTERNAL_ERROR,
    StoreError: t.INTERNAL_ERROR,
}
"""JSON-RPC codes, for errors outside tools and for those a tool cannot tell."""


@dataclass(frozen=True, slots=True)
class Sessionless:
    """What a call gives that is about no one session."""

    value: Json
    messages: tuple[Message, ...] = ()


Result = dict[str, Json]
"""A tool result as the wire has it."""


def sessionless(result: Sessionless) -> Result:
    """An outcome about no one session as a tool result."""
    texts = [message.content for message in result.messages]
    content = [] if result.value is None else [Text(indented(result.value)).block()]
    remarks = [message.as_json() for message in result.messages]
    return _result(content, texts, None, {**_NOWHERE, "result": result.value, "messages": remarks})


_NOWHERE: Mapping[str, Json] = {
    "session": None,
    "revision": None,
    "state": None,
    "allowed_actions": [],
    "result": None,
    "messages": [],
}


def envelope(outcome: Outcome) -> dict[str, Json]:
    """What every result of an action says, as structured content."""
    plain: dict[str, Json] = {
        "session": outcome.session,
        "revision": outcome.revision,
        "state": outcome.state,
        "allowed_actions": list(outcome.allowed_actions),
        "result": outcome.value,
        "messages": [message.as_json() for message in outcome.messages],
    }
    extra = {"replayed": outcome.replayed, "expired_at": outcome.expired_at}
    return plain | {name: value for name, value in extra.items() if value is not None}


def envelope_schema(result: Mapping[str, Json] | None) -> dict[str, Json]:
    """The JSON Schema of the envelope around results of a schema; None for results without a value."""
    inner = dict(result) if result is not None else {"type": "null"}
    definitions = inner.pop("$defs", None)
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {
            "session": {"type": ["string", "null"], "description": "The session's handle."},
            "revision": {"type": ["integer", "null"], "description": "Its revision now."},
            "state": {"type": ["string", "null"]},
            "allowed_actions": {"type": "array", "items": {"type": "string"}},
            "result": {"anyOf": [inner, {"type": "null"}]} if result else inner,
            "messages": {"type": "array", "items": _MESSAGE},
            "replayed": {"type": "integer", "description": "Where this very call was carried out before."},
            "expired_at": {"type": "string", "description": "When the session expired, if it did."},
        },
        "required": ["session", "revision", "state", "allowed_actions", "result", "messages"],
    }
    return schema if definitions is None else {**schema, "$defs": definitions}


_MESSAGE: dict[str, Json] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("type", "code", "content", "path", "severity")},
        "retry_after": {"type": "number", "description": "Seconds after which to try again."},
    },
    "required": ["type", "code", "content", "path"],
}


def result_schema(action: Action) -> dict[str, Json] | None:
    """The JSON Schema of what an action returns, or None if that is content only; a Reply's value may be anything."""
    if action.returns is None:
        return {} if action.replies else None
    return action.returns.json_schema(mode="serialization")


def accepted(outcome: Outcome) -> Result:
    """An outcome as a tool result."""
    content = [*outcome.content]
    remarks = [message.content for message in outcome.messages]
    return _result(content, remarks, _footer(outcome), envelope(outcome))


def exact(outcome: Outcome, *, structured: bool) -> Result:
    """An outcome of an action whose contract is its author's to the letter."""
    plain: Result = {"content": [dict(block) for block in outcome.content], "isError": False}
    if structured and outcome.value is not None:
        plain["structuredContent"] = outcome.value
    return _sound({**plain, "_meta": {ENVELOPE: envelope(outcome)}})


def exact_schema(action: Action) -> dict[str, Json] | None:
    """The output schema of an exact contract: the author's, or that of the value returned, if it is an object."""
    if action.options.output_schema is not None:
        return dict(action.options.output_schema)
    schema = result_schema(action)
    if not schema:
        return None
    # A recursive model's schema is a bare reference into its definitions; MCP wants the type beside it.
    named = schema.get("$ref", "").rpartition("/")[2]
    found = schema["$defs"][named] if named else schema
    return {"type": "object", **schema} if found.get("type") == "object" else None


def refused(error: EngineError, now: Outcome | None, action: Action | None = None) -> Result:
    """An error that the model can act on, as a tool result; anything else is raised as MCPError."""
    severity = _of(TOOL_ERRORS, error)
    if severity is None:
        raise protocol_error(error)
    message = Message("error", error.rule, str(error), error.path, severity)
    plain = dict(_NOWHERE) if now is None else envelope(now)
    later = {"retry_after": error.retry_after} if isinstance(error, Busy) else {}
    plain["messages"] = [{**message.as_json(), **later}]
    if action is not None and action.contract == "exact":
        said = [{"type": "text", "text": error.reason}]
        return _sound({"content": said, "isError": True, "_meta": {ENVELOPE: plain}})
    footer = None if now is None else _footer(now)
    return _result([], [f"Refused ({error.rule}): {error}"], footer, plain, is_error=True)


def protocol_error(error: EngineError, uri: str | None = None) -> MCPError:
    """An error as JSON-RPC has it."""
    code = _of(PROTOCOL_ERRORS, error)
    if code is None or isinstance(error, DefinitionError):
        return unforeseen(error)
    data: dict[str, Json] = {"code": error.rule}
    if isinstance(error, CannotAsk):
        data["requiredCapabilities"] = error.capability
    if isinstance(error, Busy):
        data["retryAfter"] = error.retry_after
    if uri is not None:
        data["uri"] = uri
    return MCPError(code, str(error), data)


def wire_error(error: Exception, uri: str | None = None) -> MCPError:
    """Any error as JSON-RPC has it."""
    if isinstance(error, MCPError):
        return error
    if isinstance(error, EngineError):
        return protocol_error(error, uri)
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return protocol_error(InvalidArguments("A parameter holds a lone surrogate, which is no character."))
    return unforeseen(error)


def unforeseen(error: BaseException) -> MCPError:
    """An error that nobody planned for: opaque, with the id under which the log explains it."""
    number = explained(error)
    return MCPError(
        t.INTERNAL_ERROR, f"Something went wrong that was not foreseen; the log explains it as error {number}."
    )


def _of(table: Mapping[type[EngineError], Any], error: EngineError) -> Any:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _footer(outcome: Outcome) -> str:
    over = outcome.expired_at is not None
    can = ", ".join(outcome.allowed_actions) or ("fork_session" if over else "undo, fork_session")
    state = f"{outcome.state} · expired at {outcome.expired_at}" if over else outcome.state
    return f"[{outcome.session} · revision {outcome.revision} · {state} · possible: {can}]"


def _result(
    content: Sequence[Block],
    remarks: list[str],
    footer: str | None,
    structured: dict[str, Json],
    *,
    is_error: bool = False,
) -> Result:
    blocks = [dict(block) for block in content]
    texts = [*remarks, *([footer] if footer else [])]
    if blocks and blocks[-1]["type"] == "text":
        texts.insert(0, blocks.pop()["text"])
    blocks.append({"type": "text", "text": "\n\n".join(text for text in texts if text)})
    return _sound({"content": blocks, "structuredContent": structured, "isError": is_error})


def _sound(result: Result) -> Result:
    """A result that fits the protocol; what is more than text is checked. Raises ValidationError."""
    if all(block.keys() == _TEXT and type(block["text"]) is str for block in result["content"]):
        return result
    return t.CallToolResult.model_validate(result).model_dump(mode="json", by_alias=True, exclude_none=True)


_TEXT = {"type", "text"}
