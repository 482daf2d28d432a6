"""Local accounts: people who sign in here with a name and a password."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlmodel import col, delete, select, update

from engine.auth.context import AuthContext
from engine.auth.granting import grants
from engine.auth.people import familiar, invitations, passwords, throttling
from engine.auth.people.browsers import sign_out_everywhere
from engine.errors import Refused
from engine.store.access import AccountRow, TokenRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow
from engine.types import LOCAL, SEATS, Principal

T = TypeVar("T")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
RESERVED = frozenset({LOCAL.subject, *(seat.subject for seat in SEATS)})
"""Names that mean somebody else at the command line, and in a session's history."""


@dataclass(frozen=True, slots=True)
class Whence:
    """Where an attempt to sign in comes from: the address, and the mark of a browser that is familiar."""

    address: str
    mark: str


@dataclass(frozen=True, slots=True)
class Account:
    """A local account."""

    person_id: int
    login: str
    created_at: str


def login_of(given: str) -> str:
    """An account's name as it is kept. Raises Refused."""
    found = given.strip().lower()
    if _LOGIN.fullmatch(found) is None:
        raise Refused(
            "unusable_name",
            f"{given[:63]!r} cannot be an account's name.",
            hint="A name has 1 to 63 letters a to z, digits, dots, dashes and underscores, a letter or digit first.",
        )
    if found in RESERVED:
        raise Refused("unusable_name", f"{found!r} means somebody else here.", hint="Choose another name.")
    return found


def create(transaction: Transaction, login: str, password_hash: str, *, takes_over: bool = False) -> int:
    """Make an account and give its person's id. One that `takes_over` is the local principal from now on.

    Raises Refused for a name that is taken.
    """
    login = login_of(login)
    if find(transaction, login) is not None:
        raise Refused("name_taken", f"There is an account {login!r} already.", hint="Choose another name.")
    if takes_over:
        who = LOCAL
    else:
        who = Principal(issuer=LOCAL.issuer, subject=f"acc_{secrets.token_urlsafe(16)}", name=login)
    person_id = transaction.ensure_person(who)
    if takes_over and transaction.db.get(AccountRow, person_id) is not None:
        raise Refused("taken_over", "Somebody has taken over this machine's own sessions already.")
    transaction.run(update(PersonRow).where(col(PersonRow.id) == person_id).values(name=login))
    row = AccountRow(person_id=person_id, login=login, password=password_hash, created_at=transaction.at)
    transaction.db.add(row)
    transaction.db.flush()
    invitations.end_first(transaction)
    return person_id


def find(transaction: Transaction, login: str) -> AccountRow | None:
    """The account of a name."""
    return transaction.db.exec(select(AccountRow).where(AccountRow.login == login.strip().lower())).first()


def all_of(transaction: Transaction) -> list[Account]:
    """Every account, by name."""
    rows = transaction.db.exec(select(AccountRow).order_by(AccountRow.login))
    return [Account(row.person_id, row.login, row.created_at) for row in rows]


def signed_in(
    context: AuthContext, login: str, password: str, whence: Whence, then: Callable[[Transaction, int], T]
) -> T | timedelta | None:
    """What `then` makes of the person whose name and password these are, in the transaction that finds them right.

    Else how long to wait before the next attempt, or None: that is nobody's, or the password was changed meanwhile.
    """
    store = context.store
    sources, wait = store.write(lambda tx: _attempted(tx, login, whence))
    if wait is not None:
        return wait
    kept = store.read(lambda tx: _password(tx, login))
    right, renewed = passwords.verified(password, kept)
    return store.write(lambda tx: _entered(tx, login, kept, renewed, sources, then)) if right else None


def _attempted(transaction: Transaction, login: str, whence: Whence) -> tuple[dict[str, str], timedelta | None]:
    sources = _sources(transaction, login, whence)
    return sources, throttling.attempted(transaction, **sources)


def _sources(transaction: Transaction, login: str, whence: Whence) -> dict[str, str]:
    account = find(transaction, login) if whence.mark else None
    if account is not None and familiar.is_marked(transaction, account, whence.mark):
        return {"familiar": whence.mark}
    return throttling.sources_of(login, whence.address)


def _password(transaction: Transaction, login: str) -> str | None:
    row = find(transaction, login)
    return None if row is None else row.password


def _entered(
    transaction: Transaction,
    login: str,
    kept: str | None,
    renewed: str | None,
    sources: dict[str, str],
    then: Callable[[Transaction, int], T],
) -> T | None:
    row = find(transaction, login)
    if row is None or row.password != kept:
        return None
    throttling.succeeded(transaction, **sources)
    row.password = renewed or row.password
    transaction.db.flush()
    return then(transaction, row.person_id)


def change_password(transaction: Transaction, person_id: int, password_hash: str) -> None:
    """Give an account another password; whoever is signed in is signed out."""
    transaction.db.get_one(AccountRow, person_id).password = password_hash
    transaction.db.flush()
    sign_out_everywhere(transaction, person_id)


def remove(transaction: Transaction, login: str) -> bool:
    """Remove an account: nobody signs in with it, and what its person let in, or made for scripts, opens nothing more.

    What the person did and has stays. Gives whether there was one.
    """
    row = find(transaction, login)
    if row is None:
        return False
    sign_out_everywhere(transaction, row.person_id)
    grants.end_all(transaction, row.person_id)
    transaction.run(delete(TokenRow).where(col(TokenRow.person_id) == row.person_id))
    invitations.end_those_of(transaction, row.person_id)
    transaction.run(delete(AccountRow).where(col(AccountRow.person_id) == row.person_id))
    return True
