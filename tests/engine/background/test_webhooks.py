"""Webhooks: who is told what, in which order, signed how, how often again, and what ends it."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest

from engine.background.deliveries import Deliveries, sweep_delivered
from engine.cli.serve import configure_logging
from engine.errors import NotFound, Refused, StoreError
from engine.keys import Keys
from engine.outbound import Outbound
from engine.store import deliveries, webhooks, workers
from engine.store.stores import Store
from engine.types import LOCAL
from engine.webhooks import JITTER, SCHEDULE, Webhook
from tests.engine.background.conftest import HERE, Post
from tests.engine.background.receiving import ENDLESS, SECONDS, Received, Receiver, Reply
from tests.hearing import After

PostOf = Callable[..., Post]
OK, BROKEN = Reply(), Reply(500)
OLD, NEW = "o" * 40, "n" * 40


def told(receiver: Receiver) -> list[tuple[str, int]]:
    return [one.about for one in receiver.received]


def waits(post: Post) -> timedelta:
    """How long the only delivery waits until it is tried again."""
    (one,) = post.log()
    assert one.due_at is not None
    return datetime.fromisoformat(one.due_at) - post.store.now()


def failing(answer: Callable[[Received], bool]) -> Callable[[Received], Reply]:
    return lambda received: BROKEN if answer(received) else OK


# what is told


def test_change_is_told_signed_and_thin(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    _, secret = post.add(receiver.url, "meter.tick")
    session = post.start()
    outcome = post.act(session)
    post.settle()
    (one,) = receiver.received
    assert one.signed_by(secret) and one.id.startswith("msg_") and one.path == "/hooks?by=test"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"].startswith("turnkeeper/")
    assert one.headers["host"] == f"127.0.0.1:{receiver.port}"
    sent = datetime.fromtimestamp(int(one.headers["webhook-timestamp"]), post.store.now().tzinfo)
    assert abs(post.store.now() - sent) < timedelta(minutes=1)
    state = outcome.state
    data = {"session": session, "world": "meter", "revision": 2, "action": "tick"}
    assert one.json["data"] == {**data, "state_before": state, "state": state}
    assert one.json["type"] == "meter.tick" and set(one.json) == {"type", "timestamp", "data"}
    assert datetime.fromisoformat(one.json["timestamp"]).tzinfo is not None
    (logged,) = post.log()
    assert (logged.id, logged.state, logged.attempts[0].status) == (one.id, "done", 200)


def test_webhook_is_told_of_the_types_it_wants(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url, "meter.reset", "*.undo", "bell.*")
    meter, bell = post.start(), post.start("bell")
    for name in ("tick", "reset", "tick", "undo"):
        post.act(meter, name)
    post.act(bell, "ring", "bell")
    post.settle()
    assert sorted(one.json["type"] for one in receiver.received) == [
        "bell.ring", "bell.start", "meter.reset", "meter.undo"
    ]  # fmt: skip
    undone = {one.json["type"]: one.json["data"].get("undone") for one in receiver.received}
    assert undone["meter.undo"] == 4 and undone["meter.reset"] is None


def test_webhook_hears_from_now_on_unless_from_the_start(
    post_of: PostOf, receiver: Receiver, another: Receiver
) -> None:
    post = post_of()
    session = post.start()
    post.act(session)
    post.add(receiver.url)
    post.add(another.url, from_start=True)
    post.act(session)
    post.settle()
    assert told(receiver) == [(session, 3)]
    assert told(another) == [(session, 1), (session, 2), (session, 3)]


def test_fork_is_told_and_not_the_past_it_has_from_another(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    session = post.start()
    post.act(session)
    post.add(receiver.url, from_start=True)
    post.settle()
    fork = post.dispatcher.fork(LOCAL, session).session
    post.act(fork)
    post.settle()
    assert [about for about in told(receiver) if about[0] == session] == [(session, 1), (session, 2)]
    assert all(revision > 2 for handle, revision in told(receiver) if handle == fork)
    assert told(receiver)[-1] == (fork, post.act(fork).revision - 1)


def test_news_that_comes_twice_makes_one_message(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    session = post.start()
    post.settle()
    post.store.write(lambda tx: tx.execute("delete from heard"))
    post.store.write(lambda tx: tx.execute("update consumer set from_start = ?", (True,)))
    post.act(session)
    post.settle()
    assert told(receiver) == [(session, 1), (session, 2)]


# again


def test_message_comes_again_the_same_until_it_is_dead_and_can_be_replayed(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    webhook, secret = post.add(receiver.url, "meter.tick")
    receiver.answer = failing(lambda received: True)
    session = post.start()
    post.act(session)
    post.settle()
    for number, pause in enumerate(SCHEDULE, 1):
        assert len(receiver.received) == number
        assert pause - timedelta(seconds=5) <= waits(post) <= pause * (1 + JITTER)
        if number == 5:
            receiver.answer = lambda received: Reply(None)
        post.store.offset += waits(post)
        post.settle()
        post.store.write(lambda tx: webhooks.enable(tx, webhook.id))
    (dead,) = post.log("dead")
    assert len(dead.attempts) == len(receiver.received) == len(SCHEDULE) + 1 and dead.due_at is None
    assert dead.attempts[-1].status is None and "closed without an answer" in str(dead.attempts[-1].error)
    assert len({(one.id, one.body) for one in receiver.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == len(SCHEDULE) + 1
    assert all(one.signed_by(secret) for one in receiver.received)
    receiver.answer = failing(lambda received: False)
    post.act(session)
    post.settle()
    assert told(receiver)[-1] == (session, 3)
    post.store.write(lambda tx: deliveries.replay(tx, dead.id))
    post.settle()
    assert receiver.received[-1].id == dead.id and receiver.received[-1].body == receiver.received[0].body
    assert [one.state for one in post.log()] == ["done", "done"]
    assert [one.attempts[-1].status for one in post.log()] == [200, 200]


def test_all_dead_ones_of_a_webhook_go_out_again_in_their_order(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    webhook, _ = post.add(receiver.url, "meter.tick")
    sessions = [post.start(), post.start()]
    for session in sessions * 3:
        post.act(session)
    post.pass_news()
    post.store.write(lambda tx: tx.execute("update delivery set state = 'dead', due_at = null"))
    while post.store.write(lambda tx: deliveries.replay_dead(tx, webhook.id, 4)):
        pass
    post.settle()
    for session in sessions:
        assert [about for about in told(receiver) if about[0] == session] == [(session, n) for n in (2, 3, 4)]


def test_what_was_delivered_can_be_replayed_and_what_is_on_its_way_cannot(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    post.start()
    post.settle()
    (one,) = post.log()
    held = threading.Event()
    receiver.answer = lambda received: Reply(held=held)
    post.store.write(lambda tx: deliveries.replay(tx, one.id))
    post.job.soon()
    post.job.look(post.holder)
    assert receiver.has(2)
    with pytest.raises(Refused, match="is being delivered just now"):
        post.store.write(lambda tx: deliveries.replay(tx, one.id))
    held.set()
    post.settle()
    assert len({(one.id, one.body) for one in receiver.received}) == 1
    with pytest.raises(NotFound, match="no delivery 'msg_none'"):
        post.store.write(lambda tx: deliveries.replay(tx, "msg_none"))


@pytest.mark.parametrize(
    ("status", "header", "least", "most"),
    [
        (503, "7200", timedelta(hours=2), timedelta(hours=2)),
        (429, "999999999", timedelta(days=1), timedelta(days=1)),
        (429, "1", timedelta(seconds=4), timedelta(seconds=6)),
        (503, "soon", timedelta(seconds=4), timedelta(seconds=6)),
        (500, "7200", timedelta(seconds=4), timedelta(seconds=6)),
    ],
)
def test_retry_after_is_heeded_up_to_a_day(
    post_of: PostOf, receiver: Receiver, status: int, header: str, least: timedelta, most: timedelta
) -> None:
    post = post_of()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(status, {"Retry-After": header})
    post.start()
    post.settle()
    assert least - timedelta(seconds=2) <= waits(post) <= most


# what receivers do


def test_redirect_is_a_failure_and_is_not_followed(post_of: PostOf, receiver: Receiver, another: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(307, {"Location": another.url})
    post.start()
    post.settle()
    (one,) = post.log()
    assert (one.state, one.attempts[0].status, another.received) == ("waiting", 307, [])


def test_replayed_message_goes_before_the_later_ones_of_its_session(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    session = post.start()
    post.settle()
    (first,) = post.log("done")
    receiver.answer = failing(lambda received: True)
    post.act(session)
    post.act(session)
    post.settle()
    post.store.write(lambda tx: deliveries.replay(tx, first.id))
    post.move(minutes=1)
    post.settle()
    assert told(receiver) == [(session, 1), (session, 2), (session, 1)]
    receiver.answer = lambda received: OK
    post.move(hours=1)
    post.settle()
    assert told(receiver)[3:] == [(session, 1), (session, 2), (session, 3)]


def test_replayed_message_waits_for_the_later_one_that_is_on_its_way(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(), threading.Event()
    post.add(receiver.url)
    session = post.start()
    post.settle()
    (first,) = post.log("done")
    receiver.answer = lambda received: Reply(held=held)
    post.act(session)
    post.pass_news()
    post.until(lambda: len(receiver.received) == 2, post.job.look)
    post.store.write(lambda tx: deliveries.replay(tx, first.id))
    post.act(session)
    post.pass_news()
    for _ in range(5):
        post.job.soon()
        post.job.look(post.holder)
    held.set()
    post.settle()
    assert told(receiver)[1:] == [(session, 2), (session, 1), (session, 3)] and receiver.most_at_once == 1


def test_body_without_an_end_is_cut_off(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(200, body=ENDLESS)
    post.start()
    post.settle()
    (one,) = post.log()
    assert one.state == "done" and one.attempts[0].seconds < 10


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_receiver_that_takes_too_long_is_not_waited_for(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(seconds=0.3), threading.Event()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(held=held)
    post.start()
    post.settle()
    held.set()
    (one,) = post.log()
    assert one.state == "waiting" and one.attempts[0].error == "no answer within 0.3 s"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nobody_there_is_a_failure(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add("http://127.0.0.1:9/hooks")
    post.start()
    post.settle()
    assert post.log()[0].attempts[0].error == "nobody answers there"


@pytest.mark.parametrize("hour", ["00", "9" * 30])
def test_time_to_wait_that_is_none_is_not_heeded(post_of: PostOf, receiver: Receiver, hour: str) -> None:
    post = post_of()
    post.add(receiver.url)
    later = {"retry-after": f"Mon, 01 Jan {'9' * 30} {hour}:00:00 GMT"}
    receiver.answer = lambda received: Reply(503, later) if len(receiver.received) == 1 else OK
    post.start()
    post.settle()
    assert len(receiver.received) == 1 and [one.status for one in post.log("waiting")[0].attempts] == [503]


def test_gone_disables_and_what_waits_goes_out_once_it_is_enabled(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    webhook, _ = post.add(receiver.url)
    receiver.answer = lambda received: Reply(410)
    session = post.start()
    post.settle()
    assert "answered 410" in str(post.webhook(webhook).disabled)
    post.act(session)
    post.move(days=1)
    post.settle()
    assert len(receiver.received) == 1 and len(post.log("waiting")) == 2
    receiver.answer = lambda received: OK
    post.store.write(lambda tx: webhooks.enable(tx, webhook.id))
    post.settle()
    assert told(receiver) == [(session, 1), (session, 1), (session, 2)]
    assert post.webhook(webhook).disabled is None


def test_webhook_that_failed_for_days_is_disabled_and_one_success_begins_anew(
    post_of: PostOf, receiver: Receiver
) -> None:
    post = post_of()
    webhook, _ = post.add(receiver.url)
    receiver.answer = failing(lambda received: True)

    def fail() -> Webhook:
        post.start()
        post.settle()
        return post.webhook(webhook)

    assert fail().failing_since is not None
    post.move(days=4)
    assert fail().disabled is None
    receiver.answer = failing(lambda received: False)
    assert fail().failing_since is None
    receiver.answer = failing(lambda received: True)
    post.move(days=4)
    assert fail().disabled is None
    post.move(days=5)
    assert "every delivery has failed since" in str(fail().disabled)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_log_of_a_server_has_no_addresses_of_webhooks(
    post_of: PostOf, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    post = post_of()
    post.add(receiver.url)
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, "httpx2"):
        configure_logging()
        post.start()
        post.settle()
    assert post.log()[0].state == "done" and "by=test" not in caplog.text


# addresses


def test_private_address_is_not_asked_unless_its_network_is_listed(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of(listed=False)
    post.add(f"https://127.0.0.1:{receiver.port}/hooks")
    post.add(f"https://hooks.example:{receiver.port}/hooks")
    post.start()
    post.settle()
    assert {one.attempts[0].error for one in post.log()} <= {
        "not asked: its host is no public one", "its host cannot be looked up"
    }  # fmt: skip
    assert receiver.received == [] and {one.state for one in post.log()} == {"waiting"}


def test_address_that_changes_between_two_attempts_is_judged_anew(post_of: PostOf, receiver: Receiver) -> None:
    found = ["127.0.0.1"]
    post = post_of(look_up=lambda host, port: list(found))
    post.add(f"http://hooks.example:{receiver.port}/hooks")
    receiver.answer = failing(lambda received: True)
    post.start()
    post.settle()
    found[:] = ["10.0.0.1"]
    post.move(minutes=1)
    post.settle()
    assert len(receiver.received) == 1
    assert post.log()[0].attempts[1].error == "not asked: its host is no public one"


def test_connection_goes_to_the_address_that_was_judged(post_of: PostOf, receiver: Receiver) -> None:
    looks: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["169.254.169.254"]

    post = post_of(look_up=rebinding)
    post.add(f"http://hooks.example:{receiver.port}/hooks")
    post.start()
    post.settle()
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}" and looks == ["hooks.example"]


# order, and who holds up whom


def test_later_changes_of_a_session_wait_for_one_that_fails_and_other_sessions_do_not(
    post_of: PostOf, receiver: Receiver
) -> None:
    post = post_of()
    post.add(receiver.url)
    first, second = post.start(), post.start()
    receiver.answer = failing(lambda received: received.about == (first, 1))
    for _ in range(5):
        post.act(first)
        post.act(second)
    post.settle()
    assert [about for about in told(receiver) if about[0] == first] == [(first, 1)]
    assert [about for about in told(receiver) if about[0] == second] == [(second, n) for n in range(1, 7)]
    receiver.answer = failing(lambda received: False)
    post.move(minutes=1)
    post.settle()
    assert [about for about in told(receiver) if about[0] == first] == [(first, n) for n in (1, 1, 2, 3, 4, 5, 6)]


def test_slow_receiver_holds_nobody_else_up_and_gets_a_few_at_once(
    post_of: PostOf, receiver: Receiver, another: Receiver
) -> None:
    post, held = post_of(), threading.Event()
    post.add(receiver.url)
    post.add(another.url)
    receiver.answer = lambda received: Reply(held=held)
    sessions = [post.start() for _ in range(12)]
    post.until(lambda: len(another.received) >= 12, post.job.look)
    assert receiver.has(4) and receiver.most_at_once == 4
    held.set()
    post.settle()
    assert sorted(told(receiver)) == sorted((session, 1) for session in sessions)
    assert receiver.most_at_once <= 4


def test_two_processes_share_the_work_and_keep_the_order(post_of: PostOf, receiver: Receiver) -> None:
    one, other = post_of(), post_of()
    one.add(receiver.url)
    sessions = [one.start() for _ in range(4)]
    for _ in range(10):
        for session in sessions:
            one.act(session)
    one.until(lambda: len(one.log("done")) == 44, one.job.look, lambda _: other.job.look(other.holder))
    for session in sessions:
        assert [about for about in told(receiver) if about[0] == session] == [(session, n) for n in range(1, 12)]


def test_late_report_of_a_lost_lease_is_dropped(post_of: PostOf, receiver: Receiver) -> None:
    late, prompt = post_of(), post_of()
    late.add(receiver.url)
    held = threading.Event()
    receiver.answer = lambda received: Reply(200, held=held) if len(receiver.received) == 1 else BROKEN
    late.start()
    late.pass_news()
    late.job.look(late.holder)
    assert receiver.has(1)
    late.store.write(lambda tx: workers.leave(tx, late.holder))
    prompt.settle()
    held.set()
    late.job.close()
    (one,) = late.log()
    assert (one.state, [attempt.status for attempt in one.attempts]) == ("waiting", [500])
    assert receiver.received[0].id == receiver.received[1].id


def test_what_was_let_go_is_not_noted_and_comes_again(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(), threading.Event()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(held=held)
    post.start()
    post.pass_news()
    post.job.look(post.holder)
    assert receiver.has(1)
    post.job.let_go()
    held.set()
    post.store.write(lambda tx: workers.leave(tx, post.holder))
    post.holder = post.enter()
    post.settle()
    (one,) = post.log()
    assert len(receiver.received) == 2 and receiver.received[0].id == receiver.received[1].id == one.id
    assert (one.state, len(one.attempts)) == ("done", 1)


def test_who_steps_back_ends_what_it_began_and_takes_nothing_more(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(), threading.Event()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(held=held)
    session = post.start()
    post.act(session)
    post.pass_news()
    post.job.look(post.holder)
    assert receiver.has(1)
    post.job.step_back(post.holder)
    held.set()
    post.job.close()
    assert told(receiver) == [(session, 1)] and [one.state for one in post.log()] == ["done", "waiting"]
    assert post.count("delivery where worker_id is not null") == 0


def test_lease_that_is_lost_in_a_look_begins_nothing(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    post.start()
    post.pass_news()
    store = After(post.store)
    job = Deliveries(store, Outbound(HERE))  # type: ignore[arg-type]
    store.then = job.let_go
    job.look(post.holder)
    job.soon()
    job.look(post.holder)
    assert post.count("delivery where worker_id is not null") == 1  # until the lease is given back
    job.close()
    assert not receiver.received


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_letting_go_waits_for_no_database(post_of: PostOf, receiver: Receiver) -> None:
    post, held, began = post_of(), threading.Event(), threading.Event()
    post.add(receiver.url)
    post.start()
    post.pass_news()
    store, answered = After(post.store), threading.Event()
    receiver.answer = lambda received: Reply(held=answered)
    job = Deliveries(store, Outbound(HERE))  # type: ignore[arg-type]
    job.look(post.holder)

    def wait() -> None:
        began.set()
        held.wait(SECONDS)

    store.then = wait
    answered.set()
    assert began.wait(SECONDS)
    before = time.monotonic()
    job.let_go()
    took = time.monotonic() - before
    held.set()
    job.close()
    assert took < 1.0


def test_process_that_ends_waits_a_little_and_gives_the_rest_back(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(), threading.Event()
    post.add(receiver.url)
    receiver.answer = lambda received: Reply(held=held)
    session = post.start()
    post.pass_news()
    post.job.look(post.holder)
    assert receiver.has(1)
    post.job.close()
    post.store.write(lambda tx: workers.leave(tx, post.holder))
    held.set()
    post.holder = post.enter()
    post.settle()
    assert told(receiver) == [(session, 1), (session, 1)]


# secrets


def test_secret_that_was_replaced_signs_along_for_a_day(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    webhook, old = post.add(receiver.url)
    new = post.store.write(lambda tx: webhooks.rotate(tx, webhook.id))
    post.start()
    post.settle()
    assert receiver.received[-1].signed_by(new, old)
    post.move(hours=24, seconds=1)
    post.start()
    post.settle()
    assert receiver.received[-1].signed_by(new)


def test_secrets_are_sealed_and_outlive_the_keys_that_sealed_them(
    post_of: PostOf, receiver: Receiver, store_of: Callable[..., Store]
) -> None:
    post = post_of()
    store = post.store
    plain, plain_secret = post.add(receiver.url)
    store.keys = Keys((OLD,))
    webhook, secret = post.add(receiver.url)
    kept = store.read(lambda tx: tx.execute("select secrets from webhook where id = ?", (webhook.id,)).fetchone()[0])
    assert secret not in kept
    store.keys = Keys((NEW, OLD))
    store.write(lambda tx: tx.seal_anew())
    store.keys = Keys((NEW,))
    signing = [store.read(partial(webhooks.signing, webhook=one.id)) for one in (plain, webhook)]
    assert signing == [(plain_secret,), (secret,)]
    post.start()
    post.settle()
    assert all(one.signed_by(plain_secret) or one.signed_by(secret) for one in receiver.received)
    assert len(receiver.received) == 2


def test_webhook_whose_key_is_lost_waits_and_goes_on_with_a_new_secret(
    post_of: PostOf, receiver: Receiver, another: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    post = post_of()
    post.store.keys = Keys((OLD,))
    lost, _ = post.add(receiver.url)
    post.store.keys = Keys((NEW,))
    fine, _ = post.add(another.url)
    session = post.start()
    post.until(lambda: len(post.log("done")) == 1, post.job.look)
    assert told(another) == [(session, 1)] and "nothing can be delivered" in caplog.text
    with pytest.raises(StoreError, match="sealed under a key that is not here"):
        post.store.write(lambda tx: tx.seal_anew())
    post.store.write(lambda tx: tx.forget_secrets())
    assert "the key that sealed its secret is lost" in str(post.webhook(lost).disabled)
    assert post.webhook(fine).disabled is None
    with pytest.raises(Refused, match="has no secret"):
        post.store.write(lambda tx: webhooks.enable(tx, lost.id))
    secret = post.store.write(lambda tx: webhooks.rotate(tx, lost.id))
    post.store.write(lambda tx: webhooks.enable(tx, lost.id))
    post.store.write(lambda tx: tx.seal_anew())
    post.settle()
    assert told(receiver) == [(session, 1)] and receiver.received[0].signed_by(secret)


# what cannot be told


def test_session_of_which_no_message_can_be_made_is_shown_and_is_tried_again(
    post_of: PostOf, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    post = post_of()
    webhook, _ = post.add(receiver.url)
    session = post.start()
    post.store.write(lambda tx: tx.execute("alter table delivery rename column body to content"))

    def is_parked() -> bool:
        post.move(minutes=6)
        return any(one.parked_at for one in post.store.read(lambda tx: webhooks.troubles(tx, webhook.id)))

    post.until(is_parked)
    (trouble,) = post.store.read(lambda tx: webhooks.troubles(tx, webhook.id))
    assert (trouble.session, trouble.revision) == (session, 1) and "webhook" in caplog.text
    post.store.write(lambda tx: tx.execute("alter table delivery rename column content to body"))
    post.store.write(lambda tx: webhooks.enable(tx, webhook.id))
    post.until(lambda: len(post.log("done")) == 1, post.job.look)
    assert told(receiver) == [(session, 1)]


# what goes


def test_removed_webhook_leaves_nothing(post_of: PostOf, receiver: Receiver) -> None:
    post, held = post_of(), threading.Event()
    webhook, _ = post.add(receiver.url)
    receiver.answer = lambda received: Reply(held=held)
    for session in [post.start() for _ in range(3)]:
        post.act(session)
    post.pass_news()
    post.job.look(post.holder)
    assert receiver.has(1)
    post.store.write(lambda tx: webhooks.silence(tx, webhook.id))
    while not post.store.write(lambda tx: webhooks.remove(tx, webhook.id, 2)):
        pass
    held.set()
    post.job.close()
    for table in ("webhook", "delivery", "delivery_attempt", "heard", "consumer"):
        assert post.count(table) == 0


def test_erased_session_takes_its_messages_along(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    receiver.answer = failing(lambda received: True)
    session = post.start()
    post.settle()
    post.dispatcher.erase(LOCAL, session)
    post.move(days=1)
    post.settle()
    assert len(receiver.received) == 1 and post.log() == []


def test_what_was_taken_long_ago_is_swept_and_what_was_not_stays(post_of: PostOf, receiver: Receiver) -> None:
    post = post_of()
    post.add(receiver.url)
    first, second = post.start(), post.start()
    receiver.answer = failing(lambda received: received.about[0] == second)
    post.settle()
    post.move(days=31)
    sweep_delivered(post.store, lambda: True)
    assert [one.session for one in post.log()] == [second]
    assert first != second
