"""How far a token reaches: everywhere, one world and its sessions, or one session (resource indicators, RFC 8707)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

_PATH = re.compile(r"/worlds/(?P<world>[A-Za-z][A-Za-z0-9_-]*)/mcp|/sessions/(?P<session>[A-Za-z0-9_-]{1,200})/mcp")

_EVENTS = re.compile(r"/sessions/[A-Za-z0-9_-]{1,200}/events")


class InvalidTarget(ValueError):
    """A resource that no token can be for: `invalid_target` in RFC 8707."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a token opens: everything, or of one `world`, or one `session` alone."""

    world: str | None = None
    session: str | None = None

    @property
    def path(self) -> str:
        """The endpoint it is of; empty for everywhere."""
        if self.session is not None:
            return f"/sessions/{self.session}/mcp"
        return "" if self.world is None else f"/worlds/{self.world}/mcp"

    def includes(self, other: "Reach") -> bool:
        """Whether a token that reaches this far may be had to reach only that far."""
        return self in (EVERYWHERE, other)

    def covers(self, world: str, session: str | None = None) -> bool:
        """Whether something of a world, of a session of it if one is given, may be touched."""
        if self.session is not None:
            return session == self.session
        return self.world in (None, world)


EVERYWHERE = Reach()


@lru_cache(1024)
def reach_at(path: str) -> Reach | None:
    """The reach of the endpoint at a path, whether or not there is what it names; None if no endpoint can be there."""
    if path == "/mcp":
        return EVERYWHERE
    match = _PATH.fullmatch(path)
    return None if match is None else Reach(**match.groupdict())


def endpoint_of(path: str) -> str:
    """The path of the MCP endpoint whose tokens open a path: a session's events are opened as its endpoint is."""
    return path.removesuffix("/events") + "/mcp" if _EVENTS.fullmatch(path) else path


def reach_of(resource: str | None, base: str, worlds: Collection[str] | None) -> Reach:
    """The reach that a `resource` names, of the server whose public URL is `base`. Raises InvalidTarget.

    The server's own URL, that of `/mcp` and none at all mean everywhere. Whether a session exists is not looked at,
    nor without `worlds` whether a world does.
    """
    if resource is None:
        return EVERYWHERE
    try:
        parts, own = urlsplit(resource), urlsplit(base)
    except ValueError as error:
        raise InvalidTarget(f"{resource!r} is no URL: {error}.") from None
    if (parts.scheme.lower(), parts.netloc.lower()) != (own.scheme.lower(), own.netloc.lower()) or "#" in resource:
        raise InvalidTarget(f"{resource!r} is not at {base}.")
    path = parts.path.removeprefix(own.path) if parts.path.startswith(own.path) else None
    if path is not None and not parts.query:
        reach = reach_at(path.rstrip("/") or "/mcp")
        if reach is not None and (reach.world is None or worlds is None or reach.world in worlds):
            return reach
    raise InvalidTarget(f"{resource!r} is no endpoint of {base}.")


def reach_of_all(resources: Collection[str], base: str, worlds: Collection[str] | None) -> Reach:
    """The reach that every one of some resources names: a token is for one. Raises InvalidTarget."""
    found = {reach_of(resource, base, worlds) for resource in resources} or {EVERYWHERE}
    if len(found) > 1:
        raise InvalidTarget(f"The resources name {len(found)} endpoints, and a token is for one.")
    return found.pop()


def stored_reach(resource: str, base: str) -> Reach | None:
    """The reach of a resource as `resource_of` gave it, a world that is gone included; None if it is not at `base`.

    What was granted under another public URL was granted of another server, whatever its path.
    """
    path = resource.removeprefix(base)
    if resource == base:
        return EVERYWHERE
    match = _PATH.fullmatch(path) if path != resource else None
    return None if match is None else Reach(**match.groupdict())


def resource_of(reach: Reach, base: str) -> str:
    """The canonical resource indicator of a reach: without a trailing slash."""
    return base + reach.path
