"""The scopes there are, in plain words: what a person is asked to consent to."""

import re
from collections.abc import Iterable, Mapping

from engine.actions import Action
from engine.auth.reach import Reach
from engine.definition import Definition
from engine.registry import Registry
from engine.types import Principal

LONGEST = 4000
_SCOPES = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")


def worlds_for(registry: Registry, principal: Principal | None) -> Mapping[str, Definition]:
    """The worlds that are there for somebody, by name; those that are for everybody where it is not known who asks."""
    return {name: world for name, world in sorted(registry.worlds.items()) if _is_for(principal, world)}


def known(registry: Registry, reach: Reach, principal: Principal | None) -> dict[str, str]:
    """Every scope within a reach that is there for somebody, with what it lets a client do; reading first.

    Of which world a session is, is not told: its reach knows the scopes of all.
    """
    found: dict[str, str] = {}
    for name, world in worlds_for(registry, principal).items():
        if reach.world not in (None, name):
            continue
        found[world.read_scope] = f"See your sessions of {world.title}"
        found[world.write_scope] = f"Act in your sessions of {world.title}, start new ones, and take things back"
        for action in world.actions.values():
            if action.scope and _is_for(principal, world, action):
                found.setdefault(action.scope, f"{world.title}: {action.description.partition(chr(10))[0]}")
    return found


def published(registry: Registry, reach: Reach) -> tuple[str, ...]:
    """The scopes that anybody is told of who asks for those within a reach.

    Of a world that is not for everybody it is what would be told of one that never was: its two by name.
    """
    found = tuple(known(registry, reach, None))
    return found if found or reach.world is None else (f"{reach.world}:read", f"{reach.world}:write")


def default(registry: Registry, reach: Reach, principal: Principal) -> tuple[str, ...]:
    """What is asked for where a client names no scope: to read and to act, and nothing that an action names itself."""
    worlds = (world for name, world in worlds_for(registry, principal).items() if reach.world in (None, name))
    return tuple(scope for world in worlds for scope in (world.read_scope, world.write_scope))


def split(scope: str | None) -> tuple[str, ...]:
    """The scopes of a parameter (RFC 6749, section 3.3), each once."""
    return tuple(dict.fromkeys((scope or "").split(" "))) if (scope or "").strip(" ") else ()


def fault(scope: object) -> str | None:
    """What is wrong with the `scope` that a client says it may want (RFC 6749, section 3.3), if anything is."""
    sound = isinstance(scope, str) and len(scope) <= LONGEST and _SCOPES.fullmatch(scope) is not None
    return None if sound else f"scope is words of visible ASCII characters with spaces between, {LONGEST} at most."


def joined(scopes: Iterable[str]) -> str:
    """Scopes as one parameter."""
    return " ".join(scopes)


def _is_for(principal: Principal | None, world: Definition, action: Action | None = None) -> bool:
    if principal is not None:
        return world.is_for(principal, action)
    return world.only_for is None and (action is None or action.only_for is None)
