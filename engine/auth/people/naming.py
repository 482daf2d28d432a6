"""Who is meant at the command line: an account's name, an issuer and a subject, or the local person."""

from dataclasses import dataclass

from sqlmodel import col, select

from engine.errors import NotFound, Refused
from engine.store.access import AccountRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow
from engine.types import DELETED, LOCAL, OPERATOR, SEATS, Principal

LOCAL_NAME = "local"
"""How the local person is called, who has no account unless the first one took them over."""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody, by internal id, as the database names them."""

    id: int
    issuer: str
    subject: str
    name: str
    mail: str | None
    login: str | None

    @property
    def called(self) -> str:
        """What to call them at the command line, so that it finds them again."""
        if self.login is not None:
            return self.login
        is_local = (self.issuer, self.subject) == (LOCAL.issuer, LOCAL.subject)
        return LOCAL_NAME if is_local else f"{self.issuer} {self.subject}"

    @property
    def principal(self) -> Principal:
        """The same as one who acts."""
        return Principal(self.issuer, self.subject, self.name)


def who_is(transaction: Transaction, name: str) -> Who:
    """The person of a name: an account's, `local`, or an issuer and a subject with a space between. Raises NotFound."""
    found = select(PersonRow, AccountRow.login).join(AccountRow, isouter=True)
    issuer, _, subject = name.strip().partition(" ")
    chosen = [found.where(AccountRow.login == name.strip().lower())]
    if name.strip() == LOCAL_NAME:
        issuer, subject = LOCAL.issuer, LOCAL.subject
    chosen += [found.where(PersonRow.issuer == issuer, PersonRow.subject == subject.strip())] if subject else []
    for wanted in chosen:
        row = transaction.db.exec(wanted.where(PersonRow.issuer != DELETED.issuer)).first()
        if row is not None:
            return _who(*row)
    raise NotFound(
        f"There is nobody called {name[:200]!r} here.",
        hint="Give an account's name, `local`, or issuer and subject in quotes: 'https://accounts.example 1234'.",
    )


def who_to_act_for(transaction: Transaction, name: str) -> Who:
    """The same for somebody who acts: the local person is made if need be, who is no person is refused."""
    if name.strip() == LOCAL_NAME:
        transaction.ensure_person(LOCAL)
    return insist_on_person(who_is(transaction, name))


def insist_on_person(who: Who) -> Who:
    """The same, unless it is nobody but the operator's seat, or the timer's, or the effects'. Raises Refused."""
    if (who.issuer, who.subject) == (OPERATOR.issuer, OPERATOR.subject):
        raise Refused("not_a_person", "The operator is no person, but who administers here.", hint="Name a person.")
    if any((who.issuer, who.subject) == (seat.issuer, seat.subject) for seat in SEATS):
        raise Refused("not_a_person", f"The {who.name} is no person, but Turnkeeper itself.", hint="Name a person.")
    return who


def person_of(transaction: Transaction, person_id: int) -> Who:
    """The person of an internal id."""
    found = select(PersonRow, AccountRow.login).join(AccountRow, isouter=True).where(col(PersonRow.id) == person_id)
    return _who(*transaction.db.exec(found).one())


def _who(row: PersonRow, login: str | None) -> Who:
    if row.id is None:
        raise TypeError("a person that was read has an id")
    return Who(row.id, row.issuer, row.subject, row.name, row.mail, login)
