"""What the tests of a world use: a database of their own, and a clock that they move."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.background.clock import advance
from engine.dispatch import Dispatcher
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL, Json, Outcome
from engine.world import World


@dataclass(frozen=True, slots=True)
class Stage:
    """A world on a database that is gone after the test; what is done is done on the main session of who tests."""

    dispatcher: Dispatcher
    world: str

    def do(self, action: str, /, **arguments: Json) -> Outcome:
        """Carry out an action: its `value`, the `state` after it. Raises Refused and what else an action may."""
        return self.dispatcher.dispatch(Call(principal=LOCAL, world=self.world, action=action, arguments=arguments))

    @property
    def state(self) -> str:
        """The innermost states that are active now."""
        return self.dispatcher.now(LOCAL, self.dispatcher.main(LOCAL, self.world)).state

    def advance(self, by: timedelta) -> None:
        """Move the clock on; what is due on the way is done when it is."""
        advance(self.dispatcher, by)


@contextmanager
def stage(world: type[World], *others: type[World]) -> Iterator[Stage]:
    """A stage for a world, and for others that its database is to know."""
    with TemporaryDirectory(prefix="turnkeeper-") as folder:
        store = SqliteStore(str(Path(folder) / "stage.db"))
        try:
            registry = Registry([world, *others])
            upgrade(store, registry.worlds.values())
            yield Stage(Dispatcher(store, registry), world.definition.name)
        finally:
            store.close()
