"""What one hook costs an action: a world with one beside the same world without, in turns, in one process.

The hook is told by the process's own worker while it acts, as `turnkeeper serve`
does. `python -m benchmarks.hooks [CALLERS]` prints it.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.direct import CALLS, dispatched
from engine.application import opened
from engine.dispatch import Dispatcher
from engine.hooks import Hook
from engine.registry import Registry
from engine.settings import Settings
from engine.types import Change
from server import tune
from worlds.counter import Counter

ROUNDS, SECONDS = 5, 2.0
PATIENCE = 60.0
"""Seconds that the hook gets to hear of the last change of a round."""


@dataclass(slots=True)
class Listener:
    """A hook that does nothing but count."""

    heard: int = 0
    revision: int = 0
    came: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, change: Change) -> None:
        """Hear of a change."""
        with self.came:
            self.heard, self.revision = self.heard + 1, change.revision
            self.came.notify()

    def wait(self, revision: int) -> float:
        """How many seconds it takes until a revision was heard."""
        began = time.perf_counter()
        with self.came:
            if not self.came.wait_for(lambda: self.revision >= revision, PATIENCE):
                raise TimeoutError(
                    f"the hook heard of revision {self.revision} after {PATIENCE:g} s, not of {revision}"
                )
        return time.perf_counter() - began


@contextmanager
def serving(folder: Path, listener: Listener | None) -> Iterator[Dispatcher]:
    """A dispatcher of a process that works as a server does, with the hook or without."""

    def tell(change: Change) -> None:
        if listener is not None:
            listener.hear(change)

    hooks = [] if listener is None else [Hook("benchmark", tell, world=Counter)]
    with opened(Settings(data_dir=folder), Registry([Counter], hooks), work="serve") as dispatcher:
        yield dispatcher


def measured(folder: Path, *, rounds: int, seconds: float, callers: int) -> list[str]:
    """Lines that say what an action costs with a hook and without, of `callers` at a time, and how soon it hears."""
    listener = Listener()
    ratios, cpu, late = list[float](), list[float](), list[float]()
    rates: dict[bool, list[float]] = {True: [], False: []}
    with ExitStack() as stack:
        heard = stack.enter_context(serving(folder / "heard", listener))
        plain = stack.enter_context(serving(folder / "plain", None))
        tune()
        for _ in range(rounds):
            without = dispatched(plain, CALLS["add"], threads=callers, seconds=seconds)
            having = dispatched(heard, CALLS["add"], threads=callers, seconds=seconds)
            handle = heard.main(CALLS["add"].principal, "counter")
            late.append(listener.wait(heard.now(CALLS["add"].principal, handle).revision))
            rates[False].append(without["rate"])
            rates[True].append(having["rate"])
            ratios.append(having["rate"] / without["rate"])
            cpu.append(having["cpu_us"] / without["cpu_us"])
    return [
        f"{callers} callers: {statistics.median(rates[True]):,.0f} actions/s with a hook,"
        f" {statistics.median(rates[False]):,.0f} without;"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}),"
        f" CPU {statistics.median(cpu):.2f} times as much",
        f"the hook heard of each of {listener.heard:,} changes, of the last one of a round"
        f" {max(late):.2f} s after it at most",
    ]


def main() -> None:
    """Print what a hook costs."""
    callers = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    with tempfile.TemporaryDirectory(prefix="bench-hooks-") as folder:
        print("\n".join(measured(Path(folder), rounds=ROUNDS, seconds=SECONDS, callers=callers)))


if __name__ == "__main__":
    main()
