"""Outcomes and errors on the wire: the tables are total, and nothing says more than it should."""

import logging
from collections.abc import Iterator
from typing import Any

import mcp_types as t
import pytest
from jsonschema import Draft202012Validator
from mcp.shared.exceptions import MCPError

from engine.errors import (
    Busy,
    CannotAsk,
    ChartError,
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
from engine.mcp_adapter.envelope import (
    MISSING_CAPABILITY,
    PROTOCOL_ERRORS,
    TOOL_ERRORS,
    Sessionless,
    accepted,
    envelope,
    envelope_schema,
    protocol_error,
    refused,
    sessionless,
    unforeseen,
)
from engine.types import Message, Outcome

ONLY_AT_IMPORT = {ChartError, DefinitionError}
EXAMPLES: list[EngineError] = [
    InvalidArguments("$.a: no number", path="$.a"),
    NotFound("There is no session."),
    Unauthenticated("Log in."),
    Forbidden("This needs a scope.", scope="counter:write"),
    Refused("has_lines", "the cart is empty"),
    Conflict("It went on.", revision=7),
    StoreError("The disk is full."),
    Busy("It is in use."),
]
HERE = Outcome("ses_x", "counter", 7, "open", ("add",), None)


def kinds(kind: type[EngineError] = EngineError) -> Iterator[type[EngineError]]:
    for found in kind.__subclasses__():
        yield found
        yield from kinds(found)


def test_every_error_has_a_row_or_is_raised_at_import_only() -> None:
    found = {kind for kind in kinds() if kind.__module__.startswith("engine.")}
    assert found >= {type(error) for error in EXAMPLES}
    for kind in found - ONLY_AT_IMPORT:
        assert any(known in TOOL_ERRORS or known is CannotAsk for known in kind.__mro__), kind
        assert any(known in PROTOCOL_ERRORS for known in kind.__mro__), kind


def test_every_row_is_of_an_error() -> None:
    assert {*TOOL_ERRORS, *PROTOCOL_ERRORS} <= set(kinds())


def test_every_error_that_a_tool_tells_fits_the_envelope() -> None:
    schema = Draft202012Validator(envelope_schema({"type": "integer"}))
    for error in EXAMPLES:
        for now in (None, HERE):
            result = refused(error, now)
            content: Any = result["structuredContent"]
            assert result["isError"]
            schema.validate(content)
            (message,) = content["messages"]
            assert (message["code"], message["content"]) == (error.rule, str(error))
            assert message["severity"] in ("recoverable", "requires_buyer_input")
            assert content["revision"] == (7 if now else None)


def test_who_finds_a_session_busy_is_told_when_to_come_back() -> None:
    (message,) = refused(Busy("64 calls wait for this session already.", retry_after=2.5), HERE)["structuredContent"][
        "messages"
    ]
    assert (message["code"], message["severity"], message["retry_after"]) == ("busy", "recoverable", 2.5)
    assert "Try again in 2.5 s." in message["content"]


def test_every_error_outside_tools_has_a_code_and_its_rule() -> None:
    for error in EXAMPLES:
        wire = protocol_error(error, "session://x/y").error
        expected = t.INTERNAL_ERROR if isinstance(error, StoreError) else t.INVALID_PARAMS
        assert wire.code == expected
        assert wire.message == str(error)
        later = {"retryAfter": error.retry_after} if isinstance(error, Busy) else {}
        assert wire.data == {"code": error.rule, "uri": "session://x/y", **later}


def test_a_missing_capability_is_named() -> None:
    error = CannotAsk("This needs sampling.", capability={"sampling": {}})
    with pytest.raises(MCPError) as caught:
        refused(error, HERE)
    assert caught.value.error.code == MISSING_CAPABILITY
    assert caught.value.error.data["requiredCapabilities"] == {"sampling": {}}


def test_what_nobody_foresaw_is_opaque_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        for error in (ValueError("a secret"), DefinitionError("a secret"), EngineError("a secret")):
            wire = (protocol_error(error) if isinstance(error, EngineError) else unforeseen(error)).error
            assert wire.code == t.INTERNAL_ERROR
            assert "secret" not in wire.message
            number = wire.message.rpartition("error ")[2].rstrip(".")
            assert number in caplog.text
    assert all(kind in caplog.text for kind in ("ValueError", "DefinitionError", "EngineError"))
    assert "a secret" not in caplog.text


def test_an_outcome_says_where_the_session_is_and_what_is_possible() -> None:
    note = Message("info", "replayed", "This was done before.")
    outcome = Outcome("ses_x", "counter", 9, "open", ("add",), 5, ({"type": "text", "text": "five"},), (note,), 7)
    result = accepted(outcome)
    Draft202012Validator(envelope_schema({"type": "integer"})).validate(result["structuredContent"])
    assert result["structuredContent"] == envelope(outcome)
    (block,) = result["content"]
    assert block["text"] == "five\n\nThis was done before.\n\n[ses_x · revision 9 · open · possible: add]"


def test_where_nothing_is_possible_the_last_line_says_what_is() -> None:
    block = accepted(Outcome("ses_x", "counter", 9, "over", (), None))["content"][-1]
    assert block["text"] == "[ses_x · revision 9 · over · possible: undo, fork_session]"


def test_pictures_come_before_the_text() -> None:
    picture = {"type": "image", "data": "AA==", "mimeType": "image/png"}
    result = accepted(Outcome("ses_x", "counter", 9, "open", ("add",), None, (picture,)))
    assert [block["type"] for block in result["content"]] == ["image", "text"]


def test_what_is_about_no_session_fits_the_envelope_too() -> None:
    result = sessionless(Sessionless({"sessions": []}, (Message("info", "none", "There are none."),)))
    Draft202012Validator(envelope_schema({"type": "object"})).validate(result["structuredContent"])
    content: Any = result["structuredContent"]
    assert (content["session"], content["result"]) == (None, {"sessions": []})


def test_schemas_of_results_keep_their_definitions_reachable() -> None:
    inner = {"$defs": {"Point": {"type": "integer"}}, "$ref": "#/$defs/Point"}
    schema = Draft202012Validator(envelope_schema(inner))
    assert schema.is_valid(envelope(Outcome("s", "w", 1, "open", (), 5)))
    assert not schema.is_valid(envelope(Outcome("s", "w", 1, "open", (), "five")))
    assert inner["$defs"]
