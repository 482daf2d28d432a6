"""Turns: several processes write to one SQLite file in a fair order, by two advisory file locks.

SQLite's own waiting lets whoever is busy win again and again. Here a process
takes *next*, then *writing*, gives *next* back, and gives *writing* back after
its commit. While it writes, the one that comes after it already stands at
*next*, so the two alternate.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import Busy

try:
    import fcntl
except ImportError:  # Windows has no flock: there SQLite's own waiting must do
    fcntl = None  # type: ignore[assignment]


class Turns:
    """One process's place among those that write to a file; `seconds` is how long it waits for its turn."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._files: tuple[int, int] | None = None
        self._came = threading.Condition()
        self._waiting = self._wanted = self._taken = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The right to write for as long as the block lasts. Raises Busy."""
        files = self._opened()
        if files is None:
            yield
            return
        self._take(*files)
        try:
            yield
        finally:
            self._give(files[1])

    def close(self) -> None:
        """Leave the queue. A turn that still comes is given back at once, as the files are closed."""
        files, self._files = self._files, None
        for file in files or ():
            os.close(file)

    def _opened(self) -> tuple[int, int] | None:
        if self._files is None and fcntl is not None:
            # Where no lock file can be made, the database cannot be written either, and SQLite says so better.
            with contextlib.suppress(OSError):
                self._files = (_open(f"{self._path}-next"), _open(f"{self._path}-writing"))
        return self._files

    def _take(self, following: int, writing: int) -> None:
        if not self._waiting and _free(following) and _free(writing):
            fcntl.flock(following, fcntl.LOCK_UN)
            return
        with self._came:
            self._wanted, self._taken = True, False
            if not self._waiting:
                self._begin_waiting(following, writing)
            self._came.wait_for(lambda: self._taken, self._seconds)
            self._wanted = False
            if not self._taken:
                raise Busy(f"Other processes kept {self._path} for {self._seconds:g} s.", hint="Try again.")

    def _begin_waiting(self, following: int, writing: int) -> None:
        """Wait in a thread of its own, since waiting for a file lock can neither be bounded nor ended."""
        self._waiting = True
        threading.Thread(target=self._wait, args=(following, writing), name="turnkeeper-turn", daemon=True).start()

    def _wait(self, following: int, writing: int) -> None:
        try:
            fcntl.flock(following, fcntl.LOCK_EX)
            fcntl.flock(writing, fcntl.LOCK_EX)
            fcntl.flock(following, fcntl.LOCK_UN)
        except OSError:
            return  # the store was closed meanwhile
        with self._came:
            self._waiting, self._taken = False, self._wanted
            self._came.notify()
            if not self._wanted:  # whoever asked gave up, so the next process may write
                self._give(writing)

    def _give(self, writing: int) -> None:
        with contextlib.suppress(OSError):  # the store was closed meanwhile, which gave it back
            fcntl.flock(writing, fcntl.LOCK_UN)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _free(file: int) -> bool:
    """Take a lock if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
