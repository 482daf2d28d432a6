"""Which scope a request needs that its token lacks, seen before anything is begun (RFC 6750, section 3.1).

The dispatcher insists on scopes whatever comes here; this is so that a client
hears of it in HTTP's terms, and can ask its person for more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from mcp_types import PARSE_ERROR
from pydantic_core import from_json
from starlette.responses import JSONResponse
from starlette.types import Scope

from engine.asgi import CHALLENGE
from engine.dispatch import Dispatcher
from engine.errors import EngineError, NotFound
from engine.mcp_adapter.catalog import Catalog, offers
from engine.mcp_adapter.session_tools import SESSION_TOOLS
from engine.types import Principal

Params = Mapping[str, Any]
_TOOLS = {tool.name: tool for tool in SESSION_TOOLS}


@dataclass(frozen=True, slots=True)
class OfSession:
    """The scope to read, or to write, the world of a session."""

    handle: str
    kind: str


Needed = str | OfSession | None


def messages_of(body: bytes) -> list[Any] | None:
    """The messages of a request; None for what is no JSON, or what only the SDK reads: UTF-16, lone surrogates."""
    try:
        found = from_json(body)
    except ValueError:
        return None
    return found if isinstance(found, list) else [found]


async def missing(
    dispatcher: Dispatcher, catalog: Catalog, principal: Principal, messages: Iterable[Any]
) -> str | None:
    """The first scope that the messages of a request need, and that the principal lacks but could be granted."""
    for needed in _needed(catalog, principal, messages):
        scope = needed
        if isinstance(needed, OfSession):
            scope = await to_thread.run_sync(_scope_of, dispatcher, principal, needed)
        if isinstance(scope, str) and not principal.allows(scope) and principal.could_allow(scope):
            return scope
    return None


def insufficient(scope: Scope, needed: str) -> JSONResponse:
    """The answer to a request whose token lacks a scope."""
    said = f"This needs the scope {needed}, which was not granted."
    parts = ['Bearer error="insufficient_scope"', f'error_description="{said}"', f'scope="{needed}"']
    if CHALLENGE in scope:
        parts.append(f'resource_metadata="{scope[CHALLENGE]}"')
    return JSONResponse(
        {"error": "insufficient_scope", "error_description": said, "scope": needed},
        status_code=403,
        headers={"WWW-Authenticate": ", ".join(parts)},
    )


def unreadable() -> JSONResponse:
    """The answer to a request of which nobody can say what it needs."""
    said = "Parse error: the body is no JSON text in UTF-8, or is nested too deeply, or has too large a number."
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": PARSE_ERROR, "message": said}}, 400)


def _needed(catalog: Catalog, principal: Principal, messages: Iterable[Any]) -> Iterator[Needed]:
    """What each message of a request needs; what is no message is for the protocol to refuse."""
    for message in messages:
        match message:
            case {"method": str() as method, "params": dict() as params} if method in _NEEDS:
                yield from _NEEDS[method](catalog, principal, params)


def _of_tool(catalog: Catalog, principal: Principal, params: Params) -> Iterator[Needed]:
    name, given = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        return
    offer = catalog.offers.get(name)
    if offer is not None:
        if offers(principal, offer.definition, offer.action):
            yield offer.definition.scope_of(offer.action)
        return
    tool = _TOOLS.get(name)
    if tool is not None and tool.name != "list_sessions":
        kind = "read" if tool.read_only else "write"
        yield _of_session_tool(catalog, principal, given if isinstance(given, dict) else {}, kind)


def _of_session_tool(catalog: Catalog, principal: Principal, given: Params, kind: str) -> Needed:
    handle, world = given.get("session"), given.get("world")
    if handle is None:
        handle = catalog.endpoint.session
    if isinstance(handle, str):
        return OfSession(handle, kind)
    there = [one.name for one in catalog.seen_by(principal).worlds]
    named = [one for one in there if one == world] if world is not None else there
    return f"{named[0]}:{kind}" if len(named) == 1 else None


def _of_resource(catalog: Catalog, principal: Principal, params: Params) -> Iterator[Needed]:
    yield _of_uri(catalog.seen_by(principal), params.get("uri"))


def _of_listening(catalog: Catalog, principal: Principal, params: Params) -> Iterator[Needed]:
    match params.get("notifications"):
        case {"resourceSubscriptions": list() as uris}:
            seen = catalog.seen_by(principal)
            yield from (_of_uri(seen, uri) for uri in uris)


def _of_uri(catalog: Catalog, uri: Any) -> Needed:
    try:
        address = catalog.address(uri) if isinstance(uri, str) else None
    except NotFound:  # the request itself is answered with it
        address = None
    if address is None:
        return None
    return address.definition.read_scope if address.session is None else OfSession(address.session, "read")


def _of_prompt(catalog: Catalog, principal: Principal, params: Params) -> Iterator[Needed]:
    worlds = catalog.seen_by(principal).prompt_worlds()
    yield next((world.read_scope for name, world in worlds if name == params.get("name")), None)


def _scope_of(dispatcher: Dispatcher, principal: Principal, needed: OfSession) -> str | None:
    try:
        return f"{dispatcher.world_of(principal, needed.handle)}:{needed.kind}"
    except EngineError:  # the request itself is answered with it
        return None


_NEEDS: Mapping[str, Callable[[Catalog, Principal, Params], Iterator[Needed]]] = {
    "tools/call": _of_tool,
    "resources/read": _of_resource,
    "resources/subscribe": _of_resource,
    "subscriptions/listen": _of_listening,
    "prompts/get": _of_prompt,
}
