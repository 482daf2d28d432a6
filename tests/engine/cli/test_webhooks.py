"""webhooks add, list, show, test, rotate, enable, disable, remove, deliveries, replay: what they print and refuse."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.application import opened
from engine.operations import Call
from engine.settings import Settings
from engine.types import LOCAL
from tests.engine.background.conftest import Post
from tests.engine.background.receiving import Receiver, Reply, receiving

Run = Callable[..., Any]
HERE = {"TURNKEEPER_WEBHOOK_NETWORKS": "127.0.0.0/8, ::1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as found:
        yield found


def added(run: Run, url: str, *words: str) -> dict[str, Any]:
    done = run("webhooks", "add", url, *words, "--json", env=HERE)
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answered(run: Run, *words: str) -> Any:
    done = run("webhooks", *words, "--json", env=HERE)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def happen(tmp_path: Path, times: int = 1) -> None:
    """Have the main session of the counter change, and webhooks be told."""
    with opened(Settings(data_dir=tmp_path / "data")) as dispatcher:
        post = Post(dispatcher)
        for _ in range(times):
            dispatcher.dispatch(Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}))
        post.settle()
        post.close()


def test_a_secret_is_printed_once_and_alone(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    done = run("webhooks", "add", receiver.url, "--types", "counter.*", env=HERE)
    secret = done.stdout.strip()
    assert secret.startswith("whsec_") and len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert "is told of counter.*. The secret is not shown again." in done.stderr
    shown = run("webhooks", "list").stdout
    assert receiver.url in shown and "counter.*" in shown and secret not in shown
    assert secret.encode() not in (tmp_path / "data" / "turnkeeper.db").read_bytes()


def test_a_webhook_is_tried_out(run: Run, receiver: Receiver) -> None:
    found = added(run, receiver.url)
    receiver.answer = lambda received: Reply(200, body=b"welcome \x1b[31m")
    done = run("webhooks", "test", found["id"], env=HERE)
    assert done.returncode == 0 and "answered 200" in done.stdout and "welcome" in done.stdout
    assert "\x1b" not in done.stdout
    (one,) = receiver.received
    assert one.signed_by(found["secret"]) and one.json["type"] == "turnkeeper.test"
    receiver.answer = lambda received: Reply(302, {"Location": "https://elsewhere.example/"})
    done = run("webhooks", "test", found["id"], "--json", env=HERE)
    assert done.returncode == 1 and json.loads(done.stdout)["status"] == 302
    done = run("webhooks", "test", found["id"])
    assert done.returncode == 1 and "not asked: its host is no public one" in done.stdout
    assert run("webhooks", "deliveries").stdout == "No deliveries.\n"


def test_another_secret_signs_with_the_one_before(run: Run, receiver: Receiver) -> None:
    found = added(run, receiver.url)
    secret = run("webhooks", "rotate", found["id"]).stdout.strip()
    assert run("webhooks", "test", found["id"], env=HERE).returncode == 0
    assert receiver.received[-1].signed_by(secret, found["secret"])
    assert answered(run, "rotate", found["id"])["secret"].startswith("whsec_")


def test_deliveries_are_shown_with_their_attempts_and_go_out_again(
    run: Run, receiver: Receiver, tmp_path: Path
) -> None:
    found = added(run, receiver.url, "--types", "counter.add")
    receiver.answer = lambda received: Reply(503)
    happen(tmp_path)
    (listed,) = answered(run, "list")["webhooks"]
    assert listed["deliveries"] == {"waiting": 1, "done": 0, "dead": 0} and listed["failing_since"]
    assert "answered 503" in run("webhooks", "show", found["id"]).stdout
    (one,) = answered(run, "show", found["id"])["recent"]
    assert (one["type"], one["revision"], one["attempts"][0]["status"]) == ("counter.add", 2, 503)
    receiver.answer = lambda received: Reply()
    assert answered(run, "replay", one["id"]) == {"replayed": 1}
    happen(tmp_path)
    assert [done["state"] for done in answered(run, "deliveries", found["id"], "--state", "done")["deliveries"]] == [
        "done",
        "done",
    ]
    assert [received.id for received in receiver.received].count(one["id"]) == 2
    assert "counter.add at 3" in run("webhooks", "deliveries").stdout
    assert answered(run, "deliveries", "--state", "dead") == {"deliveries": []}
    assert answered(run, "deliveries", "--limit", "1")["deliveries"][0]["revision"] == 3
    assert answered(run, "replay", "--dead", found["id"]) == {"replayed": 0}


def test_a_disabled_webhook_waits(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    found = added(run, receiver.url)
    assert answered(run, "disable", found["id"])["disabled"] == "by hand"
    happen(tmp_path)
    assert receiver.received == [] and "by hand" in run("webhooks", "show", found["id"]).stdout
    assert answered(run, "enable", found["id"])["disabled"] is None
    happen(tmp_path)
    assert [received.json["data"]["revision"] for received in receiver.received] == [1, 2, 3]


def test_a_removed_webhook_is_gone(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    found = added(run, receiver.url)
    happen(tmp_path, times=3)
    assert f"{found['id']} is removed." in run("webhooks", "remove", found["id"]).stdout
    assert run("webhooks", "list").stdout == "No webhooks.\n"
    for words in (("remove",), ("show",), ("rotate",), ("enable",), ("disable",), ("test",), ("deliveries",)):
        done = run("webhooks", *words, found["id"])
        assert done.returncode == 1 and "There is no webhook" in done.stderr and "webhooks list" in done.stderr, words


def test_keys_drop_old_keeps_what_signs(run: Run, receiver: Receiver) -> None:
    found = added(run, receiver.url)
    assert run("keys", "rotate").returncode == 0
    assert run("keys", "drop-old").returncode == 0
    assert run("webhooks", "test", found["id"], env=HERE).returncode == 0
    assert receiver.received[-1].signed_by(found["secret"])


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("https://10.0.0.1/hooks", 1, "its host is no public one"),
        ("https://localhost/hooks", 1, "its host is no public one"),
        ("http://93.184.215.14/hooks", 1, "it is not https"),
        ("https://a..b/hooks", 1, "its host is no name of one"),
        ("ftp://hooks.example/", 2, "its address is no http or https URL"),
        ("https://user:word@hooks.example/", 2, "its address has a user or a fragment"),
    ],
)
def test_an_address_that_is_not_asked_is_refused_at_once(run: Run, url: str, code: int, said: str) -> None:
    done = run("webhooks", "add", url)
    assert done.returncode == code and said in done.stderr
    assert "TURNKEEPER_WEBHOOK_NETWORKS" in done.stderr or "https://app.example/webhooks" in done.stderr
    assert answered(run, "list") == {"webhooks": []}


@pytest.mark.parametrize("types", ["counter.fly", "fly.*", "counter", "counter.a b", "*.on_copy", "*.fork", ""])
def test_a_type_of_nothing_is_refused(run: Run, receiver: Receiver, types: str) -> None:
    done = run("webhooks", "add", receiver.url, "--types", types, env=HERE)
    assert done.returncode == 2 and "names no event of a world here" in done.stderr and "cart.pay" in done.stderr


def test_replay_is_told_what(run: Run) -> None:
    for words in ((), ("msg_1", "--dead", "whk_1")):
        done = run("webhooks", "replay", *words)
        assert done.returncode == 2 and "a delivery's id, or --dead" in done.stderr
    done = run("webhooks", "replay", "msg_1")
    assert done.returncode == 1 and "There is no delivery" in done.stderr


def test_a_network_that_is_none_is_refused(run: Run) -> None:
    done = run("webhooks", "list", env={"TURNKEEPER_WEBHOOK_NETWORKS": "10.0.0.0/99"})
    assert done.returncode == 2 and "TURNKEEPER_WEBHOOK_NETWORKS=10.0.0.0/99" in done.stderr
