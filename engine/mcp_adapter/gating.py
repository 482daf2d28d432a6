"""Which scope a request needs that its token lacks, seen before anything is begun (RFC 6750, section 3.1).

The dispatcher insists on scopes whatever comes here; this is so that a client
hears of it in HTTP's terms, and can ask its person for more.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from pydantic_core import from_json
from starlette.responses import JSONResponse
from starlette.types import Scope

from engine.asgi import CHALLENGE
from engine.dispatch import Dispatcher
from engine.errors import EngineError, NotFound
from engine.mcp_adapter.catalog import Catalog
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


async def missing(dispatcher: Dispatcher, catalog: Catalog, principal: Principal, body: bytes) -> str | None:
    """The first scope that the messages of a request need, and that the principal lacks but could be granted."""
    for needed in _needed(catalog, body):
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


def _needed(catalog: Catalog, body: bytes) -> Iterator[Needed]:
    """What each message of a request needs; what is no message is for the protocol to refuse."""
    try:
        found = from_json(body)
    except ValueError:
        return
    for message in found if isinstance(found, list) else [found]:
        match message:
            case {"method": str() as method, "params": dict() as params} if method in _NEEDS:
                yield _NEEDS[method](catalog, params)


def _of_tool(catalog: Catalog, params: Params) -> Needed:
    name, given = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        return None
    offer = catalog.offers.get(name)
    if offer is not None:
        return offer.definition.scope_of(offer.action)
    tool = _TOOLS.get(name)
    if tool is None or tool.name == "list_sessions":
        return None
    given = given if isinstance(given, dict) else {}
    kind = "read" if tool.read_only else "write"
    handle, world = given.get("session") or catalog.endpoint.session, given.get("world") or catalog.endpoint.world
    if isinstance(handle, str):
        return OfSession(handle, kind)
    return f"{world}:{kind}" if world in [known.name for known in catalog.worlds] else None


def _of_resource(catalog: Catalog, params: Params) -> Needed:
    uri = params.get("uri")
    try:
        address = catalog.address(uri) if isinstance(uri, str) else None
    except NotFound:  # the request itself is answered with it
        address = None
    if address is None:
        return None
    return address.definition.read_scope if address.session is None else OfSession(address.session, "read")


def _of_prompt(catalog: Catalog, params: Params) -> Needed:
    return next((world.read_scope for name, world in catalog.prompt_worlds() if name == params.get("name")), None)


def _scope_of(dispatcher: Dispatcher, principal: Principal, needed: OfSession) -> str | None:
    try:
        return f"{dispatcher.world_of(principal, needed.handle)}:{needed.kind}"
    except EngineError:  # the request itself is answered with it
        return None


_NEEDS: Mapping[str, Callable[[Catalog, Params], Needed]] = {
    "tools/call": _of_tool,
    "resources/read": _of_resource,
    "resources/subscribe": _of_resource,
    "prompts/get": _of_prompt,
}
