"""Hooks as consumers: those that this process has loaded are made known, and hear of changes here."""

from functools import partial

from engine.background.consuming import Hearer, Serving
from engine.failpoints import reach
from engine.hooks import Hook
from engine.registry import Registry
from engine.store.consumers import Registered, begin_elsewhere, register, registered
from engine.store.progress import SPAN, last_id
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

KIND = "hook"


class HookHearer:
    """Calls a hook's function for the changes that it wants to hear of."""

    def __init__(self, registry: Registry, hooks: tuple[Hook, ...]) -> None:
        self._registry = registry
        self._hooks = hooks

    def hear(self, change: Change) -> None:
        """Call the function, if it wants to hear of the change. Raises whatever it raises."""
        if any(self._registry.concerns(hook, change) for hook in self._hooks):
            self._hooks[0].function(change)
            reach("hook_called")


def serving(registry: Registry) -> Serving:
    """What serves hooks: those that are loaded."""
    hearers: dict[str, Hearer] = {name: HookHearer(registry, hooks) for name, hooks in registry.hooks.items()}
    return lambda consumer: hearers.get(consumer.name)


def make_known(store: Store, registry: Registry) -> None:
    """Register the hooks that are loaded and not known yet: each hears of what comes after now.

    So does one that was known for one world and is now for more, in those that came to it.
    """
    wanted = {name: worlds for name in registry.hooks if (worlds := _worlds_of(registry, name))}

    def known(transaction: Transaction) -> dict[str, Registered]:
        found = {consumer.name: consumer for consumer in registered(transaction)}
        return {name: found[name] for name in wanted if name in found}

    found = store.read(known)
    new = [name for name in wanted if name not in found]
    wider = [one for name, one in found.items() if one.world not in (None, _one(wanted[name]))]
    for consumer in wider:
        _begin_elsewhere(store, consumer)

    def work(transaction: Transaction) -> None:
        for name in (*new, *(consumer.name for consumer in wider)):
            from_start = any(hook.from_start for hook in registry.hooks[name])
            register(transaction, name, KIND, _one(wanted[name]), from_start=from_start)

    if new or wider:
        store.write(work)


def _begin_elsewhere(store: Store, consumer: Registered) -> None:
    """Have a hook begin at the present in the worlds that come to it, unless it is told of all that was."""
    last = 0 if consumer.from_start else store.read(last_id)
    for after in range(0, last, SPAN):  # a bite at a time, since these may be all sessions there are
        store.write(partial(begin_elsewhere, consumer=consumer, after=after, until=after + SPAN))


def _worlds_of(registry: Registry, name: str) -> set[str]:
    return set[str]().union(*(registry.worlds_of(hook) for hook in registry.hooks[name]))


def _one(worlds: set[str]) -> str | None:
    """The only world, or None for all."""
    return next(iter(worlds)) if len(worlds) == 1 else None
