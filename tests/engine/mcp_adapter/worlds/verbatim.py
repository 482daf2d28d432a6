"""A world for tests: its contract is its author's to the letter."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from engine import World, action, prompt, resource


class Mood(StrEnum):
    GLAD = "glad"
    GRIM = "grim"


class Node(BaseModel):
    name: str = "root"
    children: list["Node"] = []


class Point(BaseModel):
    x: int
    y: int


def never(world: "Verbatim") -> str | None:
    return "it never is"


class Verbatim(World, contract="exact"):
    """A world to the letter."""

    @action(read_only=True)
    def tree(self) -> Node:
        """Show a tree."""
        return Node(children=[Node(name="leaf")])

    @action
    def step(self) -> int:
        """Take a step."""
        return 1

    @action(title="Hurl it", destructive=True, icons=["https://example.org/hurl.svg"], guards=[never])
    def hurl(self) -> str:
        """Hurl something."""
        return "hurled"

    @action(contract="envelope", read_only=True)
    def forest(self) -> Node:
        """Show a tree in an envelope."""
        return self.tree()

    @action(read_only=True, destructive=False, idempotent=True, open_world=False)
    def hinted(self) -> None:
        """Say what it is not, too."""

    @resource
    def plain(self) -> str:
        """Plain."""
        return "plain"

    @resource
    def broken(self) -> str:
        """A resource that its author did not finish."""
        Point.model_validate({"x": "a secret"})
        return "never"

    @prompt
    def speak(
        self,
        session: str,
        point: Point,
        numbers: list[int] | None = None,
        mood: Mood | None = None,
        tone: Literal["high", "low"] | None = None,
    ) -> str:
        """Speak."""
        return f"{session} {point.x + point.y} {numbers} {mood} {tone}"
