"""Clients that append to lists and read them, in several processes at once, and keep what they saw."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from random import Random

from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.operations import Call, opened_world
from engine.registry import Registry
from engine.store.records import Transaction
from engine.types import LOCAL
from tests.isolation.checker import Append, Done, Read, Status
from tests.isolation.registers import Registers, Step

WORLD = Registers.definition.name
THREADS = 4
"""Clients of a process."""
STAGE = 150
"""Transactions of all clients before they go on to fresh lists, so that none grows long."""
READERS = 0.2
"""The share of transactions that only read, of several sessions in one snapshot."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The lists that are used at one time."""

    sessions: tuple[str, ...]
    scrolls: tuple[str, ...]


def staged(dispatcher: Dispatcher, transactions: int) -> list[Stage]:
    """Fresh lists for so many transactions."""
    stages = []
    for number in range(transactions // STAGE + 1):
        sessions = tuple(dispatcher.start(LOCAL, WORLD).session for _ in range(3))
        scrolls = tuple(f"{number}-{name}" for name in "abc")
        arguments = {"names": list(scrolls)}
        dispatcher.dispatch(
            Call(principal=LOCAL, world=WORLD, session=sessions[0], action="lay_out", arguments=arguments)
        )
        stages.append(Stage(sessions, scrolls))
    return stages


def run(
    opener: Callable[[str], Dispatcher], url: str, stages: list[Stage], process: int, each: int, answers: Connection
) -> None:
    """One process: its clients take `each` transactions, and it sends what they saw."""
    dispatcher = opener(url)
    with ThreadPoolExecutor(THREADS) as pool:
        numbers = [process * THREADS + thread for thread in range(THREADS)]
        seen = list(pool.map(partial(client, dispatcher, stages, each), numbers))
    dispatcher.store.close()
    answers.send([done for part in seen for done in part])


def client(dispatcher: Dispatcher, stages: list[Stage], each: int, number: int) -> list[Done]:
    """What one client saw."""
    random = Random(number)
    values = iter(range(number * 1_000_000, (number + 1) * 1_000_000))
    history = []
    for turn in range(each):
        stage = stages[turn * len(stages) // each]
        name = f"{number}.{turn}"
        if random.random() < READERS:
            history.append(_reading(dispatcher, stage, name))
        else:
            history.append(_acting(dispatcher, stage, name, random, values))
    return history


def _acting(dispatcher: Dispatcher, stage: Stage, name: str, random: Random, values: Iterator[int]) -> Done:
    session = random.choice(stage.sessions)
    places = [random.choice(("data", "rows", *stage.scrolls)) for _ in range(random.randrange(1, 5))]
    steps = [Step(where=where, value=next(values) if random.random() < 0.5 else None) for where in places]
    end = "refused" if random.random() < 0.05 else "well"
    arguments = {"steps": [step.model_dump() for step in steps], "end": end}
    call = Call(principal=LOCAL, world=WORLD, session=session, action="take", arguments=arguments)
    begun, status, seen = time.monotonic(), Status.DONE, [None] * len(steps)
    try:
        seen = dispatcher.dispatch(call).value
    except EngineError as error:
        status = Status.UNKNOWN if error.rule == "outcome_unknown" else Status.REFUSED
    ended = time.monotonic()
    taken = tuple(
        Append(_key(session, step.where), step.value)
        if step.value is not None
        else Read(_key(session, step.where), tuple(read or ()))
        for step, read in zip(steps, seen, strict=True)
    )
    return Done(name, taken, begun, ended, status)


def _reading(dispatcher: Dispatcher, stage: Stage, name: str) -> Done:
    begun = time.monotonic()
    steps = dispatcher.store.read(lambda transaction: tuple(_lists(transaction, stage)))
    return Done(name, steps, begun, time.monotonic())


def last(dispatcher: Dispatcher, stages: list[Stage]) -> list[Done]:
    """Every list at the end."""
    return [_reading(dispatcher, stage, f"last {number}") for number, stage in enumerate(stages)]


def _lists(transaction: Transaction, stage: Stage) -> Iterator[Read]:
    for number, session in enumerate(stage.sessions):
        record = transaction.session(session)
        assert record is not None
        world: Registers = opened_world(transaction, Registers.definition, record, LOCAL)  # type: ignore[assignment]
        for where in ("data", "rows", *(stage.scrolls if number == 0 else ())):
            yield Read(_key(session, where), tuple(world.read(where)))


def _key(session: str, where: str) -> str:
    return f"{session} {where}" if where in ("data", "rows") else where


def registry() -> Registry:
    """The one world."""
    return Registry([Registers])
