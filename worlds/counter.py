"""A counter: the smallest world, and the first example."""

import logging

from pydantic import BaseModel

from engine import Change, World, action, on_change, resource


class Tally(BaseModel):
    total: int = 1


class Counter(World):
    """A running total that is never lost."""

    data: Tally

    @action
    def add(self, a: int) -> str:
        """Add a number to the running total."""
        self.data.total += a
        return f"Added {a}, total is now {self.data.total}"

    @resource
    def total(self) -> int:
        """The running total."""
        return self.data.total


@on_change(Counter)
def log_change(change: Change) -> None:
    logging.getLogger(__name__).info("%s is at revision %d", change.session, change.revision)
