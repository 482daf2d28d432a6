"""A process is killed between a hook's call and what notes it: every change is heard, in order, some maybe twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.failpoints import VARIABLE
from engine.types import LOCAL
from tests.serving import SECONDS
from worlds.counter import Counter

ROOT = Path(__file__).parents[2]
ACTIONS = 6
PROGRAM = """
import sys
import time
from pathlib import Path
from engine.application import opened
from engine.hooks import Hook
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL
from worlds.counter import Counter

heard, session, actions = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def note(change):
    with heard.open("a") as file:
        file.write(f"{change.revision}\\n")

registry = Registry([Counter], [Hook("note", note, world=Counter, from_start=True)])
with opened(Settings(), registry, work="serve") as dispatcher:
    for _ in range(actions):
        call = Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}, session=session)
        done = dispatcher.dispatch(call).revision
        while not heard.exists() or str(done) not in heard.read_text().split():
            time.sleep(0.001)
    sys.stdin.read()
"""


def begin(dispatcher: Dispatcher, folder: Path, session: str, actions: int, chosen: str) -> subprocess.Popen[bytes]:
    """A process that acts, and has its hook hear of it, until its input ends."""
    url = dispatcher.store.url
    mine = {
        "TURNKEEPER_DATABASE_URL": url if "://" in url else f"sqlite:///{url}",
        "TURNKEEPER_DATA_DIR": str(folder),
        "TURNKEEPER_LEASE": "PT1S",
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: value for name, value in os.environ.items() if name != VARIABLE}
    words = [sys.executable, "-c", PROGRAM, str(folder / "heard"), session, str(actions)]
    variables = kept | mine | ({VARIABLE: chosen} if chosen else {})
    return subprocess.Popen(words, cwd=ROOT, env=variables, stdin=subprocess.PIPE)


@pytest.mark.parametrize("point", ["hook_called@1", "hook_called@4", "news_finished@1", "news_finished@2"])
def test_killed_process_has_every_change_heard_in_order(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path, point: str
) -> None:
    dispatcher, heard = dispatcher_of(Counter), tmp_path / "heard"
    session = dispatcher.start(LOCAL, "counter").session
    with begin(dispatcher, tmp_path, session, ACTIONS, point) as killed:
        assert killed.wait(SECONDS) == -9
    done = dispatcher.now(LOCAL, session).revision - 1
    last = str(ACTIONS + 1)
    with begin(dispatcher, tmp_path, session, ACTIONS - done, "") as going_on:
        until = time.monotonic() + SECONDS
        while last not in heard.read_text().split() and time.monotonic() < until:
            time.sleep(0.01)
        going_on.communicate(timeout=SECONDS)
        assert going_on.returncode == 0
    told = [int(revision) for revision in heard.read_text().split()]
    assert list(dict.fromkeys(told)) == list(range(1, ACTIONS + 2))
    again = next((place for place in range(1, len(told)) if told[place] <= told[place - 1]), None)
    assert told == sorted(told) or (again is not None and told[again:] == sorted(told[again:]))
