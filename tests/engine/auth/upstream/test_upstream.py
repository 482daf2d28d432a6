"""Signing in elsewhere, and what comes of it."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.engine.auth.conftest import BASE, House, Person
from tests.engine.auth.upstream.conftest import Visitor, visitor
from tests.engine.auth.upstream.standin import StandIn


def test_person_signs_in_elsewhere_and_goes_on_where_they_came_from(ada: Visitor) -> None:
    page = ada.browser.get("/login?next=/account?a=1%262")
    assert "Sign in with Corp" in page.text and "/login/corp?next=/account%3Fa%3D1%262" in page.text
    answer = ada.comes(onwards="/account?a=1&b=2")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"{BASE}/account?a=1&b=2"
    assert "Ada Lovelace" in ada.browser.get("/account").text


def test_request_to_the_provider_has_state_nonce_and_pkce(ada: Visitor, corp: StandIn) -> None:
    asked = [dict(parse_qsl(urlsplit(ada.browser.get("/login/corp").headers["location"]).query)) for _ in range(2)]
    assert asked[0]["code_challenge_method"] == "S256" and asked[0]["redirect_uri"] == f"{BASE}/login/corp/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name]) >= 20 and asked[0][name] != asked[1][name]
    assert len({asked[0]["state"], asked[0]["nonce"], asked[0]["code_challenge"]}) == 3


@pytest.mark.parametrize("onwards", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nx", ""])
def test_nobody_is_sent_on_to_another_site(ada: Visitor, onwards: str) -> None:
    assert ada.comes(onwards=onwards).headers["location"] == f"{BASE}/account"


def test_same_subject_is_the_same_person_whose_name_and_mail_follow_the_provider(house: House, corp: StandIn) -> None:
    def people() -> list[tuple[object, ...]]:
        query = "select id, issuer, subject, name, mail from person where subject = ?"
        return list(house.context.store.read(lambda tx: tx._execute(query, ("248289761001",)).fetchall()))

    assert visitor(house).comes().status_code == 303
    ((number, *said),) = people()
    assert said == [corp.issuer, "248289761001", "Ada Lovelace", "Ada@Example.org"]
    corp.claims = {"name": "Ada King", "email_verified": False}
    assert visitor(house).comes().status_code == 303
    assert people() == [(number, corp.issuer, "248289761001", "Ada King", None)]


def test_two_tabs_at_once_both_arrive(ada: Visitor) -> None:
    first, second = ada.there(onwards="/account?1"), ada.there(onwards="/account?2")
    assert ada.browser.get(first).headers["location"] == f"{BASE}/account?1"
    assert ada.browser.get(second).headers["location"] == f"{BASE}/account?2"


def test_cookie_of_a_sign_in_is_sealed_short_lived_and_dropped_afterwards(ada: Visitor, corp: StandIn) -> None:
    answer = ada.browser.get("/login/corp?next=/account")
    (cookie,) = answer.headers.get_list("set-cookie")
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=600" in cookie
    assert asked["state"] not in cookie and asked["nonce"] not in cookie
    ada.browser.get(urlsplit(corp.came(asked)).path + "?" + urlsplit(corp.came(asked)).query)
    assert list(ada.browser.cookies) == ["turnkeeper"]


def test_client_gets_in_by_a_sign_in_elsewhere(house: House, ada: Visitor) -> None:
    app = house.client()
    login = ada.browser.get(app.address())
    onwards = dict(parse_qsl(urlsplit(login.headers["location"]).query))["next"]
    back = ada.comes(onwards=onwards)
    assert back.headers["location"] == f"{BASE}{onwards}"
    token = app.tokens(Person(house, "ada", ada.browser))["access_token"]
    assert house.call(token, "desk_knock").json()["result"]["structuredContent"]["result"] == "knocked"
