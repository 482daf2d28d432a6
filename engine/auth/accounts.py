"""Local accounts: people who sign in here with a name and a password."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete, select, update

from engine.auth import grants, passwords, throttling
from engine.auth.browsers import sign_out_everywhere
from engine.auth.context import AuthContext
from engine.errors import Refused
from engine.store.access import AccountRow, TokenRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow
from engine.types import LOCAL, Principal

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


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
    return person_id


def find(transaction: Transaction, login: str) -> AccountRow | None:
    """The account of a name."""
    return transaction.db.exec(select(AccountRow).where(AccountRow.login == login.strip().lower())).first()


def all_of(transaction: Transaction) -> list[Account]:
    """Every account, by name."""
    rows = transaction.db.exec(select(AccountRow).order_by(AccountRow.login))
    return [Account(row.person_id, row.login, row.created_at) for row in rows]


def signed_in(context: AuthContext, login: str, password: str, address: str) -> int | timedelta | None:
    """Whose name and password these are: the person's id, or how long to wait before the next attempt, or nobody's."""
    sources = throttling.sources_of(login, address)
    store = context.store
    wait = store.write(lambda tx: throttling.attempted(tx, **sources))
    if wait is not None:
        return wait
    row = store.read(lambda tx: _kept(tx, login))
    right, renewed = passwords.verified(password, None if row is None else row[1])
    if not right or row is None:
        return None
    store.write(lambda tx: _succeeded(tx, row[0], renewed, sources))
    return row[0]


def _kept(transaction: Transaction, login: str) -> tuple[int, str] | None:
    row = find(transaction, login)
    return None if row is None else (row.person_id, row.password)


def _succeeded(transaction: Transaction, person_id: int, renewed: str | None, sources: dict[str, str]) -> None:
    throttling.succeeded(transaction, account=sources["account"])
    if renewed is not None:
        transaction.run(update(AccountRow).where(col(AccountRow.person_id) == person_id).values(password=renewed))


def change_password(transaction: Transaction, person_id: int, password_hash: str) -> None:
    """Give an account another password; whoever is signed in is signed out."""
    transaction.run(update(AccountRow).where(col(AccountRow.person_id) == person_id).values(password=password_hash))
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
    transaction.run(delete(AccountRow).where(col(AccountRow.person_id) == row.person_id))
    return True
