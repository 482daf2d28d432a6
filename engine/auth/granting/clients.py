"""OAuth clients as they are stored, and as authlib sees them."""

import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from sqlmodel import col, delete, select

from engine.auth.granting.redirects import is_one_of
from engine.auth.scopes import joined, split
from engine.auth.tokens import hashed
from engine.store.access import ClientRow, GrantRow
from engine.store.records import Transaction

UNUSED_FOR = timedelta(days=90)
"""How long a client that registered itself is kept since it was used last."""
REGISTERED, DYNAMIC, DOCUMENT = "registered", "dynamic", "document"
"""Where a client is from: its operator, itself (RFC 7591), or a document at the URL that is its id."""


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]
    """An OAuth client (RFC 6749, section 2). Without a secret it is a public one."""

    id: str
    kind: str
    name: str
    secret: str | None
    method: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...] | None
    uri: str | None
    service_id: int | None

    def get_client_id(self) -> str:
        """Its id."""
        return self.id

    def get_default_redirect_uri(self) -> str | None:
        """Its redirect URI, if it has just one."""
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Those scopes of a request that it may be granted."""
        return joined(one for one in split(scope) if self.scopes is None or one in self.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether a redirect URI is one of its own."""
        return is_one_of(redirect_uri, self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether a secret is its own; secrets are random, so their hashes are compared."""
        return self.secret is not None and hmac.compare_digest(self.secret, hashed(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it says who it is in that way: the one it was registered with, to the letter."""
        return self.method == method

    def check_response_type(self, response_type: str) -> bool:
        """Whether it may ask for that: for a code, and for nothing else."""
        return response_type == "code" and "authorization_code" in self.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may come by tokens in that way."""
        return grant_type in self.grant_types


def client_of(row: ClientRow) -> Client:
    """A stored client."""
    return Client(
        id=row.id,
        kind=row.kind,
        name=row.name,
        secret=row.secret,
        method=row.method,
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        grant_types=tuple(json.loads(row.grant_types)),
        scopes=None if row.scope is None else split(row.scope),
        uri=row.uri,
        service_id=row.service_id,
    )


def row_of(client: Client, created_at: str, expires_at: str | None = None) -> ClientRow:
    """A client as it is stored."""
    return ClientRow(
        id=client.id,
        kind=client.kind,
        name=client.name,
        secret=client.secret,
        method=client.method,
        redirect_uris=json.dumps(client.redirect_uris),
        grant_types=json.dumps(client.grant_types),
        scope=None if client.scopes is None else joined(client.scopes),
        uri=client.uri,
        service_id=client.service_id,
        created_at=created_at,
        expires_at=expires_at,
    )


def find(transaction: Transaction, client_id: str) -> Client | None:
    """The client of an id; a dynamic one that expired is gone, a document is kept beyond its time for its tokens."""
    row = transaction.db.get(ClientRow, client_id)
    over = row is not None and row.kind == DYNAMIC and row.expires_at is not None and row.expires_at <= transaction.at
    return None if row is None or over else client_of(row)


def keep(transaction: Transaction, client: Client, expires_at: str | None = None) -> None:
    """Store a client, or what became of one."""
    found = transaction.db.get(ClientRow, client.id)
    row = row_of(client, transaction.at if found is None else found.created_at, expires_at)
    if found is not None:
        row.used_at = found.used_at
    transaction.db.merge(row)
    transaction.db.flush()


def remove(transaction: Transaction, client_id: str) -> bool:
    """Forget a client, with all it was granted; whether there was one."""
    found: Any = transaction.run(delete(ClientRow).where(col(ClientRow.id) == client_id))
    return bool(found.rowcount)


def is_new(transaction: Transaction, client_id: str, person_id: int) -> bool:
    """Whether a person never let a client do anything."""
    wanted = select(GrantRow.id).where(GrantRow.client_id == client_id, GrantRow.person_id == person_id).limit(1)
    return transaction.db.exec(wanted).first() is None
