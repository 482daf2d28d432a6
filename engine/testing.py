"""What the tests of a world use: a database of their own, and a clock that they move."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.background.clock import advance
from engine.background.effects import FULL, Effects
from engine.dispatch import Dispatcher
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store import effects, workers
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL, Json, Outcome
from engine.world import World

LEASE = timedelta(days=1)
PAUSE = 0.002
"""Seconds between two looks at whether an effect is over."""


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

    def carry_out(self) -> None:
        """Have the effects that are due carried out, and those that come of them, until no more is due now."""
        store, job = self.dispatcher.store, Effects(self.dispatcher)
        now = store.now() - store.offset
        worker = store.write(partial(workers.enter, kind="stage", place="here", now=now, lease=LEASE))
        try:
            while job.look(worker) <= FULL or store.read(partial(effects.is_held, worker=worker)):
                time.sleep(PAUSE)
        finally:
            job.close()
            store.write(partial(workers.leave, worker=worker))


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
