"""A process that is killed while it does what is due: it is done once, by whoever comes next."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.dispatch import Dispatcher
from engine.failpoints import VARIABLE
from engine.migrate import upgrade
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL
from tests.engine.stalls import Stall, act, document, pass_by, told

ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from datetime import timedelta
from engine.background.clock import Clock
from engine.dispatch import Dispatcher
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from tests.engine.stalls import Stall, act

store = SqliteStore(sys.argv[1])
store.offset = timedelta(minutes=20)
dispatcher = Dispatcher(store, Registry([Stall]))
if sys.argv[3] == "clock":
    Clock(dispatcher).look("wrk_child")
else:
    act(dispatcher, sys.argv[2], "hush")
print("lived", flush=True)
"""


@pytest.fixture
def dispatcher(sqlite_core: Path, tmp_path: Path) -> Dispatcher:
    """A dispatcher on a file that a child can open, too."""
    shutil.copyfile(sqlite_core, tmp_path / "stall.db")
    store = SqliteStore(str(tmp_path / "stall.db"))
    registry = Registry([Stall])
    upgrade(store, registry.worlds.values())
    return Dispatcher(store, registry)


@pytest.mark.parametrize("by", ["clock", "action"])
@pytest.mark.parametrize("at", ["after_method", "timer_applied", "before_commit", "after_commit", "timer_applied@2"])
def test_killed_at_any_point_a_timer_is_done_once(dispatcher: Dispatcher, tmp_path: Path, at: str, by: str) -> None:
    session = dispatcher.start(LOCAL, "stall").session
    act(dispatcher, session, "hold")
    act(dispatcher, session, "bell")
    chosen = at if "@" in at else f"{at}@1"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "stall.db"), session, by],
        cwd=ROOT,
        env={**os.environ, VARIABLE: chosen},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, ""), child.stderr
    pass_by(dispatcher, 20)
    dispatcher.fire(session)
    done = [name for who, name in told(dispatcher, session) if who == "timer"]
    assert done == ["ring", "release"]
    assert (document(dispatcher, session)["rung"], document(dispatcher, session)["released"]) == (1, ["late"])
    dispatcher.store.close()
