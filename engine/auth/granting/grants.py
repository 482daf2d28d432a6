"""What clients were granted, and the codes and tokens that come of it: each function is a part of one transaction.

A code and a refresh token are redeemed by a conditional update, so that of two
requests at once one wins and the other is seen for what it is.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, delete, or_, select, update

from engine.auth.bearers import Bearer
from engine.auth.context import AuthContext
from engine.auth.granting.asked import Asked
from engine.auth.granting.clients import DYNAMIC, REGISTERED, UNUSED_FOR, Client
from engine.auth.reach import stored_reach
from engine.auth.scopes import joined, split
from engine.auth.tokens import TokenKind, hashed, mint
from engine.sealing import resealed, sealed, unsealed
from engine.store.access import ClientRow, CodeRow, GrantRow, RefreshRow, TokenRow
from engine.store.records import Transaction
from engine.types import Principal, client_named


@dataclass(frozen=True, slots=True)
class Issued:
    """What the token endpoint gives (RFC 6749, section 5.1)."""

    access_token: str
    refresh_token: str | None
    expires_at: str
    scope: str

    def response(self, now: datetime) -> dict[str, Any]:
        """As JSON."""
        left = int((datetime.fromisoformat(self.expires_at) - now).total_seconds())
        found = {"access_token": self.access_token, "token_type": "Bearer", "expires_in": left, "scope": self.scope}
        return found if self.refresh_token is None else {**found, "refresh_token": self.refresh_token}


def begin(
    transaction: Transaction,
    context: AuthContext,
    asked: Asked,
    person_id: int,
    scopes: tuple[str, ...],
    upstream: str | None = None,
) -> str:
    """Grant a client what a person consented to, and give the code for it. `upstream` is what their provider gave."""
    grant = _new_grant(
        transaction, person_id, asked.client_id, asked.resource, joined(scopes), redirect_uri=asked.redirect_uri
    )
    code = mint(TokenKind.CODE)
    transaction.db.add(
        CodeRow(
            hash=hashed(code),
            grant_id=grant,
            redirect_uri=asked.redirect_uri,
            explicit=asked.explicit,
            challenge=asked.challenge,
            sealed=None if upstream is None else sealed(upstream, code),
            expires_at=_after(transaction, context.lifetimes.code),
        )
    )
    transaction.db.flush()
    return code


def code_of(
    transaction: Transaction, context: AuthContext, code: str, client: Client
) -> tuple[CodeRow, GrantRow] | None:
    """A client's code and its grant, also if it was redeemed before; None if it is unknown, another's or expired."""
    row = transaction.db.get(CodeRow, hashed(code))
    if row is None or row.expires_at <= transaction.at:
        return None
    grant = _lasting(context, transaction.db.get(GrantRow, row.grant_id), client)
    return None if grant is None else (row, grant)


def redeem(
    transaction: Transaction, context: AuthContext, code: str, grant_id: int, resource: str, client: Client
) -> Issued | None:
    """The first tokens of a grant. None for a code that was redeemed before: it leaked, so its grant has ended now."""
    grant = _going_on(transaction, grant_id)
    if grant is None:
        return None
    wanted = update(CodeRow).where(col(CodeRow.hash) == hashed(code), col(CodeRow.used_at).is_(None))
    if _changed(transaction, wanted.values(used_at=transaction.at)) == 0:
        end(transaction, grant_id)
        return None
    row = transaction.db.get_one(CodeRow, hashed(code))
    refreshing = client.check_grant_type("refresh_token")
    return _issue(transaction, context, grant, resource, grant.scope, refreshing, upstream=(row.sealed, code))


def refresh_of(
    transaction: Transaction, context: AuthContext, token: str, client: Client
) -> tuple[RefreshRow, GrantRow] | None:
    """A client's refresh token and its grant, also if it was rotated; None if it is unknown, another's or over."""
    row = transaction.db.get(RefreshRow, hashed(token))
    if row is None or row.expires_at <= transaction.at:
        return None
    grant = _lasting(context, transaction.db.get(GrantRow, row.grant_id), client)
    return None if grant is None else (row, grant)


def rotate(
    transaction: Transaction, context: AuthContext, token: str, grant_id: int, resource: str, scope: str
) -> Issued | None:
    """New tokens for a refresh token. One just rotated gives the same again; None if its grant has ended now.

    Whoever lost an answer asks again soon; who comes later has a token that leaked.
    """
    grant = _going_on(transaction, grant_id)
    if grant is None:
        return None
    taken = update(RefreshRow).where(col(RefreshRow.hash) == hashed(token), col(RefreshRow.rotated_at).is_(None))
    if _changed(transaction, taken.values(rotated_at=transaction.at)) == 0:
        return _again(transaction, context, token, grant_id)
    row = transaction.db.get_one(RefreshRow, hashed(token))
    issued = _issue(transaction, context, grant, resource, scope, True, upstream=(row.sealed, token))
    successor = sealed(json.dumps([issued.access_token, issued.refresh_token, issued.expires_at, issued.scope]), token)
    _changed(transaction, update(RefreshRow).where(col(RefreshRow.hash) == hashed(token)).values(successor=successor))
    return issued


def _again(transaction: Transaction, context: AuthContext, token: str, grant_id: int) -> Issued | None:
    row = transaction.db.get(RefreshRow, hashed(token))
    if row is None or row.rotated_at is None or row.successor is None:
        return None  # it was swept a moment ago
    plain = unsealed(row.successor, token)
    late = transaction.now - datetime.fromisoformat(row.rotated_at) > context.lifetimes.grace
    if plain is None or late:
        end(transaction, grant_id)
        return None
    return Issued(*json.loads(plain))


def for_client(
    transaction: Transaction, context: AuthContext, client: Client, resource: str, scopes: tuple[str, ...]
) -> Issued:
    """A token for a client's own service account (RFC 6749, section 4.4): a grant without a consent."""
    assert client.service_id is not None
    grant_id = _new_grant(transaction, client.service_id, client.id, resource, joined(scopes), redirect_uri=None)
    grant = transaction.db.get(GrantRow, grant_id)
    assert grant is not None
    return _issue(transaction, context, grant, resource, grant.scope, False)


