"""A few threads that carry out what they are given. They hold no process up that ends."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Up to `most` threads of that name, begun when there is something for them."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._begun = 0
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, work: Callable[[], None]) -> None:
        """Have a thread carry out `work`, which raises nothing."""
        if self._begun < self._most:
            self._begun += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._begun}", daemon=True).start()
        self._work.put(work)

    def close(self) -> None:
        """Have each thread end after what it is at."""
        for _ in range(self._begun):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
