"""user add, list, link, password and remove: what they print and what they do."""

import json
from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]
PASSWORD = "correct horse battery"


def accounts(run: Run) -> list[str]:
    return [one["account"] for one in json.loads(run("user", "list", "--json").stdout)["accounts"]]


def test_account_is_made_with_a_password_from_standard_input(run: Run) -> None:
    assert "There is no account" in run("user", "list").stdout
    done = run("user", "add", "Ada", lines=PASSWORD + "\n")
    assert (done.returncode, done.stdout.strip()) == (0, "ada can sign in.")
    assert accounts(run) == ["ada"] and "ada" in run("user", "list").stdout


def test_password_that_is_too_short_makes_no_account(run: Run) -> None:
    done = run("user", "add", "ada", lines="short\n")
    assert done.returncode == 1 and "12 to 1024 characters; this one has 5" in done.stderr
    assert accounts(run) == []


def test_name_that_is_taken_or_none_is_refused(run: Run) -> None:
    run("user", "add", "ada", lines=PASSWORD + "\n")
    taken = run("user", "add", "ada", lines=PASSWORD + "\n")
    assert taken.returncode == 1 and "There is an account 'ada' already" in taken.stderr
    assert "cannot be an account's name" in run("user", "add", "a b", lines=PASSWORD + "\n").stderr
    assert run("user", "link", "ada").returncode == 1
    for reserved in ("local", "Operator"):
        assert "means somebody else" in run("user", "add", reserved, lines=PASSWORD + "\n").stderr


def test_only_one_account_takes_the_terminals_sessions_over(run: Run) -> None:
    assert run("user", "add", "ada", "--take-over", lines=PASSWORD + "\n").returncode == 0
    second = run("user", "add", "bea", "--take-over", lines=PASSWORD + "\n")
    assert second.returncode == 1 and "taken over" in second.stderr
    assert accounts(run) == ["ada"]


def test_links_are_printed(run: Run) -> None:
    run("user", "add", "ada", lines=PASSWORD + "\n")
    for words in (("user", "link"), ("user", "link", "bea"), ("user", "password", "ada")):
        assert run(*words).stdout.startswith("http://127.0.0.1:8000/invitations/tkl_"), words
    assert json.loads(run("user", "link", "--json").stdout)["link"].startswith("http://")


def test_password_is_set_and_account_removed(run: Run) -> None:
    run("user", "add", "ada", lines=PASSWORD + "\n")
    assert run("user", "password", "ada", "--ask", lines="another passphrase\n").returncode == 0
    assert run("user", "remove", "ada").returncode == 0
    assert accounts(run) == []
    for words in (("user", "remove", "ada"), ("user", "password", "ada")):
        done = run(*words)
        assert done.returncode == 1 and "There is no account 'ada'" in done.stderr
