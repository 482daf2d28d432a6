"""What must hold after the load, whatever the speed: read from the data directory once the server was killed."""

from pathlib import Path
from typing import Any

from benchmarks.direct import WORLDS
from benchmarks.rounds import BenchFailed
from engine.application import opened
from engine.operations import Call
from engine.settings import Settings
from engine.types import LOCAL


def each_once(name: str, totals: list[int]) -> str:
    """That every answered call counted once: the totals told are 2, 3, 4 ... without gap or repetition."""
    if sorted(totals) != list(range(2, len(totals) + 2)):
        raise BenchFailed(f"{name}: {len(totals)} calls were answered, but their totals are not each told once.")
    return f"{name}: {len(totals)} answered calls, every total told once"


def kept(name: str, data_dir: Path, answered: int) -> str:
    """That the session's revision, journal and total agree with the calls that were answered."""
    with opened(Settings(data_dir=data_dir)) as dispatcher:
        now = dispatcher.main_now(LOCAL, "counter")
        if now is None:
            raise BenchFailed(f"{name}: there is no session.")
        entries = len(dispatcher.history(LOCAL, now.session))
        total = dispatcher.look(LOCAL, "counter", None, _total)
    if not now.revision == entries == total == answered + 1:
        raise BenchFailed(
            f"{name}: {answered} calls were answered, but the session is at revision {now.revision}"
            f" with {entries} journal entries and the total {total}."
        )
    return f"{name}: revision {now.revision} = {answered} answered calls + 1, as are journal entries and total"


def balanced(name: str, data_dir: Path, answered: int) -> str:
    """That the ledger's session is at a revision that agrees with the calls, and that its accounts add up."""
    with opened(Settings(data_dir=data_dir, worlds_path=WORLDS)) as dispatcher:
        lost = dispatcher.read(Call(principal=LOCAL, world="ledger", action="lost"))
    if not (lost.revision == answered + 1 and lost.value == 0):
        raise BenchFailed(
            f"{name}: {answered} calls were answered, but the session is at revision {lost.revision}"
            f" and {lost.value} cents are missing."
        )
    return f"{name}: revision {lost.revision} = {answered} answered calls + 1, and the accounts add up"


def _total(world: Any) -> int:
    return int(world.data.total)
