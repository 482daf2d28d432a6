"""A process that is killed while it carries out an effect: another goes on, under the same key, and reports once."""

import contextlib
import signal
from pathlib import Path

import httpx2
import pytest

from engine.store import effects
from engine.store.effects import EffectRecord
from engine.store.sqlite import SqliteStore
from tests.bank import until
from tests.serving import SECONDS, post, serving, start

POST = '''
"""A post office."""

from pathlib import Path

from engine import EffectCall, World, action, effect


@effect(on_success="note")
async def send(call: EffectCall, ledger: str) -> str:
    with Path(ledger).open("a") as file:
        file.write(call.key + "\\n")
    return call.key


class Post(World, rows=[], effects=[send]):
    """Sends."""

    @action
    def order(self, ledger: str) -> None:
        """Order a letter."""
        self.effect(send, ledger=ledger)

    @action
    def note(self, key: str) -> str:
        """Note that it was sent."""
        return key
'''


@pytest.mark.parametrize(("point", "times"), [("effect_claimed", 1), ("effect_done", 2), ("effect_reported", 1)])
def test_an_effect_survives_a_kill(tmp_path: Path, point: str, times: int) -> None:
    worlds, ledger, data = tmp_path / "worlds", tmp_path / "ledger", tmp_path / "data"
    worlds.mkdir()
    (worlds / "post_office.py").write_text(POST)
    killed = start(data, worlds, TURNKEEPER_FAILPOINT=f"{point}@1")
    with contextlib.suppress(httpx2.TransportError):  # the answer may be on its way when the server ends
        post(killed, "/worlds/post/mcp", "tools/call", {"name": "order", "arguments": {"ledger": str(ledger)}})
    assert killed.process.wait(SECONDS) == -signal.SIGKILL
    store = SqliteStore(str(data / "turnkeeper.db"))
    store.write(lambda tx: tx.execute("delete from worker").rowcount)  # its lease is over
    with serving(data, worlds):
        until(lambda: found(store).state == "done")
    (row, entries) = found(store), noted(store)
    store.close()
    assert ledger.read_text().splitlines() == [row.key] * times
    assert entries == [f'{{"key":"{row.key}"}}'] and row.attempts == (1 if point == "effect_reported" else 2)


def found(store: SqliteStore) -> EffectRecord:
    """The effect."""
    (taken,) = store.read(lambda tx: effects.listed(tx, None, ("waiting", "done")))
    return taken.row


def noted(store: SqliteStore) -> list[str]:
    """With which arguments its outcome came back."""
    statement = "select arguments from journal where action = 'note'"
    return store.read(lambda tx: [arguments for (arguments,) in tx.execute(statement)])
