"""A world for tests: a writing desk that has all that the wire has to carry."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
from pydantic import BaseModel
from pydantic import Field as Limit
from sqlmodel import Field

from engine import Answer, Asking, Form, Row, Text, World, action, prompt, resource


class State(StrEnum):
    OPEN = "open"
    LOCKED = "locked"


class Colour(StrEnum):
    RED = "red"
    RUST = "rust"
    BLUE = "blue"


class Ink(BaseModel):
    drops: int = 10
    colour: Colour = Colour.BLUE


class Note(Row, table=True):
    """One note."""

    id: int = Field(default=None, primary_key=True)
    text: str


class Stamp(Row, table=True):
    """One stamp."""

    id: int = Field(default=None, primary_key=True)


class Signature(BaseModel):
    name: str


def has_notes(desk: "Desk") -> str | None:
    return None if desk.rows(Note).count() else "there is no note on the desk"


def is_enough(desk: "Desk", times: int) -> str | None:
    return None if times <= desk.data.drops else "there is too little ink"


async def ask_name(desk: "Desk", asking: Asking) -> Answer:
    return (await asking.ask(name=Form("Who signs?", Signature)))["name"]


async def ask_twice(desk: "Desk", asking: Asking) -> str:
    first = (await asking.ask(first=Form("First name?", Signature)))["first"]
    last = (await asking.ask(last=Form("Last name?", Signature)))["last"]
    return f"{first.value.name} {last.value.name}"


async def report(desk: "Desk", asking: Asking, times: int) -> int:
    for done in range(1, times + 1):
        await asking.progress(done, times, f"copy {done}")
    return times


async def dream(desk: "Desk", asking: Asking, folder: str) -> None:
    (Path(folder) / "began").touch()
    try:
        await anyio.sleep(30)
    finally:
        (Path(folder) / "ended").touch()


class Desk(World, states=State, start=State.OPEN):
    """A desk with notes, stamps and a lock.

    It has ink, too.
    """

    data: Ink

    def start(self, colour: Colour = Colour.BLUE) -> str:
        """Clear the desk and fill the ink."""
        self.data.colour = colour
        return f"The ink is {colour}."

    @action(source=State.OPEN)
    def write(self, text: Annotated[str, Limit(max_length=2_000_000)]) -> Note:
        """Write a note."""
        self.data.drops -= 1
        return self.rows(Note).add(text=text)

    @action(source=State.OPEN, title="Put a stamp", idempotent=True, icons=["https://example.org/stamp.svg"])
    def stamp(self) -> int:
        """Add a stamp."""
        self.rows(Stamp).add()
        return self.rows(Stamp).count()

    @action(source=State.OPEN, target=State.LOCKED)
    def lock(self) -> None:
        """Lock the desk."""

    @action(source=State.LOCKED, target=State.OPEN)
    def unlock(self) -> None:
        """Unlock the desk."""

    @action(read_only=True)
    def count(self) -> int:
        """Count the notes."""
        return self.rows(Note).count()

    @action(source=State.OPEN, guards=[has_notes], confirm="Burn every note?", destructive=True)
    def burn(self, why: str = "") -> int:
        """Burn all notes."""
        notes = list(self.rows(Note))
        for note in notes:
            self.rows(Note).remove(note)
        return len(notes)

    @action(source=State.OPEN, prepare=ask_name)
    def sign(self, prepared: Answer) -> str:
        """Sign the last note."""
        return f"Signed by {prepared.value.name}." if prepared.accepted else f"Unsigned: {prepared.action}."

    @action(source=State.OPEN, prepare=ask_twice)
    def sign_fully(self, prepared: str) -> str:
        """Sign with first and last name."""
        return prepared

    @action(source=State.OPEN, prepare=report, guards=[is_enough])
    def copy(self, times: int, prepared: int) -> int:
        """Copy a note several times."""
        self.data.drops -= times
        return prepared

    @action(source=State.OPEN, prepare=dream)
    def doze(self, folder: str, prepared: None) -> None:
        """Fall asleep over the desk."""

    @action(source=State.OPEN)
    def engrave(self, folder: str) -> int:
        """Engrave a note, slowly: it takes until somebody says go."""
        self.data.drops -= 1
        (Path(folder) / "began").touch()
        deadline = time.monotonic() + 15
        while not (Path(folder) / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.rows(Note).add(text="engraved")
        return self.data.drops

    @action(source=State.OPEN)
    def spill(self) -> None:
        """Spill the ink, which nobody foresaw."""
        self.data.drops = 0
        self.rows(Stamp).add()
        raise RuntimeError("a secret blot")

    @resource(of=(Note,))
    def notes(self) -> list[str]:
        """What the notes say."""
        return [note.text for note in self.rows(Note)]

    @resource(of=(Stamp,))
    def stamps(self) -> int:
        """How many stamps there are."""
        return self.rows(Stamp).count()

    @resource
    def ink(self) -> str:
        """How much ink is left."""
        return f"{self.data.drops} drops of {self.data.colour}"

    @prompt
    def letter(self, to: str, colour: Colour = Colour.BLUE, urgent: bool = False) -> list[Text]:
        """Write a letter."""
        return [Text(f"Write a {colour} letter to {to}{', at once' if urgent else ''}.")]

    @prompt(prepare=ask_name)
    def reply(self, prepared: Answer) -> str:
        """Answer a letter."""
        return f"Answer {prepared.value.name if prepared.accepted else 'nobody'}."
