"""Asking the person through MCP: by multi-round-trip results since 2026-07-28, by requests to the client before."""

from collections.abc import Mapping
from typing import Any

import mcp_types as t
from mcp.server.connection import allowed_log_levels
from mcp.server.context import ServerRequestContext
from mcp.shared.message import ServerMessageMetadata
from pydantic import BaseModel, ValidationError

from engine.asking import Answer, Form, Outside, Question, Roots, Sample
from engine.errors import CannotAsk
from engine.types import Json

Context = ServerRequestContext[Any, Any]

CAPABILITIES: Mapping[type[Question], tuple[str, dict[str, object]]] = {
    Form: ("elicitation", {"elicitation": {"form": {}}}),
    Sample: ("sampling", {"sampling": {}}),
    Roots: ("roots", {"roots": {}}),
}
"""The client capability that each kind of question needs."""

RESULTS: Mapping[type[Question], type[BaseModel]] = {
    Form: t.ElicitResult,
    Sample: t.CreateMessageResult,
    Roots: t.ListRootsResult,
}


class InputNeeded(BaseException):
    """Questions have to be put before the action can go on.

    Not an Exception, like CancelledError, so that no `except Exception` in a
    prepare function takes it for a failure.
    """

    def __init__(self, requests: Mapping[str, t.ElicitRequest | t.CreateMessageRequest | t.ListRootsRequest]) -> None:
        super().__init__("input needed")
        self.requests = dict(requests)


class Telling:
    """What both eras have in common: progress, log lines, and what the client can do."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def can(self, question: type[Question]) -> bool:
        """Whether the client declared that it answers that kind of question."""
        declared = self.context.session.client_capabilities
        asked = None if declared is None else getattr(declared, CAPABILITIES[question][0])
        if question is Form and asked is not None:
            return asked.form is not None or asked.url is None
        return asked is not None

    def require(self, *questions: type[Question]) -> None:
        """Insist that it does. Raises CannotAsk."""
        for question in questions:
            name, capability = CAPABILITIES[question]
            if not self.can(question):
                raise CannotAsk(f"This needs the client capability {name!r}.", capability=capability)

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress to a client that gave a token."""
        await self.context.session.report_progress(done, total, message)

    async def log(self, level: str, message: str) -> None:
        """Send a log line to a client that asked for that level."""
        if level in allowed_log_levels(self.context.protocol_version, self.context.meta):
            params = t.LoggingMessageNotificationParams.model_validate({"level": level, "data": message})
            line = t.LoggingMessageNotification(params=params)
            await self.context.session.send_notification(line, related_request_id=self.context.request_id)


class RoundAsking(Telling):
    """Asks by returning what is needed; the client calls again with the answers (MCP 2026-07-28, MRTR).

    `answers` are those of earlier rounds and of this one, in wire form by
    name; `used` those that a prepare function asked for and got.
    """

    def __init__(self, context: Context, answers: Mapping[str, Json]) -> None:
        super().__init__(context)
        self.answers = answers
        self.used: dict[str, Json] = {}

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """The answers, if all are there and valid; else ends this round with the questions."""
        self.require(*(type(question) for question in questions.values()))
        found: dict[str, Answer] = {}
        for name, question in questions.items():
            answer = _answer(question, self.answers.get(name))
            if answer is not None:
                found[name] = answer
                self.used[name] = self.answers[name]
        missing = {name: _request(question) for name, question in questions.items() if name not in found}
        if missing:
            raise InputNeeded(missing)
        return found


class DirectAsking(Telling):
    """Asks by requests to the client while the call waits (MCP until 2025-11-25)."""

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """The answers, one question after the other; an unfit answer is asked for again once."""
        self.require(*(type(question) for question in questions.values()))
        return {name: await self._put(question) for name, question in questions.items()}

    async def _put(self, question: Question) -> Answer:
        for _ in range(2):
            answer = _answer(question, await self._send(question))
            if answer is not None:
                return answer
        return Answer("cancel")

    async def _send(self, question: Question) -> Json:
        related = ServerMessageMetadata(related_request_id=self.context.request_id)
        kind = RESULTS[type(question)]
        result = await self.context.session.send_request(_request(question), kind, metadata=related)
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def asking_for(context: Context, answers: Mapping[str, Json], *, rounds: bool) -> Outside:
    """The right way to ask on a connection."""
    return RoundAsking(context, answers) if rounds else DirectAsking(context)


def _request(question: Question) -> t.ElicitRequest | t.CreateMessageRequest | t.ListRootsRequest:
    match question:
        case Form():
            form = t.ElicitRequestFormParams(message=question.message, requested_schema=question.schema)
            return t.ElicitRequest(params=form)
        case Sample():
            said = t.SamplingMessage(role="user", content=t.TextContent(type="text", text=question.prompt))
            sample = t.CreateMessageRequestParams(
                messages=[said], max_tokens=question.max_tokens, system_prompt=question.system
            )
            return t.CreateMessageRequest(params=sample)
        case Roots():
            return t.ListRootsRequest()


def _answer(question: Question, wire: Json) -> Answer | None:
    """A wire answer as the author sees it, or None if there is none or it does not fit the question."""
    if wire is None:
        return None
    try:
        result: Any = RESULTS[type(question)].model_validate(wire)
        match question:
            case Form():
                return Answer(result.action, question.parsed(result.content) if result.action == "accept" else None)
            case Sample():
                return Answer("accept", getattr(result.content, "text", ""))
            case Roots():
                return Answer("accept", [str(root.uri) for root in result.roots])
    except ValidationError:
        return None
