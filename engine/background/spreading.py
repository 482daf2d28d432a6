"""How webhooks hear of changes: as messages that are written in the transaction which notes that they heard."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.store import deliveries, webhooks
from engine.store.consumers import Registered
from engine.store.records import Record, Transaction
from engine.types import Change


@dataclass(frozen=True, slots=True)
class Spreading:
    """Writes a webhook's messages."""

    webhook: str

    def spread(self, transaction: Transaction, record: Record, changes: Sequence[Change]) -> None:
        """Write the messages about those changes of a session that the webhook wants to hear of."""
        found = webhooks.find(transaction, self.webhook)
        if found is not None:
            deliveries.spread(transaction, found, record.id, changes)


def spreading(consumer: Registered) -> Spreading:
    """What serves a webhook: every process can."""
    return Spreading(consumer.name.removeprefix(webhooks.PREFIX))
