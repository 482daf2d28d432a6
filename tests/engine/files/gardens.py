"""The world that the tests of session files use: with a document, states, and rows of every kind."""

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import JSON, Column
from sqlmodel import Field, ForeignKeyConstraint

from engine import Row, World, action, upgrade
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.types import Outcome, Principal

ANN = Principal("https://issuer.test", "subject-7431", "Ann")
BEN = Principal("test", "ben", "Ben")
Make = Callable[..., Dispatcher]


class Season(StrEnum):
    SUMMER = "summer"
    WINTER = "winter"


class Kind(StrEnum):
    TREE = "an old tree"
    HERB = "a herb"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Bed(Row, table=True):
    """Where plants stand."""

    name: str = Field(primary_key=True, max_length=40)
    sunny: bool = True
    beside: str | None = None
    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "beside"],
            ["tests_engine_files_gardens__bed.session_id", "tests_engine_files_gardens__bed.name"],
        ),
    )
    __tablename__ = "tests_engine_files_gardens__bed"


class Plant(Row, table=True):
    """A plant, with a column of every kind."""

    __table_args__ = (
        ForeignKeyConstraint(["session_id", "bed"], [f"{Bed.__tablename__}.session_id", f"{Bed.__tablename__}.name"]),
    )
    id: int | None = Field(default=None, primary_key=True)
    bed: str | None = None
    kind: Kind = Kind.HERB
    size: Size = Size.SMALL
    height: float = Field(default=0.5, ge=0)
    names: list[str] = Field(default_factory=list, sa_column=Column(JSON))
    code: str = Field(default="007", sa_column=Column(JSON))
    planted_at: datetime | None = None


class Notes(BaseModel):
    watered: int = 0


class Garden(World, states=Season, start=Season.SUMMER, rows=[Bed, Plant]):
    """Beds and plants."""

    data: Notes

    @action
    def dig(self, name: str, sunny: bool = True, beside: str | None = None) -> None:
        """Make a bed."""
        self.rows(Bed).add(name=name, sunny=sunny, beside=beside)

    @action(source=Season.SUMMER)
    def plant(self, bed: str | None = None, kind: Kind = Kind.HERB, height: float = 0.5) -> int | None:
        """Plant something."""
        names = [kind.value, "ä 😀"]
        plants = self.rows(Plant)
        return plants.add(bed=bed, kind=kind, size=Size.LARGE, height=height, names=names, planted_at=self.now).id

    @action
    def sow(self, number: int) -> None:
        """Plant a lot."""
        for _ in range(number):
            self.rows(Plant).add(names=["grass"])

    @action
    def water(self) -> int:
        """Water everything."""
        self.data.watered += 1
        return self.data.watered

    @action(source=Season.SUMMER, target=Season.WINTER)
    def rest(self) -> None:
        """Let it snow."""


PLANTS, BEDS = str(Plant.__tablename__), str(Bed.__tablename__)


def act(
    dispatcher: Dispatcher, action: str, *, by: Principal = ANN, session: str | None = None, **arguments: Any
) -> Outcome:
    """Act in a garden."""
    return dispatcher.dispatch(Call(principal=by, world="garden", action=action, arguments=arguments, session=session))


def grown(dispatcher: Dispatcher) -> str:
    """A garden with something of everything, an undo and a second hand in it; its handle."""
    session = act(dispatcher, "dig", name="front").session
    act(dispatcher, "dig", name="back", sunny=False, beside="front")
    act(dispatcher, "plant", bed="back", kind="an old tree", height=4.25)
    act(dispatcher, "plant")
    act(dispatcher, "undo")
    act(dispatcher, "water")
    dispatcher.store.write(lambda tx: tx.ensure_person(BEN))
    act(dispatcher, "share", person=dispatcher.person("ben"), role="editor")
    act(dispatcher, "water", by=BEN, session=session)
    return session


class Log(BaseModel):
    poured: int = 0


@upgrade(to=2)
def poured(document: dict[str, Any]) -> dict[str, Any]:
    """What was counted as watered is poured."""
    return {"poured": document["watered"]}


@upgrade(to=2, of=Plant)
def loud(row: dict[str, Any]) -> dict[str, Any]:
    """Plants have loud names, and have grown."""
    return {**row, "names": [name.upper() for name in row["names"]], "height": row["height"] * 2}


class Park(
    World, name="garden", states=Season, start=Season.SUMMER, rows=[Bed, Plant], version=2, upgrades=[poured, loud]
):
    """Version 2 of the garden."""

    data: Log

    @action
    def water(self) -> int:
        """Water everything."""
        self.data.poured += 1
        return self.data.poured

    @action(source=Season.SUMMER, target=Season.WINTER)
    def rest(self) -> None:
        """Let it snow."""
