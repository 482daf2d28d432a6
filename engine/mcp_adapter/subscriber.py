"""One who is told of resources: a listen stream, or a legacy connection."""

from collections.abc import Awaitable, Callable

from engine.mcp_adapter.outbox import Outbox

Send = Callable[[str], Awaitable[None]]
"""Tells a legacy connection of a URI."""


class Subscriber:
    """What it wants to hear of, by owner, then by name and person, with the URIs."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.wanted: dict[str, dict[tuple[str, int], dict[str, None]]] = {}
        self.send: Send | None = None

    @property
    def uris(self) -> frozenset[str]:
        """All that it wants to hear of."""
        return frozenset(uri for of in self.wanted.values() for uris in of.values() for uri in uris)

    def put(self, owner: str, touched: Callable[[str], bool]) -> None:
        """Have it told of those resources of an owner that were touched."""
        for (name, _), uris in self.wanted.get(owner, {}).items():
            for uri in uris if touched(name) else ():
                self.outbox.put(uri)

    def people(self, owner: str) -> set[int]:
        """Who wants to hear of an owner."""
        return {person for _, person in self.wanted.get(owner, {})}

    def owner_of(self, uri: str) -> str | None:
        """Of whose resource a URI is."""
        return next((owner for owner, of in self.wanted.items() if any(uri in uris for uris in of.values())), None)

    def withdraw(self, session: str, person: int) -> bool:
        """Stop telling a person of a session; whether nobody else wants to hear of it here."""
        of = self.wanted.get(session, {})
        for name, whose in tuple(of):
            if whose == person:
                self.outbox.drop(of.pop((name, whose)))
        return not of

    def without(self, uri: str) -> list[str]:
        """Stop telling of a URI; the owners of which nothing is wanted any more."""
        self.outbox.drop((uri,))
        for of in self.wanted.values():
            for key in tuple(of):
                of[key].pop(uri, None)
                if not of[key]:
                    del of[key]
        return [owner for owner, of in self.wanted.items() if not of]