def end(transaction: Transaction, grant_id: int) -> None:
    """End a grant, and with it every token of it. Its codes and refresh tokens stay, to be recognized."""
    _changed(
        transaction,
        update(GrantRow)
        .where(col(GrantRow.id) == grant_id, col(GrantRow.ended_at).is_(None))
        .values(ended_at=transaction.at),
    )
    transaction.run(delete(TokenRow).where(col(TokenRow.grant_id) == grant_id))


def end_all(transaction: Transaction, person_id: int) -> None:
    """End every grant of a person, as whoever they let in."""
    wanted = select(GrantRow.id).where(GrantRow.person_id == person_id, col(GrantRow.ended_at).is_(None))
    for grant_id in transaction.db.exec(wanted).all():
        end(transaction, grant_id or 0)


def revoke(transaction: Transaction, token: str, client: Client) -> None:
    """Take back a client's own token (RFC 7009): an access token alone, a refresh token with all of its grant."""
    refresh = transaction.db.get(RefreshRow, hashed(token))
    access = transaction.db.get(TokenRow, hashed(token))
    grant_id = refresh.grant_id if refresh is not None else None if access is None else access.grant_id
    grant = None if grant_id is None else transaction.db.get(GrantRow, grant_id)
    if grant is None or grant.client_id != client.id or grant.id is None:
        return
    if refresh is not None:
        end(transaction, grant.id)
    else:
        transaction.run(delete(TokenRow).where(col(TokenRow.hash) == hashed(token)))


def introspected(context: AuthContext, transaction: Transaction, token: str, client: Client) -> dict[str, Any] | None:
    """What a client's own token says (RFC 7662, section 2.2); None if it is no more."""
    access = transaction.db.get(TokenRow, hashed(token))
    refresh = None if access is not None else transaction.db.get(RefreshRow, hashed(token))
    row = access or refresh
    stored = None if row is None or row.grant_id is None else transaction.db.get(GrantRow, row.grant_id)
    grant = _lasting(context, stored, client)
    if row is None or grant is None:
        return None
    rotated = refresh is not None and refresh.rotated_at is not None
    if rotated or (row.expires_at is not None and row.expires_at <= transaction.at):
        return None
    return {
        "active": True,
        "client_id": client.id,
        "scope": grant.scope if access is None else access.scope,
        "sub": transaction.principal(grant.person_id).subject,
        "aud": grant.resource if access is None else access.resource,
        "iss": context.base,
        "iat": _seconds(row.created_at),
        **({} if row.expires_at is None else {"exp": _seconds(row.expires_at)}),
        **({} if access is None else {"token_type": "Bearer"}),
    }


