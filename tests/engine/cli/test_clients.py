"""client add, list, remove and secret: what they print, keep and refuse."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.auth.tokens import hashed

Run = Callable[..., Any]
CALLBACK = "https://app.example/callback"


def added(run: Run, *words: str) -> dict[str, Any]:
    done = run("client", "add", *words, "--json")
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def clients(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("client", "list", "--json").stdout)["clients"]
    return found


def changed(tmp_path: Path, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of some statements gives on the database."""
    with closing(sqlite3.connect(tmp_path / "data" / "turnkeeper.db")) as database:
        found = [database.execute(statement).fetchall() for statement in statements]
        database.commit()
        return found[-1]


def test_a_public_client_has_no_secret_and_its_redirect_uris_to_the_letter(run: Run, tmp_path: Path) -> None:
    uris = [CALLBACK, "http://127.0.0.1/cb?x=1", "http://[::1]:7777/cb", "com.example.app:/callback"]
    words = [word for uri in uris for word in ("--redirect-uri", uri)]
    found = added(run, "My app", *words, "--scope", "cart:read counter:read")
    assert found["client_secret"] is None and found["acts_as"] is None
    assert (found["redirect_uris"], found["scope"]) == (uris, "cart:read counter:read")
    assert found["grant_types"] == ["authorization_code", "refresh_token"]
    assert changed(tmp_path, "select kind, method, secret, service_id from client") == [
        ("registered", "none", None, None)
    ]
    (listed,) = clients(run)
    assert {**listed, "client_secret": None} == found


def test_a_machine_gets_a_secret_and_a_service_account(run: Run, tmp_path: Path) -> None:
    done = run("client", "add", "robot", "--credentials")
    client_id, secret = (line.split()[1] for line in done.stdout.splitlines()[:2])
    assert f"It acts as 'client {client_id}' where no person does." in done.stdout
    found = changed(
        tmp_path,
        "select client.secret, method, grant_types, issuer, subject, person.name from client"
        " join person on person.id = service_id",
    )
    kept = (hashed(secret), "client_secret_basic", '["client_credentials"]', "client", client_id, "robot")
    assert found == [kept]
    assert secret not in run("client", "list").stdout


def test_another_secret_takes_the_place_of_the_one_before(run: Run, tmp_path: Path) -> None:
    found = added(run, "web", "--redirect-uri", CALLBACK, "--secret")
    done = run("client", "secret", found["client_id"])
    secret = done.stdout.strip()
    assert secret.startswith("tks_") and secret != found["client_secret"]
    assert changed(tmp_path, "select secret from client") == [(hashed(secret),)]
    public = added(run, "app", "--redirect-uri", CALLBACK)["client_id"]
    done = run("client", "secret", public)
    assert done.returncode == 1 and "is a public client" in done.stderr and "--secret" in done.stderr
    assert json.loads(run("client", "secret", found["client_id"], "--json").stdout)["client_id"] == found["client_id"]


def test_removing_a_client_takes_what_was_granted_to_it(run: Run, tmp_path: Path) -> None:
    robot = added(run, "robot", "--credentials", "--redirect-uri", CALLBACK)["client_id"]
    at = "'2026-11-25T12:00:00.000000+00:00'"
    changed(
        tmp_path,
        "insert into oauth_grant (id, person_id, client_id, resource, scope, created_at, used_at)"
        f" select 1, service_id, id, '', '', {at}, {at} from client",
        "insert into oauth_grant (id, person_id, client_id, resource, scope, created_at, used_at, ended_at)"
        f" select 2, service_id, id, '', '', {at}, {at}, {at} from client",
        "insert into token (hash, person_id, grant_id, resource, scope, created_at)"
        f" select 'h', service_id, 1, '', '', {at} from client",
    )
    assert clients(run)[0]["grants"] == 1
    done = run("client", "remove", robot)
    assert done.returncode == 0 and f"robot ({robot}) is removed." in done.stdout
    assert f"`turnkeeper user delete 'client {robot}'` deletes them." in done.stdout
    assert changed(tmp_path, "select (select count(*) from oauth_grant), (select count(*) from token)") == [(0, 0)]
    assert run("client", "list").stdout == "No clients.\n"
    assert run("user", "delete", f"client {robot}", "--yes").returncode == 0
    done = run("client", "remove", robot)
    assert done.returncode == 1 and "There is no client" in done.stderr and "client list" in done.stderr


def test_the_list_shows_where_clients_go_back_to(run: Run) -> None:
    added(run, "web", "--redirect-uri", CALLBACK, "--secret")
    shown = run("client", "list").stdout
    assert "web" in shown and CALLBACK in shown and "authorization_code, refresh_token (secret)" in shown


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/callback",
        "https:///callback",
        "/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example/callback#part",
        "https://someone@app.example/callback",
        "https://app.example/call back",
        "https://app.example\\@evil.example/",
        "https://[::1/callback",
        "https://app.example:port/callback",
        "https://äpp.example/callback",
        "",
    ],
)
def test_a_redirect_uri_that_no_code_may_be_sent_to_is_refused(run: Run, uri: str) -> None:
    done = run("client", "add", "app", "--redirect-uri", CALLBACK, "--redirect-uri", uri)
    assert done.returncode == 2 and "cannot be a redirect URI" in done.stderr
    assert "https://app.example/callback" in done.stderr
    assert clients(run) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("app",), "Give --redirect-uri for one that people use, --credentials for a machine, or both."),
        (("app", "--secret"), "A client needs somewhere to go back to"),
        (("app", "--credentials", "--scope", "cart:fly"), "No world here has the scope 'cart:fly'."),
        ((" ", "--credentials"), "A name has 1 to 100 printable characters"),
    ],
)
def test_what_cannot_be_a_client_is_refused_with_a_remedy(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run("client", "add", *words)
    assert done.returncode == 2 and said in done.stderr
    assert clients(run) == []
