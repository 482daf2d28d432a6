"""A process whose clients ask until something was done to the database's disk; what they were told is kept in a file.

As a program: `python -m tests.crash.laden URL NOTES STEPS [BALLAST]`. Where a
ballast is named, it is thrown off after the steps, and as many follow.
"""

import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random
from threading import Semaphore, Thread

from engine.application import opened
from engine.dispatch import Dispatcher
from engine.registry import Registry
from engine.types import LOCAL
from tests.crash.child import LEDGER, settings
from tests.crash.clients import Client, Direct
from tests.crash.evidence import findings
from tests.crash.ledger import Ledger

CLIENTS = 8


def begun(url: str, sessions: int = 4) -> list[Client]:
    """Clients of a new database's first sessions."""
    with opened(settings(url), Registry([Ledger])) as dispatcher:
        handles = [dispatcher.start(LOCAL, LEDGER).session for _ in range(sessions)]
    return [Client(f"c{number}", handles, Random(number), Semaphore()) for number in range(CLIENTS)]


def play(dispatcher: Dispatcher, clients: Iterable[Client], steps: int) -> None:
    """Have all clients ask at once, so many times each."""
    threads = [Thread(target=_ask, args=(client, Direct(dispatcher), steps)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(client: Client, wire: Direct, steps: int) -> None:
    try:
        for _ in range(steps):
            client.step(wire)
    except Exception as error:  # it would only end this thread
        client.failures.append(f"{client.name}: {error!r}")


def kept(notes: Path, clients: Iterable[Client]) -> None:
    """Write down what clients were told."""
    told = [(c.name, c.sessions, c.answered, c.refused, c.unknown, c.failures, c.pending) for c in clients]
    notes.write_bytes(pickle.dumps(told))


def remembered(notes: Path) -> list[Client]:
    """Clients with what they were told."""
    return [
        Client(name, sessions, Random(name), Semaphore(), *told)
        for name, sessions, *told in pickle.loads(notes.read_bytes())
    ]


def settled(url: str, clients: Iterable[Client]) -> list[str]:
    """What is wrong after all, in a process with nothing the matter, once every client asked again for everything."""
    clients = list(clients)
    with opened(settings(url), Registry([Ledger])) as dispatcher:
        for client in clients:
            client.settle(Direct(dispatcher))
        return findings(dispatcher, clients)


def main(url: str, notes: str, steps: str, ballast: str | None = None) -> None:
    """Ask, and write down what was told."""
    clients = remembered(Path(notes))
    with opened(settings(url), Registry([Ledger])) as dispatcher:
        play(dispatcher, clients, int(steps))
        if ballast is not None:
            Path(ballast).unlink()
            kept(Path(f"{notes}-full"), clients)
            play(dispatcher, clients, int(steps))
        kept(Path(notes), clients)


if __name__ == "__main__":
    main(*sys.argv[1:])
