"""Browsers in which somebody signed in before, each with a mark of its own.

Attempts from one count for the mark, not for the account: strangers who guess
an account's password elsewhere keep nobody out there (OWASP, device cookies).
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from engine.auth.context import AuthContext
from engine.store.access import AccountRow
from engine.store.records import Transaction

KEPT = timedelta(days=365)
"""How long a browser stays familiar without another sign-in."""
_LONGEST = 200


def mark(transaction: Transaction, account: AccountRow) -> str:
    """A new mark for a browser in which somebody signed in, good until they change their password."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_proof(transaction, account, nonce)}"


def is_marked(transaction: Transaction, account: AccountRow, given: str) -> bool:
    """Whether a mark is one of an account."""
    nonce, _, proof = given.partition(".")
    if not given.isascii() or len(given) > _LONGEST:
        return False
    return hmac.compare_digest(proof, _proof(transaction, account, nonce))


def mark_of(context: AuthContext, request: Request) -> str:
    """The mark that a browser shows, if it shows one."""
    return request.cookies.get(_cookie(context), "")


def remember(context: AuthContext, response: Response, given: str) -> None:
    """Have a browser keep its mark."""
    response.set_cookie(
        _cookie(context),
        given,
        max_age=int(KEPT.total_seconds()),
        path="/",
        secure=context.is_secure,
        httponly=True,
        samesite="lax",
    )


def _cookie(context: AuthContext) -> str:
    return "__Host-turnkeeper-familiar" if context.is_secure else "turnkeeper-familiar"


def _proof(transaction: Transaction, account: AccountRow, nonce: str) -> str:
    key = transaction.secret("familiar").encode()
    said = f"{nonce} {account.person_id} {account.password}"
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
