"""Signed-in browsers: a cookie whose hash is a row, and what protects their forms from other sites."""

import base64
import hmac
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete, select
from sqlmodel.sql.expression import SelectOfScalar
from starlette.requests import Request
from starlette.responses import Response

from engine.auth.context import AuthContext
from engine.auth.people.sharing import taken_up
from engine.auth.tokens import TokenKind, hashed, mint
from engine.sealing import derived, sealed, unsealed
from engine.store.access import AccountRow, BrowserRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow
from engine.types import DELETED

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that asks: its cookie's token, and who is signed in there, if anybody is."""

    token: str
    person_id: int | None
    fresh: bool = False
    """Whether the token was made for this very request, so that the answer has to set it."""

    @property
    def form_key(self) -> str:
        """What each form of this browser carries: no other site knows it (OWASP: signed double submit)."""
        return base64.urlsafe_b64encode(derived(self.token, "form")).decode().rstrip("=")

    def sent_form(self, key: object) -> bool:
        """Whether a form came from one of our pages in this browser."""
        return isinstance(key, str) and hmac.compare_digest(key.encode(), self.form_key.encode())


def cookie_name(context: AuthContext) -> str:
    """The cookie's name; with TLS one that other hosts of the domain cannot set (RFC 6265bis, 4.1.3.2)."""
    return "__Host-turnkeeper" if context.is_secure else "turnkeeper"


def browser_of(context: AuthContext, request: Request) -> Browser:
    """The browser that a request is from."""
    token = request.cookies.get(cookie_name(context), "")
    if not token.startswith(f"{TokenKind.BROWSER}_") or len(token) > _LONGEST:
        return Browser(mint(TokenKind.BROWSER), None, fresh=True)
    return Browser(token, context.store.read(lambda tx: person_at(tx, token)))


def person_at(transaction: Transaction, token: str) -> int | None:
    """Who is signed in where a cookie is."""
    return transaction.db.exec(_signed_in(transaction, token)).first()


def held_at(transaction: Transaction, browser: Browser) -> int | None:
    """Who is signed in at a browser, until this transaction is over: who signs them out then ends what came of it."""
    # Who deletes a person locks their row, then those of their browsers, so that is the order here.
    person = select(PersonRow.id).where(PersonRow.id == browser.person_id).with_for_update(key_share=True)
    transaction.db.exec(person).first()
    wanted = _signed_in(transaction, browser.token).with_for_update(of=BrowserRow, read=True)
    return transaction.db.exec(wanted).first()


def _signed_in(transaction: Transaction, token: str) -> SelectOfScalar[int]:
    return (
        select(BrowserRow.person_id)
        .join(PersonRow, col(PersonRow.id) == col(BrowserRow.person_id))
        .where(BrowserRow.hash == hashed(token), col(BrowserRow.expires_at) > transaction.at)
        .where(PersonRow.issuer != DELETED.issuer)
    )


def sign_in(transaction: Transaction, person_id: int, lifetime: timedelta, upstream: str | None = None) -> str:
    """Sign a person in, and give the new cookie's token: an old one, which others may know, is never reused.

    What was shared with their name or address before is theirs from then on. `upstream` is what their provider gave:
    only who has the cookie can read it.
    """
    account, person = transaction.db.get(AccountRow, person_id), transaction.db.get_one(PersonRow, person_id)
    taken_up(transaction, person_id, None if account is None else account.login, person.mail)
    token = mint(TokenKind.BROWSER)
    expires_at = (transaction.now + lifetime).isoformat(timespec="microseconds")
    transaction.db.add(
        BrowserRow(
            hash=hashed(token),
            person_id=person_id,
            sealed=None if upstream is None else sealed(upstream, token),
            created_at=transaction.at,
            expires_at=expires_at,
        )
    )
    transaction.db.flush()
    return token


def sign_out(transaction: Transaction, token: str) -> None:
    """Sign out where a cookie is."""
    transaction.run(delete(BrowserRow).where(col(BrowserRow.hash) == hashed(token)))


def sign_out_everywhere(transaction: Transaction, person_id: int) -> None:
    """Sign a person out of every browser."""
    transaction.run(delete(BrowserRow).where(col(BrowserRow.person_id) == person_id))


def remember(context: AuthContext, response: Response, token: str) -> None:
    """Have the browser keep a token, for as long as the sign-in lasts."""
    response.set_cookie(
        cookie_name(context),
        token,
        max_age=int(context.lifetimes.browser.total_seconds()),
        path="/",
        secure=context.is_secure,
        httponly=True,
        samesite="lax",
    )


def upstream_of(transaction: Transaction, token: str) -> str | None:
    """What the upstream provider gave when the person signed in there, if they did."""
    row = transaction.db.get(BrowserRow, hashed(token))
    return None if row is None or row.sealed is None else unsealed(row.sealed, token)
