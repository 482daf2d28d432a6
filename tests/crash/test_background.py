"""Killed between the commit and whatever follows it: nothing is lost, and what says that it is done once, is."""

import json
import os
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.application import open_store
from engine.failpoints import VARIABLE
from engine.migrate import upgrade
from engine.settings import Settings
from engine.store import webhooks
from tests.conftest import Database
from tests.postgres import PostgresServer
from tests.serving import Served, free_port, post, start

ERRANDS = 8
SECONDS = 60.0
"""How long what was asked for may take, with the end of a dead process's lease."""
POINTS = (
    "after_commit",
    "hook_called",
    "news_finished",
    "effect_claimed",
    "effect_done",
    "effect_reported",
    "timer_applied",
    "webhook_claimed",
    "webhook_sent",
    "webhook_noted",
)
TURNS = {"after_commit": 12, "news_finished": 1}
"""At which time that a point is reached the process ends, if it is not the third."""
CASES = [
    (database, point)
    for place, point in enumerate(POINTS)
    for turn, database in enumerate(("sqlite", "postgresql"))
    if "CRASH_KILLS" in os.environ or place % 2 == turn
]
"""Each point on each database in the long form, else on one of them: each part has crash tests of its own, on both."""


@dataclass
class Receiver:
    """A webhook's endpoint: what it was told, as (id, message)."""

    url: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """An endpoint for as long as the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.heard.append((self.headers["webhook-id"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Place:
    """Where servers of the errands run: their folder and settings."""

    folder: Path
    settings: dict[str, str]
    receiver: Receiver

    def start(self, port: int, **more: str) -> Served:
        """A server process."""
        settings: dict[str, Any] = {**self.settings, **more}
        return start(self.folder, self.folder / "worlds", port=port, **settings)

    def ledger(self, kind: str) -> list[list[str]]:
        """The lines of a kind, without their first word."""
        path = Path(self.settings["ERRAND_LEDGER"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.startswith(f"{kind} ")]


@pytest.fixture
def place(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A database with a webhook of everything."""
    (tmp_path / "worlds").mkdir()
    shutil.copyfile(Path(__file__).with_name("errands.py"), tmp_path / "worlds" / "errands.py")
    settings = {
        "ERRAND_LEDGER": str(tmp_path / "ledger"),
        "TURNKEEPER_LEASE": "PT1S",
        "TURNKEEPER_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    with ExitStack() as stack:
        if database == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            settings["TURNKEEPER_DATABASE_URL"] = server.fresh(template="core")
            stack.callback(server.drop, settings["TURNKEEPER_DATABASE_URL"])
        receiver = stack.enter_context(receiving())
        store = open_store(Settings(data_dir=tmp_path, database_url=settings.get("TURNKEEPER_DATABASE_URL")))
        stack.callback(store.close)
        upgrade(store, ())
        store.write(lambda tx: webhooks.add(tx, receiver.url, ["*"]))
        yield Place(tmp_path, settings, receiver)


def ask(served: Served, number: int) -> bool:
    """Ask for an errand, as a client that repeats what it got no answer to; whether there was one."""
    given = {"name": "errand_ask", "arguments": {}, "_meta": {"turnkeeper/key": f"errand-{number}"}}
    try:
        answer = post(served, "/mcp", "tools/call", given)
    except httpx2.TransportError:
        return False
    assert answer.status_code == 200 and not answer.json()["result"].get("isError"), answer.text
    return True


def look(served: Served) -> dict[str, Any]:
    """The envelope of what was asked for."""
    answer = post(served, "/mcp", "tools/call", {"name": "errand_look", "arguments": {}})
    found: dict[str, Any] = answer.json()["result"]["structuredContent"]
    return found


def wait_for(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, what()
        threading.Event().wait(0.05)


def check(place: Place, served: Served) -> None:
    """Wait until everything was done and told, then insist that it was done as it is promised."""
    every = list(range(1, ERRANDS + 1))

    def is_done() -> bool:
        found = look(served)
        value, revisions = found["result"], set(range(1, found["revision"] + 1))
        return (
            sorted(value["ran"]) == sorted(value["rung"]) == every
            and {int(line[1]) for line in place.ledger("hook")} >= revisions
            and {message["data"]["revision"] for _, message in place.receiver.heard} >= revisions
        )

    wait_for(is_done, lambda: (look(served), place.ledger("hook"), place.receiver.heard, served.logged()[-3000:]))
    value, revision = look(served)["result"], look(served)["revision"]
    # Once: an outcome and a timer each made one change, however often they were tried.
    assert sorted(value["ran"]) == sorted(value["rung"]) == every and revision == 1 + 3 * ERRANDS
    # At least once and in order: a hook may hear again what it heard last, and nothing before that.
    heard = [int(line[1]) for line in place.ledger("hook")]
    assert set(heard) == set(range(1, revision + 1))
    firsts = list(dict.fromkeys(heard))
    assert firsts == sorted(firsts)
    # Twice under the same key, if at all.
    keys: dict[str, set[str]] = defaultdict(set)
    for _, asked_at, key in place.ledger("effect"):
        keys[asked_at].add(key)
    assert len(keys) == ERRANDS and all(len(found) == 1 for found in keys.values())
    ids: dict[int, set[str]] = defaultdict(set)
    for message_id, message in place.receiver.heard:
        ids[message["data"]["revision"]].add(message_id)
    assert set(ids) == set(range(1, revision + 1)) and all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == revision


@pytest.mark.parametrize(("database", "point"), CASES, indirect=["database"])
def test_a_process_that_is_killed_after_a_commit_loses_nothing_of_what_follows(place: Place, point: str) -> None:
    port = free_port()
    served = place.start(port, **{VARIABLE: f"{point}@{TURNS.get(point, 3)}"})
    try:
        asked = 0
        while asked < ERRANDS and ask(served, asked):
            asked += 1
        wait_for(lambda: served.process.poll() is not None, lambda: f"{point} was not reached: {served.logged()}")
        assert served.process.returncode == -9
        served = place.start(port)
        for number in range(asked, ERRANDS):
            assert ask(served, number)
        check(place, served)
    finally:
        served.stop()


def test_two_processes_share_the_work_and_one_goes_on_when_the_other_is_killed(place: Place) -> None:
    with ExitStack() as stack:
        one, two = place.start(free_port()), place.start(free_port())
        stack.callback(two.stop)
        stack.callback(one.stop)
        for number in range(ERRANDS // 2):
            assert ask((one, two)[number % 2], number)
        one.kill()
        for number in range(ERRANDS // 2, ERRANDS):
            assert ask(two, number)
        check(place, two)
        assert Counter(line[0] for line in place.ledger("hook")).total() >= 1 + 3 * ERRANDS
