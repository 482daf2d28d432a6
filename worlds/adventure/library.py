"""The stories that are installed, and how one is read."""

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import ValidationError

from worlds.adventure.checks import problems
from worlds.adventure.story import Story

_FOLDER = files("worlds.adventure") / "stories"


class StoryError(ValueError):
    """A story that cannot be played. `problems` holds one sentence for each fault."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.name, self.problems = name, problems
        super().__init__("\n".join((f"story {name!r} cannot be played:", *(f"- {problem}" for problem in problems))))


def stories() -> list[str]:
    """The names of the stories that are installed, in alphabetical order."""
    return sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml"))


@cache
def load(name: str) -> Story:
    """An installed story by name. Raises StoryError."""
    if name not in stories():
        raise StoryError(name, [f"there is no story of this name; installed are {', '.join(stories())}"])
    return read(name, (_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def read(name: str, text: str) -> Story:
    """The story that a TOML text writes. Raises StoryError."""
    try:
        story = Story.model_validate({"name": name} | tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise StoryError(name, [f"it is no valid TOML: {error}"]) from error
    except ValidationError as error:
        raise StoryError(name, [_fault(f["loc"], f["msg"], f["input"]) for f in error.errors()]) from error
    if found := problems(story):
        raise StoryError(name, found)
    return story


def _fault(where: tuple[int | str, ...], message: str, received: object) -> str:
    return f"{'.'.join(map(str, where))}: {message}; received {received!r:.80}"
