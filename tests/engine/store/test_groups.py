"""Group commit: several callers' work in one transaction, each with an outcome of its own, on both databases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import Busy, LimitExceeded, Refused
from engine.limits import Limits
from engine.migrate import upgrade
from engine.store.groups import GROUP_SIZE, Member
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Principal

Stores = Callable[..., Store]
LANE = "one"
"""All that waits here waits for one session."""


def made(store: Store) -> Store:
    upgrade(store, ())
    store.group_seconds = 60  # so that a slow machine ends no group early
    return store


def person(name: str) -> Principal:
    return Principal(issuer="test", subject=name)


def adding(name: str) -> Callable[[Transaction], str]:
    def work(transaction: Transaction) -> str:
        transaction.ensure_person(person(name))
        return name

    return work


def there(store: Store, name: str) -> bool:
    return store.read(lambda transaction: transaction.person_id(person(name))) is not None


class Crowd:
    """Members that were queued while the writer was held up, so that they come as one group."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[str] = []
        self.members: list[Member[Any]] = []
        self._done = threading.Semaphore(0)

    def add(self, name: str, work: Callable[[Transaction], Any], caller: object = None) -> Member[Any]:
        def noted(transaction: Transaction) -> Any:
            self.events.append(f"work {name}")
            return work(transaction)

        member: Member[Any] = Member(
            noted,
            told=lambda _: self.events.append(f"told {name}"),
            done=lambda _: self._done.release(),
            lane=LANE,
            caller=caller,
        )
        self.members.append(member)
        self.store.submit(member)
        return member

    def wait(self) -> None:
        for _ in self.members:
            assert self._done.acquire(timeout=30)


@contextmanager
def crowd(store: Store) -> Iterator[Crowd]:
    """What is added in the block is carried out after it, as one group where that is possible."""
    began, go, ended = threading.Event(), threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        began.set()
        assert go.wait(30)

    store.submit(Member(hold, done=lambda _: ended.set(), lane=LANE))
    assert began.wait(30)
    found = Crowd(store)
    yield found
    go.set()
    assert ended.wait(30)
    found.wait()


def test_callers_that_wait_share_a_commit_and_are_told_in_order_after_it(store_of: Stores) -> None:
    store = made(store_of())
    with crowd(store) as waiting:
        for name in "abc":
            waiting.add(name, adding(name))
    assert waiting.events == ["work a", "work b", "work c", "told a", "told b", "told c"]
    assert [member.outcome() for member in waiting.members] == ["a", "b", "c"]
    assert all(there(store, name) for name in "abc")


def test_group_ends_when_it_is_full(store_of: Stores) -> None:
    store = made(store_of(limits=Limits(waiting=2 * GROUP_SIZE + 1)))
    with crowd(store) as waiting:
        for number in range(GROUP_SIZE + 1):
            waiting.add(str(number), lambda transaction: None)
    last = waiting.events.index(f"work {GROUP_SIZE}")
    assert waiting.events.index("told 0") < last


def test_member_that_fails_is_taken_back_alone(store_of: Stores) -> None:
    store = made(store_of())

    def fail(transaction: Transaction) -> None:
        adding("b")(transaction)
        raise Refused("no", "Not this one.")

    with crowd(store) as waiting:
        waiting.add("a", adding("a"))
        failing = waiting.add("b", fail)
        waiting.add("c", adding("c"))
    with pytest.raises(Refused, match="Not this one"):
        failing.outcome()
    assert (there(store, "a"), there(store, "b"), there(store, "c")) == (True, False, True)
    assert waiting.events == ["work a", "work b", "work c", "told a", "told c"]


def test_refusal_decided_in_a_group_leaves_after_its_commit(store_of: Stores) -> None:
    store = made(store_of())
    seen: list[bool] = []

    def refuse(transaction: Transaction) -> None:
        raise Refused("no", "Not this one.")

    with crowd(store) as waiting:
        waiting.add("a", adding("a"))
        refused = waiting.add("b", refuse)
        finished = refused.done
        assert finished is not None

        def look(member: Member[Any]) -> None:
            seen.append(there(store, "a"))
            finished(member)

        refused.done = look
    assert seen == [True]


def test_statement_that_breaks_a_constraint_harms_nobody_else(store_of: Stores) -> None:
    store = made(store_of())

    def broken(transaction: Transaction) -> None:
        transaction.keep_start_key(12345, "key", 12345, "{}")

    with crowd(store) as waiting:
        waiting.add("a", adding("a"))
        failing = waiting.add("b", broken)
        waiting.add("c", adding("c"))
    assert there(store, "a") and there(store, "c")
    with pytest.raises(Refused, match="constraint failed"):
        failing.outcome()


