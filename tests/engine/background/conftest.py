"""What the tests of webhooks share: a receiver, and a server's jobs that are looked after by hand."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from engine import World, action
from engine.background.deliveries import Deliveries
from engine.background.news import News
from engine.background.spreading import spreading
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.outbound import LookUp, Outbound, looked_up, networks_of
from engine.store import deliveries, webhooks, workers
from engine.store.deliveries import Delivery
from engine.store.records import Transaction
from engine.types import LOCAL, Outcome
from engine.webhooks import Webhook
from tests.engine.background.receiving import SECONDS, Receiver, receiving

LEASE = timedelta(hours=1)
HERE = networks_of(["127.0.0.0/8"])


class Meter(World, rows=[]):
    """Counts."""

    @action
    def tick(self) -> None:
        """Go on."""

    @action
    def reset(self) -> None:
        """Begin again."""


class Bell(World, rows=[]):
    """Rings."""

    @action
    def ring(self) -> None:
        """Ring."""


class Post:
    """A server of two worlds with webhooks: what it does in the background, it does when it is looked after."""

    def __init__(
        self, dispatcher: Dispatcher, *, look_up: LookUp = looked_up, seconds: float = SECONDS, listed: bool = True
    ) -> None:
        self.dispatcher = dispatcher
        self.store = dispatcher.store
        self.news = News(self.store, dispatcher.registry, {webhooks.KIND: spreading})
        outbound = Outbound(HERE if listed else (), look_up=look_up)
        self.job = Deliveries(self.store, outbound, seconds=seconds)
        self.holder = self.enter()

    def enter(self) -> str:
        """A lease."""
        return self.store.write(lambda tx: workers.enter(tx, "serve", "here", tx.now - self.store.offset, LEASE))

    def add(self, url: str, *types: str, from_start: bool = False) -> tuple[Webhook, str]:
        """A webhook and its secret."""
        return self.store.write(lambda tx: webhooks.add(tx, url, types or ("*",), from_start=from_start))

    def webhook(self, webhook: Webhook) -> Webhook:
        """A webhook as it is now."""
        return self.store.read(lambda tx: webhooks.named(tx, webhook.id))

    def start(self, world: str = "meter") -> str:
        """A session."""
        return self.dispatcher.start(LOCAL, world).session

    def act(self, session: str, action: str = "tick", world: str = "meter") -> Outcome:
        """A change of a session."""
        return self.dispatcher.dispatch(Call(principal=LOCAL, world=world, action=action, session=session))

    def pass_news(self) -> None:
        """Have every change become messages."""
        self.until(lambda: self.store.read(_is_passed))

    def settle(self) -> None:
        """Have everything be told that is due, and noted."""
        self.until(lambda: self.store.read(_is_settled), self.job.look)

    def until(self, done: Callable[[], bool], *also: Callable[[str], float]) -> None:
        """Look after what there is to do until something is so."""
        end = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < end, self.log()
            self.news.look(self.holder)
            self.job.soon()
            for look in also:
                look(self.holder)

    def move(self, **parts: float) -> None:
        """Move the clock."""
        self.store.offset += timedelta(**parts)

    def log(self, state: str | None = None) -> list[Delivery]:
        """The deliveries, in the order of sessions and revisions."""
        found = self.store.read(lambda tx: deliveries.logged(tx, None, state))
        return sorted(found, key=lambda one: (one.created_at, one.session, one.revision))

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.store.read(lambda tx: tx.execute(f"select count(*) from {table}").fetchone()[0]))

    def close(self) -> None:
        """End."""
        self.job.close()
        self.news.close()


def _is_passed(transaction: Transaction) -> bool:
    statement = "select 1 from session left join claim on session_id = id where news is not null or worker_id <> ''"
    return transaction.execute(statement).fetchone() is None


def _is_settled(transaction: Transaction) -> bool:
    statement = (
        "select 1 from delivery join webhook on webhook.id = webhook_id where state = 'waiting' and disabled is null"
        " and (due_at <= ? or worker_id is not null)"
    )
    return _is_passed(transaction) and transaction.execute(statement, (transaction.at,)).fetchone() is None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as found:
        yield found


@pytest.fixture
def another() -> Iterator[Receiver]:
    """Another one."""
    with receiving() as found:
        yield found


@pytest.fixture
def post_of(dispatcher_of: Callable[..., Dispatcher]) -> Iterator[Callable[..., Post]]:
    """Makes servers on the test's own database."""
    with ExitStack() as stack:

        def make(**options: object) -> Post:
            made = Post(dispatcher_of(Meter, Bell), **options)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield make
