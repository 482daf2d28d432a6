"""What many stored sessions cost: an empty database beside one that was filled in bulk, and memory for those touched.

Run as a script it measures in a process of its own: `open FOLDER` tells the
seconds until the engine can act, `touch FOLDER COUNT` the memory that acting
once on so many sessions adds.
"""

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers import ROOT
from benchmarks.rounds import BenchFailed
from engine.application import opened
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.settings import Settings
from engine.store.sqlite import SQLITE
from engine.types import Principal

EACH = 1_000
"""Sessions of one person, as many as the limit allows."""
TOUCHED = 100_000
"""Sessions that the measurement of memory acts on at most."""
WARM = 2_000
"""Sessions touched before memory is looked at first."""
STARTS = 5
ACTIONS = 2_000
FIRST = Principal(issuer="bench", subject="first")
"""Who has the one session of the empty database."""

_SERIES = "with recursive series(n) as (select 0 union all select n + 1 from series where n + 1 < :count)"
_CHANGED: Mapping[str, Mapping[str, str]] = {
    "session": {
        "id": ":first + n",
        "handle": "'ses_' || lower(hex(randomblob(12)))",
        "owner_id": ":person + n / :each",
        "main_of": "null",
    },
    "journal": {"session_id": ":first + n", "person_id": ":person + n / :each"},
}
"""What differs from the row that is copied, as SQL over `series`."""


def measured(folder: Path, count: int) -> list[str]:
    """Fill a database with so many sessions and compare it with an empty one; the findings as lines to print."""
    empty, full = folder / "empty", folder / "full"
    began = time.perf_counter()
    _begin(empty)
    fill(full, count)
    size = sum(file.stat().st_size for file in full.iterdir())
    print(f"{count:,} sessions written in {time.perf_counter() - began:.0f} s, {size / 1e6:,.0f} MB\n", flush=True)
    return [*_starting(empty, full), *_acting(empty, full, count), _touching(full, min(count, TOUCHED))]


def fill(folder: Path, count: int) -> None:
    """Write so many sessions, each a copy of a real one with its journal, of persons with `EACH` of them."""
    _begin(folder)
    database = SQLITE.connect(Settings(data_dir=folder).sqlite_path, isolation_level=None)
    persons = -(-count // EACH)
    ((first,),) = database.execute("select max(id) + 1 from session")
    ((person,),) = database.execute("select max(id) + 1 from person")
    values = {"count": count, "first": first, "person": person, "each": EACH}
    database.execute("begin immediate")
    people = "insert into person (id, issuer, subject, name) select :person + n, 'bench', 'p' || n, '' from series"
    database.execute(f"{_SERIES} {people}", {**values, "count": persons})
    for table, changed in _CHANGED.items():
        columns = [name for _, name, *_ in database.execute(f"pragma table_info({table})")]
        copied = ", ".join(changed.get(name, f"old.{name}") for name in columns)
        chosen = "id = :first - 1" if table == "session" else "session_id = :first - 1"
        insert = f"insert into {table} ({', '.join(columns)}) {_SERIES} select {copied} from series, {table} old"
        database.execute(f"{insert} where old.{chosen}", values)
    database.execute("commit")
    database.execute("pragma wal_checkpoint(truncate)")
    database.close()


def _begin(folder: Path) -> None:
    """Make a database with one session in it."""
    with opened(Settings(data_dir=folder)) as dispatcher:
        dispatcher.start(FIRST, "counter", main=True)


def _starting(empty: Path, full: Path) -> Iterator[str]:
    times: dict[Path, list[float]] = {empty: [], full: []}
    for _ in range(STARTS):
        for folder, found in times.items():
            found.append(_told("open", str(folder))["seconds"])
    before, after = (statistics.median(found) * 1000 for found in times.values())
    yield f"start-up: {before:.0f} ms empty, {after:.0f} ms full"


def _acting(empty: Path, full: Path, count: int) -> Iterator[str]:
    """One caller, who acts in turns on the one and on the other."""
    own = Call(principal=FIRST, world="counter", action="add", arguments={"a": 1})
    times: dict[str, list[float]] = {"empty": [], "full": [], "full, a random session": []}
    with opened(Settings(data_dir=empty)) as few, opened(Settings(data_dir=full)) as many:
        others = list(_calls(many, random.Random(1).sample(range(count), min(ACTIONS, count))))
        for other in others:
            for found, dispatcher, call in zip(times.values(), (few, many, many), (own, own, other), strict=True):
                found.append(_timed(dispatcher, call))
    base = statistics.median(times["empty"])
    for name, found in times.items():
        median = statistics.median(found)
        yield f"median action, {name}: {median * 1e6:.0f} µs, {median / base:.2f} of empty"


def _touching(full: Path, count: int) -> str:
    told = _told("touch", str(full), str(count))
    if told["before_mb"] == 0:
        return "memory: told on Linux only"
    added = told["after_mb"] - told["before_mb"]
    return f"memory: {told['before_mb']:.0f} MB, and {added:.1f} MB more after acting on {count:,} sessions"


def _timed(dispatcher: Dispatcher, call: Call) -> float:
    began = time.perf_counter()
    dispatcher.dispatch(call)
    return time.perf_counter() - began


def _calls(dispatcher: Dispatcher, numbers: Sequence[int]) -> Iterator[Call]:
    """An action on each of the filled sessions of these numbers."""
    handles: dict[int, list[str]] = {}
    for number in numbers:
        person = number // EACH
        if person not in handles:
            handles[person] = [record.handle for record, _ in dispatcher.sessions(_person(person))]
        own = handles[person]
        yield Call(
            principal=_person(person),
            world="counter",
            action="add",
            arguments={"a": 1},
            session=own[number % EACH % len(own)],
        )


def _person(number: int) -> Principal:
    return Principal(issuer="bench", subject=f"p{number}")


def _told(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sessions", *arguments]
    ended = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise BenchFailed(f"{' '.join(arguments)} ended with {ended.returncode}; what it said stands above.")
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _opening(folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    with opened(Settings(data_dir=folder)) as dispatcher:
        dispatcher.main_now(FIRST, "counter")
        return {"seconds": time.perf_counter() - began}


def _remembering(folder: Path, count: int) -> dict[str, float]:
    with opened(Settings(data_dir=folder)) as dispatcher:
        warm = min(WARM, count // 2)
        _touch(dispatcher, range(warm))
        before = _resident_mb()
        _touch(dispatcher, range(warm, count))
        return {"before_mb": before, "after_mb": _resident_mb()}


def _touch(dispatcher: Dispatcher, numbers: range, callers: int = 16) -> None:
    """Act once on each session, so many at a time."""
    calls, lock = _calls(dispatcher, numbers), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                call = next(calls, None)
            if call is None:
                return
            dispatcher.dispatch(call)

    workers = [threading.Thread(target=work) for _ in range(callers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _resident_mb() -> float:
    """Memory of this process now, or 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


if __name__ == "__main__":
    _, what, where, *rest = sys.argv
    print(json.dumps(_opening(Path(where)) if what == "open" else _remembering(Path(where), int(rest[0]))))
