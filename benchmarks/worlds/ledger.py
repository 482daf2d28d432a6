"""A world for the benchmark: an action that changes three rows by the ORM."""

from sqlmodel import Field

from engine import Row, World, action

NAMES = ("left", "right", "fees")


class Account(Row, table=True):
    """One account, in cents."""

    name: str = Field(primary_key=True)
    cents: int


class Ledger(World):
    """Three accounts, between which nothing is lost."""

    def start(self) -> None:
        """Open the accounts."""
        for name in NAMES:
            self.rows(Account).add(name=name, cents=0)

    @action
    def transfer(self, cents: int) -> int:
        """Move money from left to right, for a fee of one cent. Returns what is left."""
        left, right, fees = (self.rows(Account).find(name=name) for name in NAMES)
        assert left and right and fees
        left.cents -= cents + 1
        right.cents += cents
        fees.cents += 1
        return left.cents

    @action(read_only=True)
    def lost(self) -> int:
        """What is missing in the accounts together: nothing."""
        return -sum(account.cents for account in self.rows(Account))
