"""A process is killed between a commit and its acknowledgement: every webhook is told all the same, in order."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.failpoints import VARIABLE
from engine.store import deliveries, webhooks
from engine.types import LOCAL
from tests.engine.background.receiving import SECONDS, Receiver
from worlds.counter import Counter

ROOT = Path(__file__).parents[3]
ACTIONS = 5
PROGRAM = """
import sys
from engine.application import opened
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL
from worlds.counter import Counter
with opened(Settings(), Registry([Counter]), work="serve") as dispatcher:
    for _ in range(int(sys.argv[2])):
        call = Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}, session=sys.argv[1])
        dispatcher.dispatch(call)
    sys.stdin.read()
"""


def begin(dispatcher: Dispatcher, folder: Path, session: str, actions: int, chosen: str) -> subprocess.Popen[bytes]:
    """A process that acts, and does in the background what there is to do, until its input ends."""
    mine = {
        "TURNKEEPER_DATABASE_URL": url_of(dispatcher),
        "TURNKEEPER_DATA_DIR": str(folder),
        "TURNKEEPER_WEBHOOK_NETWORKS": "127.0.0.0/8",
        "TURNKEEPER_LEASE": "PT1S",
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: value for name, value in os.environ.items() if name != VARIABLE}
    words = [sys.executable, "-c", PROGRAM, session, str(actions)]
    variables = kept | mine | ({VARIABLE: chosen} if chosen else {})
    return subprocess.Popen(words, cwd=ROOT, env=variables, stdin=subprocess.PIPE)


def url_of(dispatcher: Dispatcher) -> str:
    url = dispatcher.store.url
    return url if "://" in url else f"sqlite:///{url}"


def has_all(dispatcher: Dispatcher) -> bool:
    """Whether every change was told and noted, at last."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = dispatcher.store.read(lambda tx: deliveries.logged(tx, state=deliveries.DONE))
        if len(found) == ACTIONS + 1:
            return True
    return False


@pytest.mark.parametrize("point", ["webhook_claimed@2", "webhook_sent@3", "webhook_noted@2"])
def test_killed_process_loses_no_message_and_what_comes_twice_has_the_same_id(
    dispatcher_of: Callable[..., Dispatcher], receiver: Receiver, tmp_path: Path, point: str
) -> None:
    dispatcher = dispatcher_of(Counter)
    dispatcher.store.write(lambda tx: webhooks.add(tx, receiver.url, ("*",)))
    session = dispatcher.start(LOCAL, "counter").session
    with begin(dispatcher, tmp_path, session, ACTIONS, point) as killed:
        assert killed.wait(SECONDS) == -9
    acted = dispatcher.store.read(lambda tx: tx.execute("select revision from session").fetchone()[0]) - 1
    with begin(dispatcher, tmp_path, session, ACTIONS - acted, "") as going_on:
        assert has_all(dispatcher)
        going_on.communicate(timeout=SECONDS)
        assert going_on.returncode == 0
    revisions = [one.about[1] for one in receiver.received]
    assert sorted(set(revisions)) == list(range(1, ACTIONS + 2)) and revisions == sorted(revisions)
    assert len(receiver.received) <= ACTIONS + 2
    assert len({(one.id, one.body) for one in receiver.received}) == ACTIONS + 1
