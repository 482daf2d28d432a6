"""The webhooks there are: their rows, their sealed secrets, and their places among those who hear of changes."""

import secrets
from collections.abc import Sequence
from typing import Any

from engine.errors import NotFound, Refused, StoreError
from engine.store import consumers, positions
from engine.store.records import Transaction
from engine.webhooks import (
    OVERLAP,
    Secret,
    Webhook,
    dumped_secrets,
    loaded_secrets,
    new_secret,
    world_of,
)

KIND = "webhook"
"""What kind of consumers webhooks are."""
PREFIX = "webhook:"
"""What comes before a webhook's id in the name that it has among consumers."""
BY_HAND = "by hand"
_WEBHOOK = "id, url, types, created_at, disabled, failing_since"


def add(transaction: Transaction, url: str, types: Sequence[str], *, from_start: bool = False) -> tuple[Webhook, str]:
    """A new webhook and its secret. It hears of what comes after now, unless `from_start`."""
    made, secret = Webhook(f"whk_{secrets.token_hex(6)}", url, tuple(types), transaction.at), new_secret()
    transaction.execute(
        "insert into webhook (id, url, types, secrets, created_at) values (?, ?, ?, ?, ?)",
        (made.id, url, " ".join(types), _sealed(transaction, [Secret(secret)]), transaction.at),
    )
    consumers.register(transaction, PREFIX + made.id, KIND, world_of(types), from_start=from_start)
    return made, secret


def listed(transaction: Transaction) -> list[Webhook]:
    """Every webhook, the oldest first."""
    found = transaction.execute(f"select {_WEBHOOK} from webhook order by created_at, id").fetchall()
    return [_webhook(row) for row in found]


def find(transaction: Transaction, webhook: str) -> Webhook | None:
    """The webhook of that id."""
    row = transaction.execute(f"select {_WEBHOOK} from webhook where id = ?", (webhook,)).fetchone()
    return None if row is None else _webhook(row)


def named(transaction: Transaction, webhook: str) -> Webhook:
    """The webhook of that id. Raises NotFound."""
    if (found := find(transaction, webhook)) is None:
        raise NotFound(f"There is no webhook {webhook!r}.", hint="`turnkeeper webhooks list` has them.")
    return found


def troubles(transaction: Transaction, webhook: str) -> list[positions.Trouble]:
    """The sessions of which a webhook cannot be told, since no message could be made."""
    return positions.troubles(transaction, PREFIX + webhook)


def signing(transaction: Transaction, webhook: str) -> tuple[str, ...]:
    """The secrets that sign for a webhook now, the newest first. Raises StoreError."""
    return tuple(secret.text for secret in _secrets(transaction, webhook))


def rotate(transaction: Transaction, webhook: str) -> str:
    """A new secret of a webhook; the one before signs along for a day. Raises NotFound.

    Secrets that cannot be opened any more, since the key that sealed them is lost, are gone.
    """
    named(transaction, webhook)
    until = (transaction.now + OVERLAP).isoformat(timespec="microseconds")
    try:
        before = [Secret(secret.text, secret.until or until) for secret in _secrets(transaction, webhook)]
    except StoreError:
        before = []
    made = Secret(new_secret())
    sealed = _sealed(transaction, [made, *before])
    transaction.execute("update webhook set secrets = ? where id = ?", (sealed, webhook))
    return made.text


def enable(transaction: Transaction, webhook: str) -> None:
    """Have a webhook be told again, first of what waits, also where its messages could not be made.

    Raises NotFound, StoreError, Refused without a secret.
    """
    named(transaction, webhook)
    if not signing(transaction, webhook):
        raise Refused("no_secret", f"{webhook} has no secret.", hint=f"`turnkeeper webhooks rotate {webhook}`")
    transaction.execute("update webhook set disabled = null, failing_since = null where id = ?", (webhook,))
    positions.resume(transaction, PREFIX + webhook, None)


def disable(transaction: Transaction, webhook: str, why: str = BY_HAND) -> None:
    """Have a webhook be told of nothing; the reason it was first disabled for is kept."""
    transaction.execute("update webhook set disabled = ? where id = ? and disabled is null", (why, webhook))


def silence(transaction: Transaction, webhook: str) -> None:
    """Begin to remove a webhook: it hears of nothing more. Raises NotFound."""
    disable(transaction, webhook, "it is being removed")
    consumers.forget(transaction, PREFIX + named(transaction, webhook).id)


def remove(transaction: Transaction, webhook: str, limit: int) -> bool:
    """Delete so many deliveries of a webhook that was silenced, and at last itself; whether it is gone."""
    deleted = transaction.execute(
        "delete from delivery where id in (select id from delivery where webhook_id = ? limit ?)", (webhook, limit)
    )
    if deleted.rowcount < limit:
        transaction.execute("delete from webhook where id = ?", (webhook,))
    return bool(deleted.rowcount < limit)


def _webhook(row: Sequence[Any]) -> Webhook:
    return Webhook(row[0], row[1], tuple(row[2].split()), *row[3:])


def _secrets(transaction: Transaction, webhook: str) -> list[Secret]:
    row = transaction.execute("select secrets from webhook where id = ?", (webhook,)).fetchone()
    return [] if row is None else loaded_secrets(transaction.opened(row[0]), transaction.at)


def _sealed(transaction: Transaction, kept: Sequence[Secret]) -> str:
    text = dumped_secrets(kept)
    return text if transaction.keys is None else transaction.keys.sealed(text)
