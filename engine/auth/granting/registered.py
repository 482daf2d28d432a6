"""Clients that the operator registers beforehand (RFC 6749, 2), with or without a secret or a service account."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import col, delete, select

from engine.auth.granting import redirects
from engine.auth.tokens import TokenKind, hashed, mint
from engine.errors import InvalidArguments, NotFound, Refused
from engine.store.access import ClientRow, GrantRow
from engine.store.records import Transaction
from engine.types import Principal

ISSUER = "client"
"""The issuer of service accounts; the subject is the client's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A client that is wanted. With `credentials` it can also act as its own service account, without any person."""

    name: str
    redirect_uris: tuple[str, ...] = ()
    secret: bool = False
    credentials: bool = False
    scopes: tuple[str, ...] | None = None

    @property
    def confidential(self) -> bool:
        """Whether it has a secret: who acts without a person cannot do without."""
        return self.secret or self.credentials

    @property
    def grant_types(self) -> list[str]:
        """What it may ask for (RFC 7591, 2)."""
        by_person = ["authorization_code", "refresh_token"] if self.redirect_uris else []
        return by_person + (["client_credentials"] if self.credentials else [])


def register(transaction: Transaction, wanted: Registration) -> tuple[ClientRow, str | None]:
    """A new client, and its secret, which can only be read here. Raises InvalidArguments."""
    if not wanted.grant_types:
        raise InvalidArguments(
            "A client needs somewhere to go back to, or credentials of its own.",
            hint="Give --redirect-uri for one that people use, --credentials for a machine, or both.",
        )
    for uri in wanted.redirect_uris:
        if (why := redirects.fault(uri)) is not None:
            raise _unfit(uri, why)
    client_id = f"cli_{secrets.token_urlsafe(12)}"
    secret = mint(TokenKind.SECRET) if wanted.confidential else None
    service = Principal(ISSUER, client_id, wanted.name)
    row = ClientRow(
        id=client_id,
        kind="registered",
        name=wanted.name,
        secret=None if secret is None else hashed(secret),
        method="none" if secret is None else "client_secret_basic",
        redirect_uris=json.dumps(wanted.redirect_uris),
        grant_types=json.dumps(wanted.grant_types),
        scope=None if wanted.scopes is None else " ".join(wanted.scopes),
        service_id=transaction.ensure_person(service) if wanted.credentials else None,
        created_at=transaction.at,
    )
    transaction.db.add(row)
    transaction.db.flush()
    transaction.db.refresh(row)
    return row, secret


def listed(transaction: Transaction) -> Sequence[tuple[ClientRow, int]]:
    """Every client, whatever it is from, with how many grants of people it has that were not ended."""
    open_grants = (col(GrantRow.client_id) == ClientRow.id) & col(GrantRow.ended_at).is_(None)
    counted = (
        select(ClientRow, func.count(col(GrantRow.id)))
        .join(GrantRow, open_grants, isouter=True)
        .group_by(*ClientRow.__table__.columns)  # type: ignore[attr-defined]
        .order_by(ClientRow.created_at, ClientRow.id)
    )
    return list(transaction.db.exec(counted).all())


def remove(transaction: Transaction, client_id: str) -> ClientRow:
    """Remove a client with all that was granted to it; what it was. Raises NotFound."""
    row = _client(transaction, client_id)
    transaction.run(delete(ClientRow).where(col(ClientRow.id) == client_id))
    return row


def new_secret(transaction: Transaction, client_id: str) -> str:
    """Another secret for a client; from now on the one before is none. Raises NotFound, Refused."""
    row = _client(transaction, client_id)
    if row.secret is None:
        raise Refused(
            "no_secret", f"{row.name} ({row.id}) is a public client.", hint="Add another client with --secret for it."
        )
    secret = mint(TokenKind.SECRET)
    row.secret = hashed(secret)
    transaction.db.add(row)
    transaction.db.flush()
    return secret


def _unfit(uri: str, why: str) -> InvalidArguments:
    return InvalidArguments(
        f"{uri[:200]!r} cannot be a redirect URI. {why}",
        hint="Right are https://app.example/callback, http://127.0.0.1/callback, com.example.app:/callback.",
    )


def _client(transaction: Transaction, client_id: str) -> ClientRow:
    row = transaction.db.get(ClientRow, client_id)
    if row is None:
        raise NotFound(f"There is no client {client_id[:200]!r}.", hint="`turnkeeper client list` has their ids.")
    return row
