"""What a golden database's makers saw of it, beside the database: JSON that the tests compare with."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.dispatch import Dispatcher
from engine.types import Json, Principal

FOLDER = Path(__file__).parent
PEOPLE = {name: Principal("golden", name, name.title()) for name in ("ann", "ben", "cleo")}


@dataclass
class Kept:
    """One session: what was seen of it right after each of its revisions, and by which version of its world."""

    world: str
    owner: str
    handle: str
    seen: dict[int, Json] = field(default_factory=dict)
    entries: list[Json] = field(default_factory=list)
    """Of each revision: action, arguments, state and target."""
    ended: bool = False


@dataclass
class Answered:
    """One call with a key, and what was answered to it."""

    by: str
    world: str
    session: str
    action: str
    arguments: dict[str, Json]
    key: str
    revision: int
    value: Json


@dataclass
class Begun:
    """How a session was started, or with an `origin` forked, and with which key."""

    by: str
    key: str
    session: str
    arguments: dict[str, Json] = field(default_factory=dict)
    main: bool = False
    origin: str | None = None
    at: int | None = None


@dataclass
class Facts:
    """All that is known of one golden database. Sessions have names."""

    release: str
    sessions: dict[str, Kept] = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n")


def read(path: Path) -> Facts:
    """The facts of a file."""
    plain: dict[str, Any] = json.loads(path.read_text())
    sessions = {name: Kept(**kept) for name, kept in plain["sessions"].items()}
    for kept in sessions.values():
        kept.seen = {int(revision): seen for revision, seen in kept.seen.items()}
    return Facts(
        release=plain["release"],
        sessions=sessions,
        answered=[Answered(**answered) for answered in plain["answered"]],
        begun=[Begun(**begun) for begun in plain["begun"]],
    )


def seen_of(dispatcher: Dispatcher, owner: str, handle: str, at: int | None = None) -> Json:
    """A session as it is, or was: its world's version here, its state, document and rows."""
    past, now = dispatcher.past(PEOPLE[owner], handle, at)
    version = dispatcher.registry.worlds[now.world].version
    data = None if past.data is None else json.loads(past.data)
    return {"version": version, "state": past.state, "data": data, "rows": past.rows}
