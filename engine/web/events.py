"""A session's changes as server-sent events (the HTML standard's `text/event-stream`), from the same feed as MCP's.

`GET /sessions/<handle>/events`: an event for each journal entry, with its
revision as id, so that who comes back with `Last-Event-ID` goes on without gap.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from anyio import move_on_after, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.asgi import PRINCIPAL
from engine.dispatch import Dispatcher
from engine.errors import EngineError, Forbidden, InvalidArguments, NotFound, StoreError
from engine.feed import Feed
from engine.mcp_adapter.gating import insufficient
from engine.mcp_adapter.http import Checked
from engine.types import Json, Principal, dumped

HEARTBEAT = 15.0
"""Seconds of silence after which a comment says that the stream is alive."""
MOST = 1_000
"""Streams of one process at a time."""
MOST_EACH = 32
"""Streams of one principal at a time, in one process."""
AT_ONCE = 20
"""Entries that are read at once: what a reader that does not read keeps in memory."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REVISION = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(eq=False, slots=True)
class _Stream:
    """One open stream, and what wakes it."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    readers: Set[int] | None = None


class Events:
    """The ASGI app of the streams, and the feed's follower for them."""

    def __init__(self, dispatcher: Dispatcher, feed: Feed, checked: Checked) -> None:
        self._dispatcher = dispatcher
        self._feed = feed
        self._checked = checked
        self._open: dict[str, set[_Stream]] = {}
        self._counted: Counter[tuple[str, str]] = Counter()
        self._ended = False
        feed.followers.append(self)

    def end(self) -> None:
        """End every stream; who wants to go on comes back to another server."""
        self._ended = True
        for session in self._open:
            self._wake(session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer: ASGIApp | None = await self._checked(request)
        if answer is None and request.method != "GET":
            answer = JSONResponse({"error": "method_not_allowed"}, 405, {"Allow": "GET"})
        await (answer or await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        principal: Principal = request.scope[PRINCIPAL]
        session: str = request.path_params["session"]
        given = request.headers.get("last-event-id") or request.query_params.get("since")
        if given is not None and _REVISION.fullmatch(given) is None:
            return _refused(InvalidArguments(f"A revision is a number; received {given[:40]!r}."), 400)
        try:
            now = (await to_thread.run_sync(self._dispatcher.now, principal, session)).revision
        except EngineError as error:
            return _refusal(error, principal, request.scope)
        if self._counted.total() >= MOST:
            return _crowded(f"This server has {MOST} streams of events open already.", 503)
        if self._counted[_name(principal)] >= MOST_EACH:
            return _crowded(f"You have {MOST_EACH} streams of events open already.", 429)
        return partial(self._stream, principal, session, now if given is None else int(given), now)

    async def _stream(
        self, principal: Principal, session: str, since: int, now: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        stream = _Stream()
        with self._counting(principal):
            await self._feed.follow({session: ()})
            self._open.setdefault(session, set()).add(stream)
            try:
                told = self._told(stream, principal, session, since, now)
                await StreamingResponse(told, media_type="text/event-stream", headers=HEADERS)(scope, receive, send)
            finally:
                self._feed.unfollow(session)
                self._open[session].discard(stream)
                if not self._open[session]:
                    del self._open[session]

    async def _told(
        self, stream: _Stream, principal: Principal, session: str, since: int, now: int
    ) -> AsyncIterator[str]:
        yield ": from here on\n\n"
        if since > now:  # as after a restore from a backup
            yield _event("gap", {"since": since, "from": now})
            since = now
        while not self._ended:
            stream.news.clear()
            try:
                page = await to_thread.run_sync(self._page, principal, session, since)
            except EngineError:
                return  # it is gone, or the reader may read it no more
            if page.get("kept_from", 1) > since + 1:
                yield _event("gap", {"since": since, "from": page["kept_from"] - 1})
            for change in page["changes"]:
                yield f"id: {change['revision']}\n{_event('change', change)}"
            since = int(page["since"])
            if not page["more"]:
                with move_on_after(HEARTBEAT) as silence:
                    await stream.news.wait()
                if silence.cancelled_caught:
                    yield ": still here\n\n"

    def _page(self, principal: Principal, session: str, since: int) -> Mapping[str, Json]:
        return self._dispatcher.history_page(principal, session, since, limit=AT_ONCE)

    @contextmanager
    def _counting(self, principal: Principal) -> Iterator[None]:
        self._counted[_name(principal)] += 1
        try:
            yield
        finally:
            self._counted -= Counter([_name(principal)])

    # what the feed tells

    def changed(self, owner: str, tables: Set[str] | None) -> None:
        """Have the streams of a session look."""
        self._wake(owner)

    def shared_changed(self, world: str, tables: Set[str]) -> None:
        """Nothing of a session's own journal."""

    def read_by(self, session: str, people: Set[int]) -> None:
        """Have the streams of a session look whether they may go on, if others may read it than before."""
        for stream in self._open.get(session, ()):
            if stream.readers != people:
                stream.readers = people
                stream.news.set()

    def parted(self, session: str, person: int) -> None:
        """Have the streams of a session look whether they may go on."""
        self._wake(session)

    def _wake(self, session: str) -> None:
        for stream in self._open.get(session, ()):
            stream.news.set()


def _event(kind: str, data: Json) -> str:
    return f"event: {kind}\ndata: {dumped(data)}\n\n"


def _name(principal: Principal) -> tuple[str, str]:
    return principal.issuer, principal.subject


def _refusal(error: EngineError, principal: Principal, scope: Scope) -> JSONResponse:
    """The answer to who may not read a session, or not now."""
    if isinstance(error, NotFound):
        return _refused(error, 404)
    if isinstance(error, StoreError):
        raise error
    if isinstance(error, Forbidden) and error.scope is not None and principal.could_allow(error.scope):
        return insufficient(scope, error.scope)
    return _refused(error, 403 if isinstance(error, Forbidden) else 409)


def _refused(error: EngineError, status: int) -> JSONResponse:
    return JSONResponse({"error": error.code, "reason": str(error)}, status, {"Cache-Control": "no-store"})


def _crowded(reason: str, status: int) -> JSONResponse:
    headers = {"Retry-After": "30", "Cache-Control": "no-store"}
    return JSONResponse(
        {"error": "too_many_streams", "reason": f"{reason} Close some, or come back later."}, status, headers
    )
