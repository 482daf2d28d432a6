"""token create, list and revoke: what they print, keep and refuse."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.auth.tokens import hashed
from engine.cli.tokens import expiry
from engine.errors import InvalidArguments

Run = Callable[..., Any]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def created(run: Run, *words: str) -> dict[str, Any]:
    done = run("token", "create", *words, "--json")
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("token", "list", *words, "--json").stdout)["tokens"]
    return found


def rows(tmp_path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(tmp_path / "data" / "turnkeeper.db")) as database:
        return database.execute(statement).fetchall()


def test_a_token_is_printed_alone_and_only_its_hash_is_kept(run: Run, tmp_path: Path) -> None:
    done = run("token", "create", "backup script", "--scope", "counter:read")
    token = done.stdout.rstrip("\n")
    assert done.returncode == 0 and token.startswith("tkp_") and len(token.split()) == 1
    assert "For local, at http://127.0.0.1:8000, with counter:read. It expires on " in done.stderr
    ((digest, name, scope, grant),) = rows(tmp_path, "select hash, name, scope, grant_id from token")
    assert (digest, name, scope, grant) == (hashed(token), "backup script", "counter:read", None)
    assert token not in str(rows(tmp_path, "select * from token"))
    assert token not in run("token", "list").stdout + run("token", "list", "--json").stdout


def test_without_scopes_it_reads_and_acts_in_what_it_reaches_for_ninety_days(run: Run) -> None:
    run("play", "counter", lines="add 1\n")
    handle = json.loads(run("sessions", "--json").stdout)["sessions"][0]["session"]
    whole, world, session = (
        created(run, name, *words)
        for name, words in (("a", ()), ("b", ("--world", "counter")), ("c", ("--session", handle[:12])))
    )
    assert {"counter:read", "cart:write", "adventure:read"} < set(whole["scope"].split())
    assert world["scope"] == session["scope"] == "counter:read counter:write"
    assert [one["resource"].removeprefix("http://127.0.0.1:8000") for one in (whole, world, session)] == [
        "",
        "/worlds/counter/mcp",
        f"/sessions/{handle}/mcp",
    ]
    left = datetime.fromisoformat(whole["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)


def test_list_and_revoke_are_of_one_person(run: Run) -> None:
    added = json.loads(run("client", "add", "robot", "--credentials", "--json").stdout)
    other = added["acts_as"]
    created(run, "same", "--expires", "never")
    created(run, "same", "--for", other)
    assert {(one["name"], one["for"], one["expired"]) for one in listed(run)} == {
        ("same", "local", False),
        ("same", other, False),
    }
    assert [one["expires_at"] for one in listed(run, "--for", "local")] == [None]
    done = run("token", "revoke", "same")
    assert (done.returncode, done.stdout) == (0, "same of local is revoked.\n")
    assert [one["for"] for one in listed(run)] == [other]
    assert json.loads(run("token", "revoke", "same", "--for", other, "--json").stdout) == {
        "revoked": "same",
        "for": other,
    }
    assert run("token", "list").stdout == "No tokens.\n"
    done = run("token", "revoke", "same")
    assert done.returncode == 1 and "local has no token 'same'." in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("x", "--scope", "counter:fly"), 2, "No world here has the scope 'counter:fly'. There are: "),
        (("x", "--scope", "cart:read", "--world", "counter"), 2, "There are: counter:read, counter:write"),
        (("x", "--world", "nowhere"), 1, "There is no world 'nowhere'."),
        (("x", "--session", "ses_none"), 1, "There is no session 'ses_none'."),
        (("x", "--expires", "soon"), 2, "Right are 12h, 90d, 8w, 2030-01-31 and never."),
        (("x", "--expires", "2001-01-01"), 2, "is no time to come"),
        (("x", "--for", "zoe"), 1, "There is nobody called 'zoe' here."),
        (("x" * 101,), 2, "A name has 1 to 100 printable characters"),
        (("two\nlines",), 2, "A name has 1 to 100 printable characters"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("token", "create", *words)
    assert done.returncode == code and said in " ".join(done.stderr.split())
    assert (done.stdout, listed(run)) == ("", [])


def test_a_name_is_used_once_by_a_person(run: Run) -> None:
    created(run, "one")
    done = run("token", "create", "one")
    assert done.returncode == 1 and "local has a token 'one' already." in done.stderr


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("12h", NOW + timedelta(hours=12)),
        ("90d", NOW + timedelta(days=90)),
        ("8w", NOW + timedelta(weeks=8)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T10:00:00+02:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
        ("never", None),
    ],
)
def test_an_expiry_is_a_duration_a_date_or_never(text: str, at: datetime | None) -> None:
    assert expiry(text, NOW) == at


@pytest.mark.parametrize("text", ["", "0d", "-1d", "d", "90", "99999d", "9999-12-31T23:59:59-23:59", "2026-11-25"])
def test_an_expiry_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments, match="no time to come"):
        expiry(text, NOW)
