"""Who can hear of changes: outside any transaction, or in the one that notes that it has heard.

A consumer is a row of `consumer`; what serves it here is found by the kind it
has. A hook is code, which not every process has loaded; a webhook is rows,
which every process can serve.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from engine.store.consumers import Registered
from engine.store.records import Record, Transaction
from engine.types import Change


class Hearer(Protocol):
    """Hears of changes one by one, outside any transaction: at least once, in their order."""

    def hear(self, change: Change) -> None:
        """Hear of a change. Whatever it raises, the change comes again later, and those after it wait."""


@runtime_checkable
class Spreader(Protocol):
    """Writes what it makes of changes, in the transaction that notes that they were heard: once, in their order."""

    def spread(self, transaction: Transaction, record: Record, changes: Sequence[Change]) -> None:
        """Write rows about changes of a session, oldest first. If it raises, they come again later."""


Serving: TypeAlias = Callable[[Registered], Hearer | Spreader | None]
"""What serves a consumer in this process; None if it cannot, and another process has to."""
Kinds: TypeAlias = Mapping[str, Serving]
"""By the kind of consumers: `hook`, `webhook`."""
