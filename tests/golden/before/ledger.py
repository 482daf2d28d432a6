"""A ledger in whole units, with labels."""

from enum import StrEnum

from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action


class Line(Row, table=True):
    __tablename__ = "ledger__line"
    number: int | None = Field(default=None, primary_key=True)
    text: str
    amount: int


class Label(Row, table=True):
    __tablename__ = "ledger__label"
    line: int = Field(primary_key=True)
    word: str = Field(primary_key=True)


class State(StrEnum):
    DRAFT = "draft"
    CLOSED = "closed"


class Book(BaseModel):
    owner: str = "nobody"
    lines: int = 0


class Ledger(World, states=State, start=State.DRAFT):
    """A ledger, version 1."""

    data: Book

    def start(self, owner: str = "nobody") -> None:
        self.data.owner = owner

    @action(source=State.DRAFT)
    def add(self, text: str, amount: int) -> int:
        """Add a line; the answer is its number."""
        self.data.lines += 1
        return self.rows(Line).add(text=text, amount=amount).number or 0

    @action(source=State.DRAFT)
    def load(self, amounts: list[int]) -> int:
        """Add many lines."""
        for amount in amounts:
            self.add(f"line of {amount}", amount)
        return len(amounts)

    @action(source=State.DRAFT)
    def change(self, number: int, amount: int) -> None:
        """Change a line's amount."""
        for line in self.rows(Line).where(number=number):
            line.amount = amount

    @action(source=State.DRAFT)
    def remove(self, number: int) -> None:
        """Remove a line."""
        for line in self.rows(Line).where(number=number):
            self.rows(Line).remove(line)
            self.data.lines -= 1

    @action(source=State.DRAFT)
    def label(self, line: int, word: str) -> None:
        """Give a line a label."""
        self.rows(Label).add(line=line, word=word)

    @action(source=State.DRAFT, target=State.CLOSED)
    def close(self) -> None:
        """Close the ledger."""

    @action(source=State.CLOSED, target=State.DRAFT)
    def reopen(self) -> None:
        """Open it again."""
