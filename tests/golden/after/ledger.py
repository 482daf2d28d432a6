"""A ledger in cents: a column was renamed, another came, a table went, and the document and a state have new names."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action, upgrade


class Line(Row, table=True):
    __tablename__ = "ledger__line"
    number: int | None = Field(default=None, primary_key=True)
    text: str
    cents: int
    kind: str = Field(default="cost", sa_column_kwargs={"server_default": "cost"})


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Book(BaseModel):
    holder: str = "nobody"
    lines: int = 0


@upgrade(to=2)
def held(document: dict[str, Any]) -> dict[str, Any]:
    return {"holder": document["owner"], "lines": document["lines"]}


@upgrade(to=2, of=Line)
def in_cents(line: dict[str, Any]) -> dict[str, Any]:
    whole = line.pop("amount") if "amount" in line else line["cents"]
    return {**line, "cents": whole * 100}


@upgrade(to=2, of="ledger__label")
def without_labels(label: dict[str, Any]) -> None:
    return None


@upgrade(to=2, of=State)
def opened(state: str) -> str:
    return "open" if state == "draft" else state


class Ledger(
    World, states=State, start=State.OPEN, version=2, upgrades=[held, in_cents, without_labels, opened], rows=[Line]
):
    """A ledger, version 2."""

    data: Book

    def start(self, owner: str = "nobody") -> None:
        self.data.holder = owner

    @action(source=State.OPEN)
    def add(self, text: str, amount: int) -> int:
        """Add a line; the answer is its number."""
        self.data.lines += 1
        return self.rows(Line).add(text=text, cents=100 * amount).number or 0

    @action(source=State.OPEN)
    def load(self, amounts: list[int]) -> int:
        """Add many lines."""
        for amount in amounts:
            self.add(f"line of {amount}", amount)
        return len(amounts)

    @action(source=State.OPEN)
    def change(self, number: int, amount: int) -> None:
        """Change a line's amount."""
        for line in self.rows(Line).where(number=number):
            line.cents = 100 * amount

    @action(source=State.OPEN)
    def remove(self, number: int) -> None:
        """Remove a line."""
        for line in self.rows(Line).where(number=number):
            self.rows(Line).remove(line)
            self.data.lines -= 1

    @action(source=State.OPEN, target=State.CLOSED)
    def close(self) -> None:
        """Close the ledger."""

    @action(source=State.CLOSED, target=State.OPEN)
    def reopen(self) -> None:
        """Open it again."""
