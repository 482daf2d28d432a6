"""What was shared with somebody before they signed in: it is theirs from then on."""

from engine.store import offers
from engine.store.records import Transaction


def taken_up(transaction: Transaction, person_id: int, login: str | None, mail: str | None) -> None:
    """Give somebody who signs in what was offered to their account's name or to their mail address.

    `mail` is one that was found to be theirs. To be called once both stand in the database, in the same transaction. A
    role that they have already is never made less.
    """
    names = [name for name, is_mail in ((login, False), (mail, True)) if name and ("@" in name) is is_mail]
    for offer, session, owner, role in offers.pending(transaction, names) if names else ():
        present, offered = offers.role_in(transaction, session, person_id), offers.held(role)
        if person_id != owner and (present is None or not present.covers(offered)):
            transaction.share(session, person_id, offered)
        offers.take(transaction, offer, [person_id])
