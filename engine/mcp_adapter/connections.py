"""Legacy MCP connections over HTTP (until 2025-11-25), kept as rows so that any process can go on with them.

The SDK's own manager keeps them in one process only. This one revives a
connection whose id it does not hold, for the principal who opened it.
"""

import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio
import mcp_types as t
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.connection import Connection
from mcp.server.runner import serve_connection
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from engine.asgi import PRINCIPAL
from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.logs import trace
from engine.looking import every
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.server import CONNECTION, WorldServer, catalog_of_session
from engine.mcp_adapter.subscriptions import Hub, person_of, readable
from engine.store.records import ConnectionRecord
from engine.types import Principal

IDLE_SECONDS = 1800.0
"""How long a connection without a request is held in memory; its row stays."""

KEPT_FOR = timedelta(days=30)
"""How long a connection's row outlives its last use."""

TOUCHED_EVERY = timedelta(days=1)
"""How often a row is told that its connection is in use."""

LOOK_EVERY = 0.5
"""Seconds between two looks at what connections subscribed to through other processes."""

MOST = 10_000
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A connection in this process: whose it is, of which path, and when its row was last told that it is in use."""

    principal: Principal
    path: str
    session: str | None
    transport: StreamableHTTPServerTransport
    touched_at: datetime
    connection: Connection | None = None
    uris: frozenset[str] = frozenset()
    """What its rows said at the last look that it subscribed to."""


class Connections:
    """The legacy connections of one endpoint in this process."""

    def __init__(
        self,
        server: WorldServer,
        dispatcher: Dispatcher,
        hub: Hub,
        catalog: Catalog,
        security: TransportSecuritySettings,
    ) -> None:
        self._server = server
        self._dispatcher = dispatcher
        self._hub = hub
        self._catalog = catalog
        self._security = security
        self._held: dict[str, _Held] = {}
        self._reviving: dict[str, anyio.Lock] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve connections for as long as the block lasts."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(every, LOOK_EVERY, self._look)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    def end_streams(self) -> None:
        """End the streams that no request opened; clients open them again when a server is there."""
        for held in tuple(self._held.values()):
            held.transport.close_standalone_sse_stream()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a legacy connection, or one that opens it."""
        named = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"mcp-session-id"), None)
        principal: Principal = scope[PRINCIPAL]
        if named is None:
            await self._open(principal, scope, receive, send)
            return
        transport = await self._find(named, principal, scope)
        if transport is None:
            await _error("Session not found", 404)(scope, receive, send)
            return
        scope[CONNECTION] = named
        if scope["method"] == "GET":
            await self._hear(named, transport, scope, receive, send)
            return
        closing = self._forgetting(named, send) if scope["method"] == "DELETE" else send
        await transport.handle_request(scope, receive, closing)

    async def _hear(
        self, name: str, transport: StreamableHTTPServerTransport, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer with the stream of what concerns no request, of which a connection has one at a time."""
        if self._hub.is_heard(name):
            await _error("Only one stream is open at a time", 409)(scope, receive, send)
            return
        with self._hub.hearing(name, scope[PRINCIPAL]) as begin:

            async def begun(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] == 200:
                    begin()  # only now what is sent has a stream to go to
                await send(message)

            await transport.handle_request(scope, receive, begun)

    async def _open(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self._held) >= MOST:
            await _error("Too many open connections; try again later", 503)(scope, receive, send)
            return
        name = uuid.uuid4().hex
        scope[CONNECTION] = name
        transport = await self._serve(name, principal, scope, None)
        statuses: list[int] = []

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await transport.handle_request(scope, receive, watched)
        finally:
            if not statuses or statuses[0] >= 400:
                with anyio.CancelScope(shield=True):
                    await transport.terminate()

    async def _find(self, name: str, principal: Principal, scope: Scope) -> StreamableHTTPServerTransport | None:
        async with self._reviving.setdefault(name, anyio.Lock()):
            try:
                held = self._held.get(name)
                return await (
                    self._revive(name, principal, scope) if held is None else self._mine(name, held, principal, scope)
                )
            finally:
                self._reviving.pop(name, None)

    async def _mine(
        self, name: str, held: "_Held", principal: Principal, scope: Scope
    ) -> StreamableHTTPServerTransport | None:
        owner = held.principal
        if (owner.issuer, owner.subject, held.path) != (principal.issuer, principal.subject, scope["path"]):
            return None
        now = self._dispatcher.store.now()
        if now - held.touched_at > TOUCHED_EVERY:
            held.touched_at = now
            await to_thread.run_sync(self._remembered, name, principal, held.path)
        return held.transport

    async def _revive(self, name: str, principal: Principal, scope: Scope) -> StreamableHTTPServerTransport | None:
        record = await to_thread.run_sync(self._remembered, name, principal, scope["path"])
        if record is None:
            return None
        logger.info("connection %s… is revived", name[:8])
        return await self._serve(name, principal, scope, record)

    async def _serve(
        self, name: str, principal: Principal, scope: Scope, record: ConnectionRecord | None
    ) -> StreamableHTTPServerTransport:
        assert self._tasks is not None
        transport = StreamableHTTPServerTransport(
            mcp_session_id=name, security_settings=self._security, idle_timeout=IDLE_SECONDS
        )
        session = scope["path_params"].get("session")
        held = _Held(principal, scope["path"], session, transport, self._dispatcher.store.now())
        self._held[name] = held
        await self._tasks.start(self._run, name, held, record)
        return transport

    async def _run(
        self,
        name: str,
        held: "_Held",
        record: ConnectionRecord | None,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        transport = held.transport
        try:
            async with transport.connect() as (incoming, outgoing):
                dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
                    incoming, outgoing, inline_methods=frozenset({"initialize"})
                )
                held.connection = connection = Connection.for_loop(dispatcher, session_id=name)
                if record is not None:
                    await self._restore(connection, held, record)
                task_status.started()
                with transport.idle_scope or anyio.CancelScope():
                    await serve_connection(self._server, dispatcher, connection=connection, lifespan_state={})
        except Exception as error:
            logger.error("connection %s… failed: %s", name[:8], trace(error))
        finally:
            self._held.pop(name, None)
            self._hub.disconnect(name)
            with anyio.CancelScope(shield=True):
                await transport.terminate()

    async def _restore(self, connection: Connection, held: "_Held", record: ConnectionRecord) -> None:
        parameters = t.InitializeRequestParams.model_validate(json.loads(record.parameters), by_name=False)
        asked = parameters.protocol_version
        connection.client_params = parameters
        connection.protocol_version = asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
        connection.initialized.set()
        await self._follow(record.id, held, frozenset(record.uris))

    async def _look(self) -> None:
        """Follow what was subscribed to, or is not any more, through another process on connections heard here."""
        heard = [name for name in self._held if self._hub.is_heard(name)]
        if heard:
            found = await to_thread.run_sync(self._dispatcher.store.read, lambda tx: tx.subscriptions(heard))
            for name in heard:
                if (held := self._held.get(name)) is not None:
                    await self._follow(name, held, frozenset(found[name]))

    async def _follow(self, name: str, held: "_Held", uris: frozenset[str]) -> None:
        """Have a connection told of what its rows say by now that it subscribed to, and at once of what is new here."""
        before, held.uris = held.uris, uris
        for uri in before - uris:
            self._hub.disconnect(name, uri)
        new = uris - before - self._hub.subscribed(name)
        if not new or held.connection is None:
            return
        catalog = await to_thread.run_sync(self._catalog_of, held.principal, held.session)
        wanted = {} if catalog is None else await readable(self._dispatcher, catalog, held.principal, sorted(new))
        person = await to_thread.run_sync(person_of, self._dispatcher, held.principal)
        await self._hub.connect(name, person, wanted, held.connection.send_resource_updated, at_once=True)

    def _catalog_of(self, principal: Principal, session: str | None) -> Catalog | None:
        """The names of the endpoint, or None for a session that they may not read any more."""
        try:
            return self._catalog if session is None else catalog_of_session(self._dispatcher, principal, session)
        except EngineError:
            return None

    def _remembered(self, name: str, principal: Principal, path: str) -> ConnectionRecord | None:
        def work(transaction: Any) -> ConnectionRecord | None:
            record: ConnectionRecord | None = transaction.connection(name)
            mine = record is not None and record.person_id == transaction.person_id(principal)
            if not mine or record is None or record.endpoint != path:
                return None
            transaction.use_connection(name)
            return record

        try:
            return self._dispatcher.store.write(work)
        except EngineError as error:
            logger.error("connection %s… cannot be revived: %s", name[:8], trace(error))
            return None

    def _forgetting(self, name: str, send: Send) -> Send:
        """A `send` that forgets the connection before it says that it is closed."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                await to_thread.run_sync(self._forget, name)
            await send(message)

        return watched

    def _forget(self, name: str) -> None:
        self._dispatcher.store.write(lambda transaction: transaction.drop_connection(name))


def sweep(dispatcher: Dispatcher) -> None:
    """Forget the rows of connections not used for long."""
    dispatcher.store.write(lambda transaction: transaction.sweep_connections(transaction.now - KEPT_FOR))


def _error(message: str, status: int) -> JSONResponse:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": t.INVALID_REQUEST, "message": message}}
    return JSONResponse(error, status_code=status)
