"""Resources and completion: what a session looks like from outside, by URI."""

import json
from collections.abc import Iterator
from typing import Any

import mcp_types as t

from engine.arguments import parsed
from engine.content import contents, indented, jsonable
from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.drawing.mermaid import mermaid
from engine.drawing.svg import svg
from engine.errors import InvalidArguments
from engine.limits import check_result
from engine.mcp_adapter.catalog import SCHEME, Address, Catalog, installed
from engine.mcp_adapter.icons import icons
from engine.paging import AROUND, page, weight, without
from engine.pasts import Past
from engine.resources import BUILT_IN
from engine.types import Json, Principal, dumped
from engine.world import World, active_states

MERMAID, SVG = "text/vnd.mermaid", "image/svg+xml"
_BUILT_IN_SAYS = {
    "state": ("application/json", "The session's state, document and rows, and what is possible."),
    "history": ("application/json", "What happened in the session, oldest first."),
    "diagram": (MERMAID, "The world's states as a Mermaid diagram, with where the session is marked."),
    "diagram.svg": (SVG, "The same, drawn."),
}


def listed(catalog: Catalog) -> list[t.Resource]:
    """The resources of the caller's main sessions under their fixed alias, or of the endpoint's one session."""
    return [
        _resource(definition, name, uri)
        for definition in catalog.worlds
        for name, uri in _addresses(catalog, definition)
    ]


def templates(catalog: Catalog) -> list[t.ResourceTemplate]:
    """The resources of any session, by template."""
    found: dict[str, t.ResourceTemplate] = {}
    for definition in catalog.worlds:
        for resource in definition.resources.values():
            if resource.options.uri is not None and resource.parameters.model_fields:
                found[resource.options.uri] = _template(definition, resource.name, resource.options.uri)
        if catalog.endpoint.session is None and definition.contract != "exact":
            for name in (*BUILT_IN, *_own(definition)):
                uri = f"{SCHEME}{{session}}/{name}" + ("{?since}" if name == "history" else "")
                found.setdefault(uri, _template(definition, name, uri))
    return list(found.values())


def read(dispatcher: Dispatcher, principal: Principal, address: Address) -> dict[str, Json]:
    """A resource's contents in wire form. Raises NotFound, InvalidArguments."""
    world = address.definition
    handle = address.session
    if handle is not None and handle.startswith("ses_"):
        world = installed(dispatcher.registry, dispatcher.world_of(principal, handle))
    if address.name == "state":
        return contents(address.uri, indented(_state(dispatcher, principal, world, handle)), "application/json")
    if address.name == "history":
        changes = _history(dispatcher, principal, world, address)
        return contents(address.uri, indented(changes), "application/json")
    if address.name == "diagram":
        return contents(address.uri, dispatcher.look(principal, world.name, handle, _diagram), MERMAID)
    if address.name == "diagram.svg":
        return contents(address.uri, dispatcher.look(principal, world.name, handle, _drawing), SVG)
    resource = world.resources.get(address.name)
    if resource is None:
        raise InvalidArguments(f"Sessions of {world.name} have no resource {address.name!r}.")
    arguments = parsed(resource.parameters, address.arguments)
    body = dispatcher.look(principal, world.name, handle, lambda view: _body(resource.method(view, **arguments)))
    found = contents(address.uri, body, resource.mime_type)
    check_result(dumped(found), "", dispatcher.limits)
    return found


def handles(dispatcher: Dispatcher, principal: Principal, world: str | None, typed: str) -> list[str]:
    """The handles of a principal's sessions that begin as typed."""
    found = dispatcher.sessions(principal, world)
    return [record.handle for record, _ in found if record.handle.startswith(typed)]


def _addresses(catalog: Catalog, definition: Definition) -> Iterator[tuple[str, str]]:
    owner = catalog.endpoint.session or definition.name
    for name in _own(definition):
        yield name, f"{SCHEME}{owner}/{name}"
    if definition.contract != "exact":
        for name in BUILT_IN:
            yield name, f"{SCHEME}{owner}/{name}"
    for resource in definition.resources.values():
        if resource.options.uri is not None and not resource.parameters.model_fields:
            yield resource.name, resource.options.uri


