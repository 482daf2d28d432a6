"""What the engine's tests share: a dispatcher on a real, fresh SQLite file."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.hooks import Hook
from engine.limits import DEFAULT, Limits
from engine.migrate import upgrade
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import Change
from engine.world import World


@pytest.fixture
def dispatcher_of(tmp_path: Path) -> Iterator[Callable[..., Dispatcher]]:
    """Makes dispatchers of worlds, each on `turnkeeper.db` in the test's folder unless `file` names another."""
    stores: list[SqliteStore] = []

    def make(
        *worlds: type[World],
        listeners: Iterable[Callable[[Change], None]] = (),
        hooks: Iterable[Hook] = (),
        file: str = "turnkeeper.db",
        limits: Limits = DEFAULT,
    ) -> Dispatcher:
        stores.append(SqliteStore(str(tmp_path / file), limits))
        registry = Registry(worlds, hooks)
        upgrade(stores[-1], registry.worlds.values())
        return Dispatcher(stores[-1], registry, listeners)

    yield make
    for store in stores:
        store.close()
