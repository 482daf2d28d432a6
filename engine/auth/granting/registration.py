"""Clients that register themselves (RFC 7591): for those which know no other way, within limits."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from anyio import to_thread
from sqlmodel import col, func, select
from starlette.requests import Request

from engine.auth import scopes
from engine.auth.context import AuthContext
from engine.auth.granting import clients, redirects
from engine.auth.granting.authority import METHODS
from engine.auth.granting.clients import DYNAMIC, UNUSED_FOR, Client
from engine.auth.reading import Unreadable, body_of
from engine.auth.scopes import joined, split
from engine.auth.tokens import TokenKind, hashed, mint
from engine.store.access import ClientRow
from engine.store.records import Transaction
from engine.types import Json

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 1024
MOST_AN_HOUR = 200
"""Registrations that all together may make in an hour: real people connect fewer clients."""
_MOST_REDIRECTS = 20
_GRANT_TYPES = ("authorization_code", "refresh_token")


class Refused(Exception):
    """Why a client is not registered (RFC 7591, section 3.2.2)."""

    def __init__(self, error: str, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.error, self.reason, self.status = error, reason, status


async def register(context: AuthContext, request: Request) -> tuple[int, Json]:
    """The status and body that a registration is answered with."""
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused("invalid_client_metadata", "The body has to be application/json.")
        client = _client(_read(await body_of(request, MOST_BYTES)))
        secret = None if client.method == "none" else mint(TokenKind.SECRET)
        await to_thread.run_sync(lambda: context.store.write(lambda tx: _keep(tx, client, secret)))
    except Unreadable as error:
        return 413, {"error": "invalid_client_metadata", "error_description": str(error)}
    except Refused as refused:
        return refused.status, {"error": refused.error, "error_description": refused.reason}
    return 201, _described(client, secret, context)


def _read(body: bytes) -> Mapping[str, Json]:
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused("invalid_client_metadata", "The body is no JSON.") from None
    if not isinstance(found, dict):
        raise Refused("invalid_client_metadata", "The body is no JSON object.")
    return found


def _client(found: Mapping[str, Json]) -> Client:
    """A client by its metadata; what is not understood is left out, as the RFC says. Raises Refused."""
    method = found.get("token_endpoint_auth_method", "client_secret_basic")
    if method not in METHODS:
        raise Refused("invalid_client_metadata", f"token_endpoint_auth_method is one of: {', '.join(METHODS)}.")
    asked = found.get("grant_types", ["authorization_code"])
    if not isinstance(asked, list) or "authorization_code" not in asked:
        raise Refused("invalid_client_metadata", "grant_types has authorization_code, and may have refresh_token.")
    if found.get("response_types", ["code"]) != ["code"]:
        raise Refused("invalid_client_metadata", 'response_types is ["code"].')
    scope = found.get("scope", "")
    if (wrong := scopes.fault(scope)) is not None:
        raise Refused("invalid_client_metadata", wrong)
    return Client(
        id=mint(TokenKind.CLIENT),
        kind=DYNAMIC,
        name=_name(found),
        secret=None,
        method=method,
        redirect_uris=_redirect_uris(found),
        grant_types=tuple(one for one in _GRANT_TYPES if one in asked),
        scopes=split(str(scope)) or None,
        uri=redirects.web_page(found.get("client_uri")),
        service_id=None,
    )


def _name(found: Mapping[str, Json]) -> str:
    name = found.get("client_name", "")
    if not isinstance(name, str) or len(name) > 200 or not name.isprintable():
        raise Refused("invalid_client_metadata", "client_name is one line of at most 200 characters.")
    return name.strip() or "A client without a name"


def _redirect_uris(found: Mapping[str, Json]) -> tuple[str, ...]:
    given = found.get("redirect_uris")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_REDIRECTS:
        raise Refused("invalid_redirect_uri", f"redirect_uris is a list of 1 to {_MOST_REDIRECTS} URIs.")
    fault = next((fault for fault in map(redirects.fault, given) if fault is not None), None)
    if fault is not None:
        raise Refused("invalid_redirect_uri", fault)
    return tuple(given)


def _keep(transaction: Transaction, client: Client, secret: str | None) -> None:
    since = (transaction.now - timedelta(hours=1)).isoformat(timespec="microseconds")
    recent = select(func.count()).where(ClientRow.kind == DYNAMIC, col(ClientRow.created_at) > since)
    if transaction.db.exec(recent).one() >= MOST_AN_HOUR:
        logger.warning("more than %d clients registered themselves within an hour; the next are refused", MOST_AN_HOUR)
        raise Refused("temporarily_unavailable", "Too many clients registered of late. Try again in an hour.", 429)
    row = clients.row_of(client, transaction.at, (transaction.now + UNUSED_FOR).isoformat(timespec="microseconds"))
    row.secret = None if secret is None else hashed(secret)
    transaction.db.add(row)
    transaction.db.flush()


def _described(client: Client, secret: str | None, context: AuthContext) -> dict[str, Any]:
    """What a client is told of itself (RFC 7591, section 3.2.1)."""
    return {
        "client_id": client.id,
        "client_id_issued_at": int(context.store.now().timestamp()),
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": client.method,
        **({} if client.scopes is None else {"scope": joined(client.scopes)}),
        **({} if client.uri is None else {"client_uri": client.uri}),
        **({} if secret is None else {"client_secret": secret, "client_secret_expires_at": 0}),
    }
