"""What the kills are judged by: it is silent about a sound database, and shows whatever was planted in one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Semaphore

import pytest

from engine.application import opened
from engine.registry import Registry
from engine.store.sqlite import SQLITE
from engine.types import LOCAL
from tests.crash.child import LEDGER, settings
from tests.crash.clients import Client, Direct
from tests.crash.evidence import findings
from tests.crash.ledger import Ledger

LAST = "(select max(revision) from journal where action = 'note')"


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[tuple[Path, Client]]:
    """A database after a client's forty steps."""
    file = tmp_path / "turnkeeper.db"
    with opened(settings(f"sqlite:///{file}"), Registry([Ledger])) as dispatcher:
        client = Client("c", [dispatcher.start(LOCAL, LEDGER).session], Random(7), Semaphore())
        for _ in range(40):
            client.step(Direct(dispatcher))
    yield file, client


def verdict(file: Path, client: Client) -> list[str]:
    with opened(settings(f"sqlite:///{file}"), Registry([Ledger])) as dispatcher:
        return findings(dispatcher, [client])


def test_a_sound_database_gives_no_finding(judged: tuple[Path, Client]) -> None:
    file, client = judged
    assert len(client.answered) > 20
    assert verdict(file, client) == []


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (f"delete from journal where revision = {LAST}", "is lost"),
        (f"delete from journal where revision = {LAST}", "but a journal of"),
        (f"update journal set key = 'c-none' where revision = {LAST}", "done and never wanted"),
        (f"update journal set result = replace(result, 'ky\":', 'ky\":1') where revision = {LAST}", "and is Entry"),
        (f"update journal set data = replace(data, 'total\":', 'total\":1') where revision = {LAST}", "upon"),
        ("update session set data = replace(data, 'total\":', 'total\":1')", "adds up to"),
        ("delete from tests_crash_ledger__line", "adds up to"),
    ],
)
def test_what_was_planted_is_found(judged: tuple[Path, Client], planted: str, said: str) -> None:
    file, client = judged
    with closing(SQLITE.connect(str(file))) as connection:
        connection.execute(planted)
        connection.commit()
    assert any(said in finding for finding in verdict(file, client))


def test_a_session_that_nobody_was_told_of_is_found(judged: tuple[Path, Client]) -> None:
    file, client = judged
    with opened(settings(f"sqlite:///{file}"), Registry([Ledger])) as dispatcher:
        dispatcher.start(LOCAL, LEDGER)
    assert any("there are" in finding for finding in verdict(file, client))


def test_an_answer_that_changes_when_asked_again_is_found(judged: tuple[Path, Client]) -> None:
    file, client = judged
    key, (request, answer) = next(iter(client.answered.items()))
    client.answered[key] = (request, type(answer)(answer.session, answer.at + 1, answer.value))
    with opened(settings(f"sqlite:///{file}"), Registry([Ledger])) as dispatcher:
        client.settle(Direct(dispatcher))
    assert any("when asked again" in finding for finding in verdict(file, client))