def verified(context: AuthContext, transaction: Transaction, token: str) -> Bearer | None:
    """Who an access token stands for; None for one that was taken back, has expired, or is of another public URL."""
    row = transaction.access_token(hashed(token))
    if row is None:
        return None
    issuer, subject, name, mail, scope, resource, expires_at, may, consented, client = row
    reach = stored_reach(resource, context.base)
    if reach is None or (expires_at is not None and expires_at <= transaction.at):
        return None
    grantable = () if not consented else ("*",) if may is None else split(may)
    principal = Principal(
        issuer=issuer,
        subject=subject,
        name=name,
        scopes=frozenset(split(scope)),
        mail=mail,
        world=reach.world,
        session=reach.session,
        grantable=frozenset(grantable),
        is_known=True,
        client=client_named(client or ""),
    )
    return Bearer(principal, reach)


def sweep(transaction: Transaction, most: int = 500) -> int:
    """Delete what expired, as many rows of each kind as said; how many that were."""
    deleted = 0
    for row in (TokenRow, CodeRow, RefreshRow):
        over = select(row.hash).where(col(row.expires_at) <= transaction.at).limit(most)
        deleted += _changed(transaction, delete(row).where(col(row.hash).in_(over)))
    alive = [
        select(row.grant_id).where(row.grant_id == GrantRow.id).exists() for row in (TokenRow, CodeRow, RefreshRow)
    ]
    done = select(GrantRow.id).where(~or_(*alive)).limit(most)
    deleted += _changed(transaction, delete(GrantRow).where(col(GrantRow.id).in_(done)))
    gone = select(ClientRow.id).where(
        ClientRow.kind != REGISTERED,
        col(ClientRow.expires_at) <= transaction.at,
        ~select(GrantRow.id).where(GrantRow.client_id == ClientRow.id).exists(),
    )
    return deleted + _changed(transaction, delete(ClientRow).where(col(ClientRow.id).in_(gone.limit(most))))


def _lasting(context: AuthContext, grant: GrantRow | None, client: Client) -> GrantRow | None:
    """A grant, if it is the client's, goes on, and was made under the public URL that this server has now."""
    if grant is None or grant.client_id != client.id or grant.ended_at is not None:
        return None
    return None if stored_reach(grant.resource, context.base) is None else grant


def _going_on(transaction: Transaction, grant_id: int) -> GrantRow | None:
    """A grant that was not ended, and is not until this transaction is over: tokens of it are seen by who ends it."""
    wanted = update(GrantRow).where(col(GrantRow.id) == grant_id, col(GrantRow.ended_at).is_(None))
    used = _changed(transaction, wanted.values(used_at=transaction.at))
    return transaction.db.get(GrantRow, grant_id) if used else None


def _new_grant(
    transaction: Transaction, person_id: int, client_id: str, resource: str, scope: str, redirect_uri: str | None
) -> int:
    grant = GrantRow(
        person_id=person_id,
        client_id=client_id,
        resource=resource,
        scope=scope,
        redirect_uri=redirect_uri,
        created_at=transaction.at,
        used_at=transaction.at,
    )
    transaction.db.add(grant)
    transaction.db.flush()
    assert grant.id is not None
    return grant.id


def _issue(
    transaction: Transaction,
    context: AuthContext,
    grant: GrantRow,
    resource: str,
    scope: str,
    refreshing: bool,
    upstream: tuple[str | None, str] = (None, ""),
) -> Issued:
    """An access token, and a refresh token beside it. `upstream` is what was sealed, and under which token."""
    assert grant.id is not None
    access, refresh = mint(TokenKind.ACCESS), mint(TokenKind.REFRESH) if refreshing else None
    expires_at = _after(transaction, context.lifetimes.access)
    transaction.db.add(
        TokenRow(
            hash=hashed(access),
            person_id=grant.person_id,
            grant_id=grant.id,
            resource=resource,
            scope=scope,
            sealed=resealed(*upstream, access),
            created_at=transaction.at,
            expires_at=expires_at,
        )
    )
    if refresh is not None:
        transaction.db.add(
            RefreshRow(
                hash=hashed(refresh),
                grant_id=grant.id,
                sealed=resealed(*upstream, refresh),
                created_at=transaction.at,
                expires_at=_after(transaction, context.lifetimes.refresh),
            )
        )
    client = update(ClientRow).where(col(ClientRow.id) == grant.client_id)
    transaction.run(client.values(used_at=transaction.at))
    transaction.run(client.where(col(ClientRow.kind) == DYNAMIC).values(expires_at=_after(transaction, UNUSED_FOR)))
    transaction.db.flush()
    return Issued(access, refresh, expires_at, scope)


def _after(transaction: Transaction, lifetime: timedelta) -> str:
    return (transaction.now + lifetime).isoformat(timespec="microseconds")


def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())


def _changed(transaction: Transaction, statement: Any) -> int:
    return int(transaction.run(statement).rowcount)