def _own(definition: Definition) -> list[str]:
    return [name for name, resource in definition.resources.items() if resource.options.uri is None]


def _resource(definition: Definition, name: str, uri: str) -> t.Resource:
    mime_type, description, title, icon = _said(definition, name)
    return t.Resource(uri=uri, name=name, title=title, description=description, mime_type=mime_type, icons=icon)


def _template(definition: Definition, name: str, uri: str) -> t.ResourceTemplate:
    mime_type, description, title, icon = _said(definition, name)
    return t.ResourceTemplate(
        uri_template=uri, name=name, title=title, description=description, mime_type=mime_type, icons=icon
    )


def _said(definition: Definition, name: str) -> tuple[str, str, str | None, list[t.Icon] | None]:
    if (found := definition.resources.get(name)) is not None:
        exact = found.contract == "exact"
        title = found.options.title or (None if exact else f"{definition.title}: {name}")
        icon = icons(found.options.icons or definition.icons, invented=not exact)
        return found.mime_type, found.description, title, icon
    mime_type, description = _BUILT_IN_SAYS[name]
    return mime_type, description, f"{definition.title}: {name}", icons(definition.icons)


def _state(dispatcher: Dispatcher, principal: Principal, world: Definition, handle: str | None) -> Json:
    session = handle or dispatcher.main(principal, world.name)
    past, now = dispatcher.past(principal, session)
    return {
        "session": session,
        "world": world.name,
        "allowed_actions": list(now.allowed_actions),
        "refused_actions": now.refusals,
        "expired_at": now.expired_at,
        **({"messages": [message.as_json() for message in now.messages]} if now.messages else {}),
    } | part_of(past, dispatcher.limits.result)


def part_of(past: Past, room: int, offset: int | None = None) -> dict[str, Json]:
    """A session as it was: its state, its document, and as many rows as fit; or the rows after so many read before.

    `more` says whether there are more; `cursor` is then where get_session goes on.
    """
    head: dict[str, Json] = {"revision": past.revision, "state": past.state}
    if offset is None:
        head["data"] = None if past.data is None else json.loads(past.data)
        if weight(head) + 2 * AROUND > room:
            head = without(head, ("data",), weight(head))
        if past.timers:
            head["timers"] = [timer.shown for timer in past.timers]
    rows = [(table, row) for table, found in past.rows.items() for row in found]
    taken = weight(head)
    some, more = (
        ([], bool(rows))
        if 2 * taken > room
        else page(
            rows[offset or 0 :],
            room - taken,
            lambda item: {"rows": {item[0]: [item[1]]}},
            lambda item, size: (item[0], without(item[1], item[1], size)),
        )
    )
    shown: dict[str, list[Json]] = {table: [] for table in past.rows}
    for table, row in some:
        shown[table].append(row)
    cursor = f"{past.revision}.{(offset or 0) + len(some)}" if more else None
    return {**head, "rows": shown, "more": more, "cursor": cursor}


def _history(dispatcher: Dispatcher, principal: Principal, world: Definition, address: Address) -> Json:
    since = address.arguments.get("since", "0")
    if not (str(since).isdecimal() and len(str(since)) < 19):
        raise InvalidArguments(f"since must be a revision, received {since!r}.")
    session = address.session or dispatcher.main(principal, world.name)
    found = dispatcher.history_page(principal, session, int(since))
    address_of = f"{SCHEME}{address.session or world.name}/history"
    return {**found, "next": f"{address_of}?since={found['since']}" if found["more"] else None}


def _diagram(view: World) -> str:
    return mermaid(view.definition.chart, active_states(view))


def _drawing(view: World) -> str:
    return svg(view.definition.chart, active_states(view), title=f"{view.definition.title}: {view.state}")


def _body(answer: Any) -> str | bytes:
    return answer if isinstance(answer, str | bytes) else indented(jsonable(answer))
