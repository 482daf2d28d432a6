"""The plain call: a tools/call of 2026-07-28 that neither asks nor streams, answered without the SDK's machinery.

The SDK makes a dozen objects for each request and checks its result twice,
which is more than all that the engine does for the call. So what certainly is
a plain call is recognized here; everything else, and above all everything
malformed, goes on to the SDK, whose answers are the protocol's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
)
from mcp_types.methods import validate_client_request
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.types import Scope, Send

from engine.asgi import PRINCIPAL
from engine.mcp_adapter.calls import ToolCall, call_plainly
from engine.mcp_adapter.catalog import Catalog, Offer, offers
from engine.mcp_adapter.envelope import wire_error
from engine.mcp_adapter.handing import Handing
from engine.mcp_adapter.naming import through
from engine.types import Json, Principal

METHOD = "tools/call"
REVISION = "2026-07-28"
STREAMING = frozenset({"progressToken", "io.modelcontextprotocol/logLevel"})
"""What a request's `_meta` carries where a stream may be needed rather than one JSON answer."""

_PARAMS = {"name", "arguments", "_meta"}
_ACCEPTED = frozenset({b"application/json, text/event-stream", b"application/json,text/event-stream", b"*/*"})
_HEADERS = {
    b"content-type": b"application/json",
    b"mcp-protocol-version": REVISION.encode(),
    b"mcp-method": METHOD.encode(),
}


@dataclass(frozen=True, slots=True)
class PlainCall:
    """A plain call: its JSON-RPC id and parameters, and the action it is of."""

    id: int | str
    params: Mapping[str, Any]
    offer: Offer

    @property
    def scope(self) -> str:
        """The scope that it needs."""
        return self.offer.definition.scope_of(self.offer.action)


class PlainCalls:
    """Recognizes and answers the plain calls of one endpoint."""

    def __init__(
        self, handing: Handing, catalog: Catalog, security: TransportSecuritySettings, server_info: dict[str, Json]
    ) -> None:
        self._handing = handing
        self._catalog = catalog
        self._hosts = frozenset(host.removesuffix(":*").encode("latin-1") for host in security.allowed_hosts)
        self._stamp = {SERVER_INFO_META_KEY: server_info}
        self._sound: Mapping[str, Any] | None = None

    def recognized(self, scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> PlainCall | None:
        """The plain call that a request is, or None for one that the SDK has to look at."""
        if not self._fit(scope, headers):
            return None
        try:
            message = from_json(body)
        except ValueError:
            return None
        match message:
            case {"jsonrpc": "2.0", "method": "tools/call", "id": int() | str() as number, "params": dict() as params}:
                offer = self._offer(params, headers.get(b"mcp-name"))
                if offer is None or isinstance(number, bool):
                    return None
                there = offers(scope[PRINCIPAL], offer.definition, offer.action)
                return PlainCall(number, params, offer) if there else None
        return None

    async def answer(self, call: PlainCall, principal: Principal, send: Send) -> None:
        """Carry the call out and send its answer."""
        params = call.params
        asked = ToolCall(
            handing=self._handing,
            catalog=self._catalog,
            principal=through(principal, _client(params["_meta"])),
            name=params["name"],
            given=params.get("arguments") or {},
            meta=params["_meta"],
        )
        try:
            result = self._stamped(await call_plainly(asked, call.offer))
            status, body = 200, to_json({"jsonrpc": "2.0", "id": call.id, "result": result})
        except Exception as error:
            wire = wire_error(error).error
            said = wire.model_dump(mode="json", by_alias=True, exclude_none=True)
            status = ERROR_CODE_HTTP_STATUS.get(wire.code, 200)
            body = to_json({"jsonrpc": "2.0", "id": call.id, "error": said})
        length = str(len(body)).encode()
        head = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _fit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the headers are those of a plain call, each there once, under a host name of ours."""
        host = headers.get(b"host", b"")
        return (
            scope["method"] == "POST"
            and len(headers) == len(scope["headers"])
            and all(headers.get(name) == value for name, value in _HEADERS.items())
            and headers.get(b"accept") in _ACCEPTED
            and b"origin" not in headers
            and (host in self._hosts or host.rpartition(b":")[0] in self._hosts)
        )

    def _offer(self, params: dict[str, Any], header: bytes | None) -> Offer | None:
        """The action that is called, if the parameters are valid and say no more than a plain call does."""
        name, meta = params.get("name"), params.get("_meta")
        if not isinstance(name, str) or not isinstance(meta, dict) or not params.keys() <= _PARAMS:
            return None
        offer = self._catalog.offers.get(name)
        if offer is None or not offer.plain or header != name.encode():
            return None
        if meta.get(PROTOCOL_VERSION_META_KEY) != REVISION or CLIENT_CAPABILITIES_META_KEY not in meta:
            return None
        if not STREAMING.isdisjoint(meta):
            return None
        if not isinstance(params.get("arguments", {}), dict):
            return None
        return offer if self._is_sound(params, meta) else None

    def _is_sound(self, params: dict[str, Any], meta: dict[str, Any]) -> bool:
        """Whether the parameters fit the protocol: of a plain call that depends on `_meta`, which few clients vary."""
        if meta != self._sound:
            try:
                validate_client_request(METHOD, REVISION, params)
            except ValidationError:
                return False
            self._sound = meta
        return True

    def _stamped(self, result: dict[str, Json]) -> dict[str, Json]:
        """A result with what every result of this revision has."""
        return {**result, "resultType": "complete", "_meta": {**result.get("_meta", {}), **self._stamp}}


def _client(meta: Mapping[str, Any]) -> tuple[str, str]:
    """The name and version of the program that sent the call, if it says so."""
    info = meta.get(CLIENT_INFO_META_KEY) or {}  # which was checked with all of `_meta`
    return info.get("name", ""), info.get("version", "")
