"""What was accepted and is not answered yet, for a process that is about to end."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Pending:
    """Counts callers in and out, and can wait for the last of them."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def counted(self, done: Callable[[T], None]) -> Callable[[T], None]:
        """Count a caller in; what is given counts it out again, once it has called `done`."""
        with self._changed:
            self._count += 1

        def answered(answer: T) -> None:
            try:
                done(answer)
            finally:
                self.leave()

        return answered

    def leave(self) -> None:
        """Count a caller out."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until nobody is left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)
