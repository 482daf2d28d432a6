"""Makes the golden database of this release and its facts: `python -m tests.golden.make`, before it is released.

Two processes write it, the second with version 2 of the world `ledger`, so that
it has history on both sides of an upgrade. What a release that is out has
written stays as it is: later ones open it.
"""

import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.dispatch import Dispatcher
from engine.limits import Limits
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.settings import own_version
from engine.store.sqlite import SQLITE, SqliteStore
from engine.types import Outcome
from engine.world import World
from tests.golden.facts import FOLDER, PEOPLE, Answered, Begun, Facts, Kept, read, seen_of
from worlds.adventure import Adventure
from worlds.counter import Counter

FEW = Limits(at_once=4, snapshot=5)
"""So few that undo, redo and forks are written ahead, and that there are row sets and snapshots."""


@dataclass
class Scribe:
    """Acts, and writes down what it sees."""

    dispatcher: Dispatcher
    facts: Facts
    keys: "count[int]"

    def start(self, name: str, by: str, world: str, *, main: bool = False, **arguments: Any) -> None:
        """Start a session and call it `name`."""
        key = f"start-{next(self.keys)}"
        made = self.dispatcher.start(PEOPLE[by], world, arguments, key=key, main=main)
        self.facts.sessions[name] = Kept(world, by, made.session)
        self.facts.begun.append(Begun(by, key, name, arguments, main))
        self._see(name, made)

    def fork(self, name: str, by: str, origin: str, at: int) -> None:
        """Fork a session at a revision."""
        key = f"start-{next(self.keys)}"
        kept = self.facts.sessions[origin]
        made = self.dispatcher.fork(PEOPLE[by], kept.handle, at, key=key)
        seen = {revision: seen for revision, seen in kept.seen.items() if revision <= at}
        self.facts.sessions[name] = Kept(kept.world, by, made.session, seen)
        self.facts.begun.append(Begun(by, key, name, origin=origin, at=at))

    def act(self, name: str, action: str, *, by: str | None = None, **arguments: Any) -> None:
        """Do something in a session, with a key."""
        kept, key = self.facts.sessions[name], f"key-{next(self.keys)}"
        actor = by or kept.owner
        made = self.dispatcher.dispatch(
            Call(
                principal=PEOPLE[actor],
                world=kept.world,
                action=action,
                arguments=arguments,
                session=kept.handle,
                key=key,
            )
        )
        if made.change is not None:
            answered = Answered(actor, kept.world, name, action, arguments, key, made.revision, made.value)
            self.facts.answered.append(answered)
        kept.ended = action == "end"
        self._see(name, made)

    def done(self) -> None:
        """Write down each journal as it is listed."""
        for kept in self.facts.sessions.values():
            history = self.dispatcher.history(PEOPLE[kept.owner], kept.handle)
            kept.entries = [[e["action"], e["arguments"], e["state"], e.get("about")] for e in history]

    def _see(self, name: str, made: Outcome) -> None:
        kept = self.facts.sessions[name]
        kept.seen[made.revision] = seen_of(self.dispatcher, kept.owner, kept.handle)


