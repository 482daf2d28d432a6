"""The server as its operator sets it up: from settings to the page with the button."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

import server
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.settings import Settings
from tests.engine.auth.conftest import BASE, Desk
from tests.engine.auth.upstream.standin import StandIn


def test_settings_make_the_button_and_say_who_comes_in(dispatcher_of: Callable[..., Dispatcher], corp: StandIn) -> None:
    settings = Settings(providers={"corp": corp.settings(label="The Corp")}, allow="corp:*")
    with TestClient(server.build(settings, dispatcher_of(Desk)), base_url=BASE, follow_redirects=False) as browser:
        assert "Sign in with The Corp" in browser.get("/login").text
        there = browser.get("/login/corp").headers["location"]
        assert there.startswith(f"{corp.issuer}/authorize?") and "127.0.0.1%3A8000%2Flogin%2Fcorp%2Fcallback" in there


def test_rule_for_a_provider_that_is_not_there_keeps_the_server_from_starting(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    with pytest.raises(Refused, match="there is no provider 'google'"):
        server.build(Settings(allow="google:*"), dispatcher_of(Desk))


def test_cookies_insist_on_tls_where_there_is_some(dispatcher_of: Callable[..., Dispatcher], corp: StandIn) -> None:
    settings = Settings(providers={"corp": corp.settings()}, public_url="https://play.example")
    app = server.build(settings, dispatcher_of(Desk))
    with TestClient(app, base_url="https://play.example", follow_redirects=False) as browser:
        (cookie,) = browser.get("/login/corp").headers.get_list("set-cookie")
        assert cookie.startswith("__Host-turnkeeper-at-") and "Secure" in cookie and "Path=/;" in cookie
