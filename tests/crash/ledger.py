"""The world whose servers are killed. An answer depends on the state before and on chance, so doing it twice shows."""

from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action

KEPT = 12
"""Lines of a ledger at most; the oldest goes when another comes."""


class Book(BaseModel):
    total: int = 0
    notes: int = 0


class Line(Row, table=True):
    """One amount, by its number."""

    number: int = Field(primary_key=True)
    amount: int


class Noted(BaseModel):
    """What a note was answered with."""

    number: int
    total: int
    lucky: int


def has_lines(ledger: "Ledger") -> str | None:
    return None if ledger.rows(Line) else "the ledger is empty"


class Ledger(World, rows=[Line]):
    """Amounts and their total."""

    data: Book

    @action
    def note(self, amount: int) -> Noted:
        """Write down an amount."""
        self.data.total += amount
        self.data.notes += 1
        lines = self.rows(Line).where()
        for line in lines[: len(lines) + 1 - KEPT]:
            self.rows(Line).remove(line)
        self.rows(Line).add(number=self.data.notes, amount=amount)
        return Noted(number=self.data.notes, total=self.data.total, lucky=self.random.randrange(10**9))

    @action(guards=[has_lines])
    def strike(self) -> int:
        """Take the newest line away; its amount stays in the total."""
        line = self.rows(Line).where()[-1]
        self.rows(Line).remove(line)
        return line.amount