def before(scribe: Scribe) -> None:
    """What version 1 of the ledger wrote, and the bundled worlds."""
    scribe.start("main", "ann", "ledger", main=True, owner="Ann")
    for text, amount in (("bread", 3), ("tea", 5), ("cake", 8)):
        scribe.act("main", "add", text=text, amount=amount)
    scribe.act("main", "label", line=2, word="drink")
    scribe.act("main", "change", number=1, amount=4)
    scribe.act("main", "undo")
    scribe.act("main", "undo")
    scribe.act("main", "redo")
    scribe.act("main", "remove", number=3)
    scribe.fork("forked", "ann", "main", 4)
    scribe.act("forked", "add", text="jam", amount=2)
    scribe.fork("untouched fork", "ben", _shared(scribe, "shared"), 4)
    scribe.start("sleeping", "ann", "ledger", owner="Ann")
    scribe.act("sleeping", "add", text="salt", amount=1)
    scribe.act("sleeping", "label", line=1, word="white")
    scribe.act("sleeping", "change", number=1, amount=9)
    scribe.act("sleeping", "undo")
    scribe.act("sleeping", "close")
    scribe.start("undone", "ann", "ledger")
    scribe.act("undone", "add", text="one", amount=1)
    scribe.act("undone", "load", amounts=[2, 3])
    scribe.act("undone", "undo")
    scribe.act("undone", "undo")
    scribe.start("large", "ben", "ledger", main=True)
    scribe.act("large", "add", text="first", amount=7)
    scribe.act("large", "load", amounts=list(range(10, 22)))
    scribe.act("large", "change", number=3, amount=99)
    for action in ("undo", "undo", "redo"):
        scribe.act("large", action)
    scribe.act("large", "remove", number=5)
    scribe.fork("large fork", "ben", "large", 4)
    scribe.start("ended", "ann", "ledger")
    scribe.act("ended", "add", text="last", amount=1)
    scribe.act("ended", "end")
    scribe.start("count", "ann", "counter", main=True)
    for number in (3, 4, 5):
        scribe.act("count", "add", a=number)
    scribe.act("count", "undo")
    scribe.start("story", "ben", "adventure", main=True)
    for text in ("read note", "wait", "north", "take hatchet"):
        scribe.act("story", "command", text=text)


def _shared(scribe: Scribe, name: str) -> str:
    scribe.start(name, "ann", "ledger", owner="Ann and Ben")
    scribe.start("of cleo", "cleo", "counter")
    ben = PEOPLE["ben"]
    scribe.dispatcher.start(ben, "counter", {})
    scribe.act(name, "share", person=scribe.dispatcher.person(ben.subject), role="editor")
    scribe.act(name, "add", by="ben", text="rice", amount=6)
    scribe.act(name, "add", by="ann", text="beans", amount=2)
    return name


def after(scribe: Scribe) -> None:
    """What version 2 wrote, some of it into the same sessions."""
    scribe.act("main", "add", text="milk", amount=2)
    scribe.act("main", "change", number=1, amount=6)
    scribe.act("main", "undo")
    scribe.act("main", "close")
    scribe.act("undone", "redo")
    scribe.act("undone", "add", text="two", amount=2)
    scribe.act("large", "load", amounts=list(range(30, 36)))
    scribe.act("large", "undo")
    scribe.act("large", "undo")
    scribe.act("shared", "add", by="ben", text="oil", amount=4)
    scribe.fork("late fork", "ann", "main", 6)
    scribe.act("late fork", "undo")
    scribe.act("late fork", "add", text="honey", amount=5)
    scribe.start("new", "ann", "ledger", owner="Ann")
    scribe.act("new", "add", text="ink", amount=3)
    scribe.act("new", "undo")
    scribe.act("count", "add", a=10)
    scribe.act("story", "undo")
    scribe.act("story", "command", text="wait")


def written(database: Path, facts: Facts, ledger: type[World], first_key: int) -> Scribe:
    """A scribe on a database whose tables are those of the code."""
    store = SqliteStore(str(database), FEW)
    registry = Registry([ledger, Counter, Adventure])
    upgrade(store, registry.worlds.values())
    return Scribe(Dispatcher(store, registry), facts, count(first_key))


def part(name: str, folder: Path) -> None:
    """Write what one version writes: this is a process of its own, since two versions of a table exclude each other."""
    database, file = folder / "golden.sqlite", folder / "golden.json"
    if name == "before":
        from tests.golden.before.ledger import Ledger as ledger

        scribe = written(database, Facts(own_version()), ledger, 1)
        before(scribe)
    else:
        from tests.golden.after.ledger import Ledger as newer

        scribe = written(database, read(file), newer, 1001)
        after(scribe)
    scribe.done()
    scribe.facts.save(file)
    scribe.dispatcher.store.close()


def main() -> None:
    """Write the database and its facts beside this file."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("before", "after"):
            subprocess.run([sys.executable, "-m", "tests.golden.make", name, scratch], check=True)
        target = FOLDER / f"{own_version()}.sqlite"
        target.unlink(missing_ok=True)
        with closing(SQLITE.connect(folder / "golden.sqlite")) as connection:
            connection.execute("vacuum into ?", (str(target),))
        shutil.copy(folder / "golden.json", target.with_suffix(".json"))
    print(target, target.stat().st_size, "bytes")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        part(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
