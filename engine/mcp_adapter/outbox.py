"""What a stream is still to be told: each URI at most once, however many changes there were, and not too often."""

import asyncio
from collections.abc import Iterable

APART = 0.05
"""Seconds from one notification of a URI to the next on a stream: what comes between is told by that one."""


class Outbox:
    """The URIs that wait to be sent on one stream; as many as it subscribed to at most. For one event loop."""

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._again: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, uri: str) -> None:
        """Have a URI told of: at once, or with those that wait."""
        if uri in self._resting:
            self._again[uri] = None
        else:
            self._ready[uri] = None
            self._changed.set()

    def drop(self, uris: Iterable[str]) -> None:
        """Tell nothing more of URIs."""
        for uri in uris:
            self._ready.pop(uri, None)
            self._again.pop(uri, None)

    async def next(self) -> str | None:
        """The URI that waited longest, waiting for one; None once it is closed and empty."""
        while not self._ready:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        uri = next(iter(self._ready))
        del self._ready[uri]
        if not self._closed:
            self._resting[uri] = asyncio.get_running_loop().call_later(APART, self._rested, uri)
        return uri

    def close(self) -> None:
        """Take no rest any more: what waits is told, and that is all."""
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        self._ready |= self._again
        self._again.clear()
        self._closed = True
        self._changed.set()

    def _rested(self, uri: str) -> None:
        del self._resting[uri]
        if self._again.pop(uri, uri) is None:
            self.put(uri)
