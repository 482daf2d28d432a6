"""A world that takes in more than a transaction holds, and how tests call it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Field, col
from sqlmodel import select as chosen

from engine import Asking, HistoryRow, Part, World, Written, action, resource
from engine.asking import Answer, Question
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.models import FIRST_OF_PARTS, table_of
from engine.operations import Call
from engine.parts import ROWS
from engine.preparing import prepared_call
from engine.store.hidden import SESSION
from engine.store.records import Transaction
from engine.types import LOCAL, Outcome, Principal

Make = Callable[..., Dispatcher]
MANY = 2 * ROWS + 3
"""Rows that take more than one piece."""


class Page(HistoryRow, table=True):
    text: str
    number: int = Field(default=0, index=True)


class Volume(Part, table=True):
    title: str = ""


async def read_in(library: "Library", asking: Asking, count: int, end: str) -> Written | None:
    """Write pages ahead; what becomes of them is said by `end`."""
    seen = len(library.rows(Page))
    source = asking.attached or (lambda: None)

    def pages() -> Iterator[Mapping[str, Any]]:
        for number in range(count):
            yield {"text": f"page {number}", "number": seen}
        source()
        if end == "broken":
            raise Refused("broken", "The file is broken in the middle.")

    written = await asking.write_ahead(Page, pages())
    if end == "failing":
        raise Refused("changed_mind", "Nothing is taken in.")
    return written


class Library(World, name="library", rows=[Page, Volume]):
    """Pages, and volumes of them."""

    @action(prepare=read_in)
    def take_in(self, count: int, end: str = "adopted", prepared: Written | None = None) -> int:
        assert prepared is not None
        if end == "refused":
            raise Refused("refused", "The library takes nothing in.")
        if end == "left":
            self.rows(Page).add(text="left")
            return 0
        volume = self.adopt(Volume, prepared, title=f"{prepared.count} pages")
        if end == "dropped":
            self.rows(Volume).remove(volume)
        if end == "twice":
            self.adopt(Volume, prepared)
        return len(self.rows(Page))

    @action
    def write(self, text: str) -> None:
        self.rows(Page).add(text=text)

    @action
    def tear_out(self, text: str) -> None:
        for page in self.rows(Page).where(text=text):
            self.rows(Page).remove(page)

    @action(read_only=True)
    def pages(self, at: int | None = None) -> int:
        return self.rows(Page).at(at).count()

    @action(read_only=True)
    def ever(self) -> int:
        return int(self.select(chosen(func.count(col(Page.id))))[0][0])

    @action
    def adopt_what(self, what: str = "") -> None:
        self.adopt(Volume, what)  # type: ignore[arg-type]

    @resource(of=Page)
    def first(self) -> str:
        return next(iter(self.rows(Page))).text


class Nobody:
    """An outside that answers nothing."""

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        raise AssertionError("nothing is asked")

    def can(self, question: type[Question]) -> bool:
        return False

    def require(self, *questions: type[Question]) -> None:
        raise AssertionError("nothing is asked")

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None: ...

    async def log(self, level: str, message: str) -> None: ...


def call(name: str, session: str | None = None, principal: Principal = LOCAL, **arguments: Any) -> Call:
    return Call(principal=principal, world="library", action=name, arguments=arguments, session=session)


def do(dispatcher: Dispatcher, asked: Call) -> Outcome:
    """A call from its prepare function to its answer."""
    return dispatcher.dispatch(asyncio.run(prepared_call(dispatcher, asked, Nobody())))


def taken_in(dispatcher: Dispatcher, count: int = MANY, key: str | None = None, **more: Any) -> Outcome:
    """What comes of taking pages in."""
    return do(dispatcher, replace(call("take_in", count=count, **more), key=key))


def pages(dispatcher: Dispatcher, session: str | None = None, at: int | None = None) -> Any:
    return dispatcher.dispatch(call("pages", session, at=at)).value


def stored(dispatcher: Dispatcher) -> tuple[int, int]:
    """How many pages the database has that were written ahead, and how many hidden rows say so."""

    def work(transaction: Transaction) -> tuple[int, int]:
        own = table_of(Page).c
        ahead = transaction.run(select(func.count()).where(own.id >= FIRST_OF_PARTS)).scalar_one()
        kept = transaction.run(select(func.count()).where(SESSION.c.hidden.in_(("part", "dropped")))).scalar_one()
        return ahead, kept

    return dispatcher.store.read(work)
