"""Links that can be followed once: to make the first account or another, or to set a password anew."""

from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import col, delete, select

from engine.auth.context import AuthContext
from engine.auth.tokens import TokenKind, hashed, mint
from engine.store.access import AccountRow, InvitationRow
from engine.store.records import Transaction


class Purpose(StrEnum):
    """What a link is for. The `first` account may take over the sessions of the terminal."""

    FIRST = "first"
    ACCOUNT = "account"
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link is for, and for whom: whose password it sets, or how a new account is to be called."""

    purpose: Purpose
    person_id: int | None
    login: str | None


def make(
    transaction: Transaction,
    context: AuthContext,
    purpose: Purpose,
    *,
    person_id: int | None = None,
    login: str | None = None,
) -> str:
    """The address of a new link."""
    token = mint(TokenKind.LINK)
    expires_at = (transaction.now + context.lifetimes.link).isoformat(timespec="microseconds")
    transaction.db.add(
        InvitationRow(
            hash=hashed(token), purpose=purpose.value, person_id=person_id, login=login, expires_at=expires_at
        )
    )
    transaction.db.flush()
    return f"{context.base}/invitations/{token}"


def first(transaction: Transaction, context: AuthContext) -> str | None:
    """The address of a link to the first account, while there is none. Links of before are no more."""
    if _is_somebody_there(transaction):
        return None
    end_first(transaction)
    return make(transaction, context, Purpose.FIRST)


def end_first(transaction: Transaction) -> None:
    """Have no link lead to the first account any more."""
    transaction.run(delete(InvitationRow).where(col(InvitationRow.purpose) == Purpose.FIRST.value))


def end_those_of(transaction: Transaction, person_id: int) -> None:
    """Have no link set a person's password any more."""
    transaction.run(delete(InvitationRow).where(col(InvitationRow.person_id) == person_id))


def find(transaction: Transaction, token: str) -> Invitation | None:
    """What a link is for; None for one that was followed, has expired or never was."""
    row = transaction.db.get(InvitationRow, hashed(token))
    if row is None or row.expires_at <= transaction.at:
        return None
    return None if row.purpose == Purpose.FIRST and _is_somebody_there(transaction) else _invitation(row)


def redeem(transaction: Transaction, token: str) -> Invitation | None:
    """Follow a link: of two at once, one does."""
    found = find(transaction, token)
    taken = transaction.run(delete(InvitationRow).where(col(InvitationRow.hash) == hashed(token)))
    return found if taken.rowcount == 1 else None


def _is_somebody_there(transaction: Transaction) -> bool:
    return transaction.db.exec(select(AccountRow.person_id).limit(1)).first() is not None


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(Purpose(row.purpose), row.person_id, row.login)
