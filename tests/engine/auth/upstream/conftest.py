"""A guarded server at which people sign in elsewhere, and somebody in a browser who does."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

import httpx2
import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from engine.auth.context import AuthContext, Lifetimes
from engine.auth.granting.documents import Fetcher
from engine.auth.upstream.allowing import allowing_of
from engine.auth.upstream.bounded import Bounds
from engine.auth.upstream.providers import providers_of
from engine.dispatch import Dispatcher
from engine.settings import ProviderSettings
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, Desk, House, Safe
from tests.engine.auth.upstream.standin import StandIn, standin

HouseOf = Callable[..., AbstractContextManager[House]]
BOUNDS = Bounds(seconds=10, bytes=64 * 1024)
HASTY = Bounds(seconds=0.5, bytes=64 * 1024)


@dataclass
class Visitor:
    """Somebody in a browser of their own."""

    house: House
    browser: TestClient

    def there(self, name: str = "corp", onwards: str = "/account") -> str:
        """Go to the provider; where that sends the browser back to, as a path."""
        answer = self.browser.get(f"/login/{name}?{urlencode({'next': onwards})}")
        assert answer.status_code == 302, answer.text
        sent = httpx2.get(answer.headers["location"], follow_redirects=False)
        assert sent.headers["location"].startswith(f"{BASE}/login/")
        return str(sent.headers["location"]).removeprefix(BASE)

    def comes(self, name: str = "corp", onwards: str = "/account") -> Response:
        """Go there and back."""
        return self.browser.get(self.there(name, onwards))

    def is_in(self) -> bool:
        """Whether they are signed in."""
        return self.browser.get("/account").status_code == 200


@pytest.fixture
def corp() -> Iterator[StandIn]:
    """A provider."""
    with standin() as one:
        yield one


@pytest.fixture
def house_of(dispatcher_of: Callable[..., Dispatcher]) -> HouseOf:
    """Makes guarded servers at which people sign in at providers."""

    @contextmanager
    def made(allow: str = "corp:*", bounds: Bounds = BOUNDS, **settings: ProviderSettings) -> Iterator[House]:
        dispatcher, providers = dispatcher_of(Desk, Safe), providers_of(settings)
        context = AuthContext(dispatcher.store, dispatcher.registry, BASE, Lifetimes(belief=timedelta()))
        allowing = allowing_of(allow, [provider.name for provider in providers])
        options = {"providers": providers, "allowing": allowing, "bounds": bounds}
        app = guarded_app(dispatcher, ("127.0.0.1",), context, Fetcher(), **options)  # type: ignore[arg-type]
        with TestClient(app, base_url=BASE, follow_redirects=False) as http:
            yield House(context, http, dispatcher)

    return made


@pytest.fixture
def house(house_of: HouseOf, corp: StandIn) -> Iterator[House]:
    """A server that lets in whoever signs in at the provider."""
    with house_of(corp=corp.settings()) as house:
        yield house


def visitor(house: House) -> Visitor:
    """Somebody new."""
    return Visitor(house, TestClient(house.http.app, base_url=BASE, follow_redirects=False))


@pytest.fixture
def ada(house: House) -> Visitor:
    """Somebody."""
    return visitor(house)
