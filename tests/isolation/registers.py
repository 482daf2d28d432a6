"""The world of lists: in a document, in rows, and in shared rows; one action appends to and reads several."""

import json
from typing import Literal

from pydantic import BaseModel
from sqlmodel import Field, col

from engine import Refused, Row, SharedRow, World, action


class Pages(BaseModel):
    values: list[int] = []


class Mark(Row, table=True):
    """One value of the list that a session has in rows."""

    __tablename__ = "test_isolation__mark"
    place: int = Field(primary_key=True)
    value: int


class Scroll(SharedRow, table=True):
    """A list of all sessions, as JSON."""

    __tablename__ = "test_isolation__scroll"
    name: str = Field(primary_key=True)
    written: str = "[]"


class Step(BaseModel):
    """An append of a value, or without one a read, of the list `data`, `rows`, or a scroll by its name."""

    where: str
    value: int | None = None


class Registers(World, rows=[Mark], shared=[Scroll]):
    """Two lists of one's own, and scrolls that everybody shares."""

    data: Pages

    @action
    def lay_out(self, names: list[str]) -> None:
        """Make empty scrolls."""
        for name in names:
            self.shared(Scroll).add(name=name)

    @action
    def take(self, steps: list[Step], end: Literal["well", "refused"]) -> list[list[int] | None]:
        """Take steps; what each read. `refused` takes them all back at the end."""
        names = {step.where for step in steps} - {"data", "rows"}
        scrolls = {scroll.name: scroll for scroll in self.shared(Scroll).lock_all(col(Scroll.name).in_(names))}
        answers = [self._step(step, scrolls) for step in steps]
        if end == "refused":
            raise Refused("unlucky", "This one was meant to be taken back.")
        return answers

    def read(self, where: str) -> list[int]:
        """A list as it is, without locking it."""
        if where == "data":
            return list(self.data.values)
        if where == "rows":
            return [mark.value for mark in self.rows(Mark)]
        scroll = self.shared(Scroll).find(name=where)
        return [] if scroll is None else list(json.loads(scroll.written))

    def _step(self, step: Step, scrolls: dict[str, Scroll]) -> list[int] | None:
        scroll = scrolls.get(step.where)
        if step.value is None:
            return list(json.loads(scroll.written)) if scroll is not None else self.read(step.where)
        if step.where == "data":
            self.data.values.append(step.value)
        elif scroll is not None:
            scroll.written = json.dumps([*json.loads(scroll.written), step.value])
        else:
            self.rows(Mark).add(place=len(self.rows(Mark)) + 1, value=step.value)
        return None
