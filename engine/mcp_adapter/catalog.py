"""What an endpoint offers, by name: which tool is which action, which URI which resource.

An endpoint is everything together, one world, or one session. Names are
joined (`counter_add`) only where all worlds are together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp.shared.uri_template import UriTemplate

from engine.actions import Action
from engine.definition import Definition
from engine.errors import NotFound
from engine.mcp_adapter.envelope import exact_schema
from engine.mcp_adapter.taking import TEXT_LIMIT
from engine.registry import Registry, tool_name
from engine.resources import BUILT_IN, Prompt
from engine.types import Principal

SCHEME = "session://"
BUILT_IN_PROMPTS = ("start", "resume")
_MOST_SEEN = 256
"""Principals whose names are kept at hand."""
_ADDRESS = re.compile(r"session://([^/?#]+)/([^?#]+)(?:\?(.*))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client is connected: to all worlds, to one, or to one session of one."""

    world: str | None = None
    session: str | None = None

    @property
    def name(self) -> str:
        """What binds a legacy connection and a request state to it."""
        return self.session or self.world or "*"


@dataclass(frozen=True, slots=True)
class Address:
    """A resource that a URI names: of a session by handle, or without one of the caller's main session."""

    uri: str
    definition: Definition
    session: str | None
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """An action as a tool, with what a call of it would otherwise have to find out each time."""

    definition: Definition
    action: Action
    structured: bool
    """Whether an exact contract promises structured content."""
    mirrored: dict[str, Any] | None
    """The schema of arguments that clients mirror into HTTP headers; None, which is quicker, where there are none."""

    @property
    def plain(self) -> bool:
        """Whether a call is its arguments and nothing else: no questions, no headers."""
        return self.mirrored is None and not self.action.asks


def offer(definition: Definition, action: Action) -> Offer:
    """An action as a tool."""
    structured = action.returns is None or (action.contract == "exact" and exact_schema(action) is not None)
    return Offer(definition, action, structured, action.schema if action.mirrored else None)


def installed(registry: Registry, world: str) -> Definition:
    """The world that a session is of. Raises NotFound, since it may be gone."""
    found = registry.definition(world)
    if found is None:
        raise NotFound(
            f"The world {world!r} is not installed here.", hint="Its sessions are kept; install it to go on with them."
        )
    return found


def offers(principal: Principal, definition: Definition, action: Action) -> bool:
    """Whether an action is there for a principal: it is for them, and they have its scope or could be granted it."""
    return definition.is_for(principal, action) and principal.could_allow(definition.scope_of(action))


def _is_there(principal: Principal, definition: Definition) -> bool:
    scopes = (definition.read_scope, definition.write_scope)
    return definition.is_for(principal) and any(map(principal.could_allow, scopes))


class Catalog:
    """The names of one endpoint: all of them, or those that are there for a principal."""

    def __init__(self, registry: Registry, endpoint: Endpoint, principal: Principal | None = None) -> None:
        self.registry = registry
        self.endpoint = endpoint
        self.together = endpoint.world is None
        self._principal = principal
        self._seen: dict[Principal, Catalog] = {}
        chosen = registry.worlds.values() if endpoint.world is None else [installed(registry, endpoint.world)]
        self.worlds = tuple(world for world in chosen if principal is None or _is_there(principal, world))

    def seen_by(self, principal: Principal) -> "Catalog":
        """The names that are there for a principal: what a client could not even be granted is not."""
        if principal.could_allow("*"):
            return Catalog(self.registry, self.endpoint, principal) if self._picks else self
        found = self._seen.get(principal)
        if found is None or found._principal is not principal:  # each look at a token makes another, so none is old
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            found = self._seen[principal] = Catalog(self.registry, self.endpoint, principal)
        return found

    @cached_property
    def _picks(self) -> bool:
        """Whether anything is there for some principals only."""
        return any(
            world.only_for is not None or any(action.only_for is not None for action in world.actions.values())
            for world in self.worlds
        )

    def joined(self, definition: Definition, name: str) -> str:
        """A name as this endpoint shows it."""
        return tool_name(definition, name) if self.together else name

    @cached_property
    def offers(self) -> dict[str, Offer]:
        """Every action by its tool's name, worlds by name, actions as declared."""
        return {
            self.joined(definition, action.name): offer(definition, action)
            for definition in self.worlds
            for action in definition.actions.values()
            if self._principal is None or offers(self._principal, definition, action)
        }

    @cached_property
    def asking(self) -> frozenset[str]:
        """The tools that may wait for a person, by joined and by bare name."""
        asking = [(name, found.action.name) for name, found in self.offers.items() if found.action.asks]
        return frozenset(name for names in asking for name in names)

    def prompt_worlds(self) -> Iterator[tuple[str, Definition]]:
        """Every prompt's name here with its world: those that authors wrote, then each world's start and resume."""
        for name, definition, _ in self.prompts():
            yield name, definition
        for definition in self.worlds:
            for name in () if definition.contract == "exact" else BUILT_IN_PROMPTS:
                yield self.joined(definition, name), definition

    def prompts(self) -> Iterator[tuple[str, Definition, Prompt]]:
        """Every prompt that authors wrote, with its name here."""
        for definition in self.worlds:
            for prompt in definition.prompts.values():
                yield self.joined(definition, prompt.name), definition, prompt

    def address(self, uri: str) -> Address:
        """What a URI names. Raises NotFound."""
        exact = self._exact(uri)
        found = exact or self._session(uri)
        if found is None:
            raise NotFound(
                f"There is no resource {uri[:200]!r}.", hint="resources/list and resources/templates/list name them."
            )
        return found

    def _exact(self, uri: str) -> Address | None:
        for definition in self.worlds:
            for resource in definition.resources.values():
                if resource.options.uri is not None:
                    match = UriTemplate.parse(resource.options.uri).match(uri)
                    if match is not None:
                        return Address(uri, definition, self.endpoint.session, resource.name, dict(match))
        return None

    def _session(self, uri: str) -> Address | None:
        match = _ADDRESS.fullmatch(uri)
        if match is None:
            return None
        owner, name, query = match.groups()
        arguments = dict(part.partition("=")[::2] for part in (query or "").split("&") if part)
        by_alias = next((definition for definition in self.worlds if definition.name == owner), None)
        if by_alias is not None:
            return self._checked(Address(uri, by_alias, self.endpoint.session, name, arguments))
        if self.endpoint.session not in (None, owner) or len(owner) > TEXT_LIMIT:
            return None
        candidates = [definition for definition in self.worlds if name in (*BUILT_IN, *definition.resources)]
        return Address(uri, candidates[0], owner, name, arguments) if candidates else None

    @staticmethod
    def _checked(address: Address) -> Address | None:
        return address if address.name in (*BUILT_IN, *address.definition.resources) else None
