"""The session tools: start, list, look back, undo, fork, share, end. Each is one function on the dispatcher."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.arguments import MOST
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, Refused
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.envelope import Sessionless
from engine.mcp_adapter.taking import TEXT_LIMIT
from engine.mcp_adapter.views import part_of
from engine.offering import share
from engine.operations import Call
from engine.paging import page
from engine.signatures import described
from engine.store.records import Record
from engine.types import Json, Message, Outcome, Principal, Role

ANY_OBJECT: Mapping[str, Json] = {"type": "object"}
SUBJECT_LIMIT = 255
"""Characters of a subject (OpenID Connect Core 1.0, section 2); a mail address has no more (RFC 5321, 4.5.3.1)."""

Name = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]


class Arguments(BaseModel):
    """What session tools take."""

    model_config = ConfigDict(extra="forbid")


class OfSession(Arguments):
    """Which session: by handle, or the caller's main session of a world."""

    session: Name | None = Field(default=None, description="The session's handle (ses_…).")
    world: Name | None = Field(default=None, description="Instead of session: your main session of this world.")


class OfChange(OfSession):
    """Which session, and at which revision the caller believes it."""

    if_revision: int | None = Field(
        default=None, ge=0, le=MOST, description="The revision you last saw; makes a retry safe."
    )


