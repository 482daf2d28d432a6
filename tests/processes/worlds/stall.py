"""A world for tests: market stalls that sell from one stock, and keep a note each."""

from collections.abc import Iterable

from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, SharedRow, World, action, resource


class Slate(BaseModel):
    note: str = ""


class Stock(SharedRow, table=True):
    """What is left of a product."""

    sku: str = Field(primary_key=True)
    left: int


class Sale(Row, table=True):
    """What a stall sold."""

    id: int = Field(default=None, primary_key=True)
    sku: str


def first_stock() -> Iterable[Stock]:
    yield Stock(sku="apple", left=1_000_000)


class Stall(World, seed=first_stock):
    """A stall on the market."""

    data: Slate

    @action
    def write(self, text: str) -> None:
        """Write on the slate."""
        self.data.note = text

    @action
    def sell(self) -> int:
        """Sell an apple."""
        stock = self.shared(Stock).lock(sku="apple")
        assert stock is not None
        stock.left -= 1
        self.rows(Sale).add(sku="apple")
        return stock.left

    @resource(of=(Stock,))
    def stock(self) -> int:
        """How many apples are left in the market."""
        return sum(stock.left for stock in self.shared(Stock))

    @resource(of=(Sale,))
    def sales(self) -> int:
        """How many this stall sold."""
        return self.rows(Sale).count()

    @resource
    def slate(self) -> str:
        """What the slate says."""
        return self.data.note
