"""How processes share one SQLite file: two at full load, and a third that comes by now and then.

`python -m benchmarks.processes` prints the two's actions and the third's waiting.
"""

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from engine.dispatch import Dispatcher
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL
from worlds.counter import Counter

SECONDS = 10.0
THREADS = 4
PAUSE = 0.05


def opened(path: str) -> Dispatcher:
    """A dispatcher on the file."""
    store, registry = SqliteStore(path), Registry([Counter])
    upgrade(store, registry.worlds.values())
    return Dispatcher(store, registry)


def act(path: str, pause: float, threads: int, answers: Connection) -> None:
    """One process: actions one after the other until the time is up; sends how long each took."""
    dispatcher, took = opened(path), list[float]()
    until = time.monotonic() + SECONDS

    def work() -> None:
        session = dispatcher.start(LOCAL, "counter").session
        while (began := time.monotonic()) < until:
            dispatcher.dispatch(
                Call(principal=LOCAL, world="counter", session=session, action="add", arguments={"a": 1})
            )
            took.append(time.monotonic() - began)
            time.sleep(pause)

    workers = [Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    dispatcher.store.close()
    answers.send(took)


def main() -> None:
    """Measure and print."""
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "turnkeeper.db")
        opened(path).store.close()
        pipes = [spawning.Pipe(duplex=False) for _ in range(3)]
        roles = [(0.0, THREADS), (0.0, THREADS), (PAUSE, 1)]
        for (pause, threads), (_, there) in zip(roles, pipes, strict=True):
            spawning.Process(target=act, args=(path, pause, threads, there), daemon=True).start()
        one, two, third = (sorted(here.recv()) for here, _ in pipes)
    more, less = max(len(one), len(two)), min(len(one), len(two))
    print(f"two at full load: {len(one) / SECONDS:.0f} and {len(two) / SECONDS:.0f} actions/s, {more / less:.2f} to 1")
    print(f"the third: p50 {third[len(third) // 2] * 1000:.1f} ms, p95 {third[len(third) * 95 // 100] * 1000:.1f} ms")


if __name__ == "__main__":
    main()