def test_exit_of_an_action_is_its_callers_alone_and_the_writer_lives(store_of: Stores) -> None:
    store = made(store_of())

    def leave(transaction: Transaction) -> None:
        raise SystemExit("bye")

    with pytest.raises(SystemExit):
        store.write(leave)
    assert store.write(adding("a")) == "a"


ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n)"
    " insert into secret select 'n' || i, 'x' from n",
    "postgresql": "select pg_sleep(60)",
}


def test_statement_that_takes_too_long_is_interrupted_and_only_its_caller_gets_the_error(store_of: Stores) -> None:
    store = made(store_of(limits=Limits(seconds=0.2)))

    def long(transaction: Transaction) -> None:
        transaction.db.connection().exec_driver_sql(ENDLESS[transaction.dialect])

    with crowd(store) as waiting:
        waiting.add("a", adding("a"))
        failing = waiting.add("b", long)
        waiting.add("c", adding("c"))
    with pytest.raises(LimitExceeded) as raised:
        failing.outcome()
    assert raised.value.rule == "action_too_long" and raised.value.allowed == 0.2
    assert there(store, "a") and there(store, "c")


def test_action_that_looks_at_the_store_too_late_is_refused(store_of: Stores) -> None:
    store = made(store_of(limits=Limits(seconds=0.01)))

    def late(transaction: Transaction) -> None:
        adding("a")(transaction)
        threading.Event().wait(0.05)  # the limit is a time, so it has to pass

    with pytest.raises(LimitExceeded, match=r"more than 0\.01 s"):
        store.write(late)
    assert not there(store, "a")


def test_one_caller_too_many_is_told_when_to_come_back(store_of: Stores) -> None:
    store = made(store_of(limits=Limits(waiting=3)))
    with crowd(store) as waiting:
        waiting.add("a", adding("a"))
        waiting.add("b", adding("b"))
        with pytest.raises(Busy, match="3 calls of yours wait for this session already") as raised:
            store.submit(Member(adding("c"), lane=LANE))
        assert raised.value.retry_after > 0
        waiting.add("d", adding("d"), caller="another")  # whom the others do not keep out
    assert store.write(adding("c"), lane=LANE) == "c"


def test_closing_carries_out_what_was_accepted(store_of: Stores) -> None:
    store = made(store_of())
    with crowd(store) as waiting:
        for name in "abc":
            waiting.add(name, adding(name))
        closing = threading.Thread(target=store.close)
        closing.start()
    closing.join()
    assert [member.outcome() for member in waiting.members] == ["a", "b", "c"]
    assert there(store_of(), "c")


def test_action_cannot_dispatch_another(store_of: Stores) -> None:
    store = made(store_of())
    with pytest.raises(TypeError, match="cannot dispatch another"):
        store.write(lambda transaction: store.write(adding("a")))


def test_listener_that_fails_harms_no_answer(store_of: Stores, caplog: pytest.LogCaptureFixture) -> None:
    store = made(store_of())

    def fail(name: str) -> None:
        raise RuntimeError("listener")

    assert store.write(adding("a"), fail) == "a"
    assert "a listener failed" in caplog.text and store.write(adding("b")) == "b"


SLOW = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n limit 1000000) select count(*) from n",
    "postgresql": "select 1000000 from pg_sleep(0.2)",
}


def test_reading_takes_as_long_as_an_action_unless_it_is_unbounded(store_of: Stores) -> None:
    store = made(store_of(limits=Limits(seconds=0.05)))

    def slow(transaction: Transaction) -> Any:
        return transaction.db.connection().exec_driver_sql(SLOW[transaction.dialect]).scalar()

    with pytest.raises(LimitExceeded):
        store.read(slow)
    with store.snapshot(unbounded=True) as transaction:
        assert slow(transaction) == 1_000_000


@dataclass(frozen=True)
class Stiff(Exception):
    """An error that takes no attributes."""

    reason: str


def test_answer_that_cannot_be_given_harms_nobody_else(store_of: Stores, caplog: pytest.LogCaptureFixture) -> None:
    store = made(store_of())

    def fail(member: Member[Any]) -> None:
        raise RuntimeError("nobody is there")

    store.submit(Member(adding("a"), done=fail, lane=LANE))
    assert store.write(adding("b"), lane=LANE) == "b"
    assert "an answer could not be given" in caplog.text and there(store, "a")


def test_error_that_takes_no_attributes_is_its_callers_alone(store_of: Stores) -> None:
    store = made(store_of())

    def fail(transaction: Transaction) -> None:
        raise Stiff("no")

    with pytest.raises(Stiff):
        store.write(fail)
    assert store.write(adding("a")) == "a"