class Start(Arguments):
    """What to start."""

    world: Name | None = Field(default=None, description="Which world.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="What the world needs to start.")
    main: bool = Field(
        default=False, description="Make it your main session of the world, in place of the present one."
    )


class Listing(Arguments):
    """Which sessions to list."""

    world: Name | None = Field(default=None, description="Only sessions of this world.")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Name | None = Field(default=None, description="Where to go on: the `cursor` of the answer before.")


class At(OfSession):
    """Which past to read."""

    at: int | None = Field(default=None, ge=1, le=MOST, description="A past revision. Left out: as it is now.")


class Whole(At):
    """Which part of a session to read."""

    cursor: Name | None = Field(default=None, description="Where to go on: the `cursor` of the answer before.")


class Since(OfSession):
    """Which part of the history to read."""

    since: int = Field(default=0, ge=0, le=MOST, description="Only what came after this revision.")
    limit: int = Field(default=50, ge=1, le=500)


class Share(OfSession):
    """Whom to share with."""

    person: str | None = Field(
        default=None,
        min_length=1,
        max_length=SUBJECT_LIMIT,
        description="Who: the name of their account here, or their mail address. Whether there is such a person is not"
        " told; if not yet, it takes effect when they sign in. Without one it is about you.",
    )
    role: Literal["viewer", "editor", "owner"] | None = Field(
        default="viewer",
        description="viewer reads, editor also acts, owner is who you hand the session over to, once they take it;"
        " null takes it back. About you: owner takes over what was handed to you, null leaves.",
    )


class End(OfSession):
    """How to end."""

    erase: bool = Field(default=False, description="Delete the session and its history for good.")


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a session tool."""

    dispatcher: Dispatcher
    catalog: Catalog
    principal: Principal
    arguments: Any
    key: str | None
    if_revision: int | None = None

    def session(self) -> tuple[str, str]:
        """The world and handle it is about. Raises NotFound, InvalidArguments, Refused where none was started."""
        handle = _agreed("session", self.arguments.session, self.catalog.endpoint.session)
        if handle is None:
            return self._main(self.world())
        world = self.dispatcher.world_of(self.principal, handle)
        if self.named not in (None, world):
            raise InvalidArguments(f"{handle} is a session of {world}, not of {self.named}.", path="$.session")
        return world, handle

    @property
    def named(self) -> str | None:
        """The world that the endpoint or the caller names. Raises InvalidArguments where they differ."""
        return _agreed("world", self.arguments.world, self.catalog.endpoint.world)

    def world(self) -> str:
        """The world it is about. Raises InvalidArguments."""
        if self.named is not None:
            return self.named
        if len(self.catalog.worlds) == 1:
            return self.catalog.worlds[0].name
        raise InvalidArguments(
            "Neither a session nor a world is given.",
            hint=f"Give `session`, or `world`, one of: {', '.join(w.name for w in self.catalog.worlds)}.",
        )

    def _main(self, world: str) -> tuple[str, str]:
        now = self.dispatcher.main_now(self.principal, world)
        if now is None:
            raise Refused(
                "not_started",
                f"You have no main session of {world}.",
                hint="list_sessions names the others; start_session with main=true starts one.",
            )
        return world, now.session


def _agreed(name: str, given: str | None, fixed: str | None) -> str | None:
    """What the caller or the endpoint says. Raises InvalidArguments where they differ."""
    if given is not None and fixed is not None and given != fixed:
        raise InvalidArguments(
            f"$.{name} is {given!r}, but this endpoint is of {fixed} alone.",
            hint=f"Leave `{name}` out, or use another endpoint.",
            path=f"$.{name}",
        )
    return fixed if given is None else given


@dataclass(frozen=True, slots=True)
class SessionTool:
    """One session tool: what it takes, what it says it gives, and what it does."""

    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Request], Outcome | Sessionless]
    read_only: bool = False
    destructive: bool = False
    on_session: bool = True
    result: Mapping[str, Json] = field(default_factory=lambda: dict(ANY_OBJECT))

    def schema(self, catalog: Catalog) -> dict[str, Json]:
        """The input schema on an endpoint: without what the endpoint already says."""
        schema = described(self.arguments)
        properties = schema["properties"]
        if catalog.endpoint.session is not None:
            properties.pop("session", None)
            properties.pop("world", None)
        elif catalog.endpoint.world is not None:
            properties.pop("world", None)
        elif "world" in properties:
            properties["world"] = {
                "type": "string",
                "enum": [world.name for world in catalog.worlds],
                "description": properties["world"]["description"],
            }
        if self.arguments is Start and len(catalog.worlds) == 1:
            wanted = described(catalog.worlds[0].start_parameters)
            definitions = wanted.pop("$defs", None)
            properties["arguments"] = wanted
            return schema if definitions is None else {**schema, "$defs": definitions}
        return schema


def _start(request: Request) -> Outcome:
    given = request.arguments
    return request.dispatcher.start(
        request.principal, request.world(), given.arguments, key=request.key, main=given.main
    )


def _list(request: Request) -> Sessionless:
    wanted = request.arguments
    found = _after(request.dispatcher.sessions(request.principal, request.named), wanted.cursor)
    handed = request.dispatcher.handed(request.principal)
    sessions, more = page(
        (
            {**_summary(request, record, role), "handed_to_you": record.handle in handed}
            for record, role in found[: wanted.limit]
        ),
        request.dispatcher.limits.result,
        lambda item: {"sessions": [item]},
        lambda item, size: item,
    )
    more = more or len(sessions) < len(found)
    cursor = f"{sessions[-1]['changed_at']} {sessions[-1]['session']}" if more else None
    return Sessionless({"sessions": sessions, "more": more, "cursor": cursor})


def _after(found: Sequence[tuple[Record, Role]], cursor: str | None) -> Sequence[tuple[Record, Role]]:
    """The sessions after the one that a cursor names, or, if that changed since, all that were not changed later."""
    if cursor is None:
        return found
    at, _, handle = cursor.partition(" ")
    place = next(
        (n + 1 for n, (record, _) in enumerate(found) if (record.updated_at, record.handle) == (at, handle)), None
    )
    return found[place:] if place is not None else [(record, role) for record, role in found if record.updated_at <= at]


def _get(request: Request) -> Outcome:
    world, handle = request.session()
    at, offset = _place(request.arguments.cursor, request.arguments.at)
    past, now = request.dispatcher.past(request.principal, handle, at)
    said = {} if past.revision < now.revision else {"refused_actions": now.refusals}
    return _about(now, {"world": world} | part_of(past, request.dispatcher.limits.result, offset) | said)


def _place(cursor: str | None, at: int | None) -> tuple[int | None, int | None]:
    """The revision and the number of rows read before that a cursor stands for. Raises InvalidArguments."""
    if cursor is None:
        return at, None
    parts = cursor.split(".")
    if len(parts) != 2 or not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise InvalidArguments(f"$.cursor is none of ours: {cursor!r}.", path="$.cursor")
    revision, offset = map(int, parts)
    if at not in (None, revision):
        raise InvalidArguments(f"$.cursor belongs to revision {revision}, not to {at}.", path="$.cursor")
    return revision, offset


def _history(request: Request) -> Outcome:
    _, handle = request.session()
    since, limit = request.arguments.since, request.arguments.limit
    found = request.dispatcher.history_page(request.principal, handle, since, limit)
    return _about(request.dispatcher.now(request.principal, handle), found)


def _operation(name: str) -> Callable[[Request], Outcome]:
    def run(request: Request) -> Outcome:
        world, handle = request.session()
        return request.dispatcher.dispatch(_call(request, world, handle, name, {}))

    return run


def _fork(request: Request) -> Outcome:
    _, handle = request.session()
    return request.dispatcher.fork(request.principal, handle, request.arguments.at, key=request.key)


def _share(request: Request) -> Outcome:
    world, handle = request.session()
    call = _call(request, world, handle, "share", {"role": request.arguments.role})
    person = request.arguments.person
    return request.dispatcher.dispatch(call) if person is None else share(request.dispatcher, call, person)


def _end(request: Request) -> Outcome | Sessionless:
    if not request.arguments.erase:
        return _ended_before(request) or _operation("end")(request)
    _, handle = request.session()
    request.dispatcher.erase(request.principal, handle)
    return Sessionless(None, (Message("info", "erased", f"{handle} and its history are gone."),))


def _ended_before(request: Request) -> Outcome | None:
    """What was answered when a main session was ended with that key: it is no main session any more."""
    by_handle = (request.catalog.endpoint.session or request.arguments.session) is not None
    if request.key is None or by_handle:
        return None
    for record, role in request.dispatcher.sessions(request.principal, request.world()):
        if record.ended_at is not None and role is Role.OWNER:
            try:
                found = request.dispatcher.recorded(_call(request, record.world, record.handle, "end", {}))
            except Refused:
                continue  # There the key was another call's.
            if found is not None:
                return found
    return None


def _call(request: Request, world: str, handle: str, action: str, arguments: Mapping[str, Json]) -> Call:
    given = getattr(request.arguments, "if_revision", None)
    return Call(
        principal=request.principal,
        world=world,
        action=action,
        arguments=arguments,
        session=handle,
        key=request.key,
        if_revision=request.if_revision if given is None else given,
    )


def _about(now: Outcome, value: Json) -> Outcome:
    text = ({"type": "text", "text": json.dumps(value, indent=2, ensure_ascii=False)},)
    return dataclasses.replace(now, value=value, content=text)


def _summary(request: Request, record: Any, role: Role) -> dict[str, Json]:
    return {
        "session": record.handle,
        "world": record.world,
        "state": record.state,
        "revision": record.revision,
        "role": role.value,
        "main": record.main_of is not None and role is Role.OWNER,
        "changed_at": record.updated_at,
        "ended": record.ended_at is not None,
        "expired_at": request.dispatcher.expired_at(record),
    }


SESSION_TOOLS: tuple[SessionTool, ...] = (
    SessionTool(
        "start_session",
        "Start a session of a world. It is durable: it lasts until it is ended, and its handle names it from anywhere.",
        Start,
        _start,
        on_session=False,
        result={},
    ),
    SessionTool(
        "list_sessions",
        "List your sessions and those shared with you, the most recently changed first.",
        Listing,
        _list,
        read_only=True,
        on_session=False,
    ),
    SessionTool(
        "get_session",
        "Read a session, as it is or as it was at a revision; a large one page by page.",
        Whole,
        _get,
        read_only=True,
    ),
    SessionTool("session_history", "Read what happened in a session, oldest first.", Since, _history, read_only=True),
    SessionTool(
        "undo",
        "Take back the last action that still stands. Repeated, it goes further back.",
        OfChange,
        _operation("undo"),
    ),
    SessionTool("redo", "Do again what was undone last.", OfChange, _operation("redo")),
    SessionTool(
        "fork_session",
        "Make a new session of your own from a session as it is, or as it was at a revision, with its history.",
        At,
        _fork,
        result={"type": "null"},
    ),
    SessionTool(
        "share_session",
        "Let another person read (viewer) or also act in (editor) a session you own, or hand it over to them (owner)."
        " Without a person: take over what was handed to you (owner), or leave what was shared with you (null).",
        Share,
        _share,
        result={"type": "null"},
    ),
    SessionTool(
        "end_session",
        "End a session you own: it can then only be read and forked. With erase=true it is deleted for good.",
        End,
        _end,
        destructive=True,
        result={"type": "null"},
    ),
)
