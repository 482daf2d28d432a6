"""People at the pages: first account, signing in and out, passwords, links, and what other sites cannot do."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from engine.auth.pages.login import own_path
from engine.auth.people import accounts, invitations, throttling
from engine.auth.people.invitations import Purpose
from engine.types import LOCAL
from tests.engine.auth.conftest import BASE, HASHED, PASSWORD, House, Person, key_in, scopes_in
from tests.serving import TLS, free_port, serving

NEW = "a longer passphrase"


def browser_of(house: House) -> TestClient:
    """A browser in which nobody is signed in."""
    return TestClient(house.http.app, base_url=BASE, follow_redirects=False)


def link(house: House, purpose: Purpose, **of: object) -> str:
    """A link's path."""
    address = house.context.store.write(lambda tx: invitations.make(tx, house.context, purpose, **of))  # type: ignore[arg-type]
    return address.removeprefix(BASE)


def first_link(house: House) -> str | None:
    """What `serve` prints while there is no account."""
    return house.context.store.write(lambda tx: invitations.first(tx, house.context))


def test_first_account_may_go_on_with_the_sessions_of_the_terminal(house: House) -> None:
    handle = house.dispatcher.main(LOCAL, "desk")
    path = (first_link(house) or "").removeprefix(BASE)
    browser = browser_of(house)
    page = browser.get(path)
    assert "played on this machine so far" in page.text
    made = browser.post(path, data={"key": key_in(page), "login": "Ada", "password": PASSWORD, "take_over": "yes"})
    assert made.status_code == 303
    token = house.client().tokens(Person(house, "ada", browser))["access_token"]
    assert house.call(token, "desk_look").json()["result"]["structuredContent"]["session"] == handle
    assert first_link(house) is None


def test_first_account_may_begin_anew(house: House) -> None:
    handle = house.dispatcher.main(LOCAL, "desk")
    path, browser = (first_link(house) or "").removeprefix(BASE), browser_of(house)
    browser.post(path, data={"key": key_in(browser.get(path)), "login": "ada", "password": PASSWORD})
    token = house.client().tokens(Person(house, "ada", browser))["access_token"]
    assert house.call(token, "get_session", session=handle).json()["result"]["isError"]


def test_link_to_the_first_account_ends_with_any_account(house: House) -> None:
    path, browser = (first_link(house) or "").removeprefix(BASE), browser_of(house)
    key = key_in(browser.get(path))
    house.context.store.write(lambda tx: accounts.create(tx, "ada", HASHED))
    form = {"key": key, "login": "eve", "password": PASSWORD, "take_over": "yes"}
    assert browser.post(path, data=form).status_code == 404
    assert house.context.store.read(lambda tx: [one.login for one in accounts.all_of(tx)]) == ["ada"]


def test_link_to_a_password_ends_with_its_account(house: House, ada: Person) -> None:
    person = house.context.store.read(lambda tx: accounts.find(tx, "ada"))
    assert person is not None
    path, browser = link(house, Purpose.PASSWORD, person_id=person.person_id), browser_of(house)
    key = key_in(browser.get(path))
    house.context.store.write(lambda tx: accounts.remove(tx, "ada"))
    assert browser.post(path, data={"key": key, "password": NEW}).status_code == 404


def test_link_is_followed_once_even_by_two_at_once(house: House) -> None:
    path = link(house, Purpose.ACCOUNT)
    browsers = [browser_of(house) for _ in range(3)]
    keys = [key_in(browser.get(path)) for browser in browsers]

    def follow(number: int) -> int:
        form = {"key": keys[number], "login": f"ada{number}", "password": PASSWORD}
        return browsers[number].post(path, data=form).status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(follow, range(3))) == [303, 404, 404]
    assert browser_of(house).get(path).status_code == 404


def test_link_expires_and_a_new_first_one_replaces_the_old(house: House) -> None:
    old = (first_link(house) or "").removeprefix(BASE)
    new = (first_link(house) or "").removeprefix(BASE)
    assert (browser_of(house).get(old).status_code, browser_of(house).get(new).status_code) == (404, 200)
    house.context.store.offset = timedelta(days=1, seconds=1)
    assert browser_of(house).get(new).status_code == 404


def test_link_that_sets_a_password_signs_out_whoever_was_in(house: House, ada: Person) -> None:
    person = house.context.store.read(lambda tx: accounts.find(tx, "ada"))
    assert person is not None
    path, browser = link(house, Purpose.PASSWORD, person_id=person.person_id), browser_of(house)
    assert browser.post(path, data={"key": key_in(browser.get(path)), "password": NEW}).status_code == 303
    assert ada.browser.get("/account").status_code == 303
    assert ada.sign_in(PASSWORD).status_code == 401
    assert ada.sign_in(NEW).status_code == 303


@pytest.mark.parametrize(
    ("login", "password", "said"),
    [
        ("ada", "short", "A password has 12 to 1024 characters; this one has 5."),
        ("ada", "x" * 1025, "this one has 1025"),
        ("", PASSWORD, "cannot be an account"),
        ("a b", PASSWORD, "cannot be an account"),
        ("taken", PASSWORD, "There is an account"),
    ],
)
def test_link_says_what_is_wrong_and_can_still_be_followed(house: House, login: str, password: str, said: str) -> None:
    house.context.store.write(lambda tx: accounts.create(tx, "taken", HASHED))
    path, browser = link(house, Purpose.ACCOUNT), browser_of(house)
    page = browser.post(path, data={"key": key_in(browser.get(path)), "login": login, "password": password})
    assert page.status_code == 400 and said in page.text and 'role="alert"' in page.text
    again = browser.post(path, data={"key": key_in(page), "login": "ada", "password": PASSWORD})
    assert again.status_code == 303


def test_signing_in_leads_back_to_what_was_asked_for(house: House, ada: Person) -> None:
    app, browser = house.client(), browser_of(house)
    sent = browser.get(app.address())
    assert sent.status_code == 303
    page = browser.get(sent.headers["location"])
    form = {"key": key_in(page), "login": "ada", "password": PASSWORD}
    back = browser.post(sent.headers["location"], data=form)
    assert back.headers["location"] == BASE + app.address()
    assert "An app" in browser.get(back.headers["location"]).text


def test_cookie_is_new_at_each_sign_in_and_kept_from_scripts_and_other_sites(house: House, ada: Person) -> None:
    before = dict(ada.browser.cookies)
    answer = ada.sign_in()
    assert dict(ada.browser.cookies) != before
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=lax" in said and "secure" not in said


def test_wrong_name_and_wrong_password_are_answered_alike(house: House, ada: Person) -> None:
    nobody = Person(house, "nobody", browser_of(house))
    texts = {re.sub(r'value="[^"]*"', "", person.sign_in("wrong password").text) for person in (ada, nobody)}
    assert len(texts) == 1 and "Name or password is wrong." in texts.pop()


def test_attempts_wait_longer_and_longer_and_the_right_password_waits_too(house: House, ada: Person) -> None:
    tried = [401]
    while tried[-1] == 401:  # on a slow machine, the first waits may be over before the next attempt
        tried.append(ada.sign_in("wrong password").status_code)
    assert tried[-1] == 429 and 6 <= len(tried) - 1 <= 10
    waits = [_told_to_wait(ada.sign_in())]
    for _ in range(3):
        house.context.store.offset += timedelta(seconds=waits[-1] + 1)
        assert ada.sign_in("wrong password").status_code == 401
        waits.append(_told_to_wait(ada.sign_in()))
    assert waits[-1] > waits[0]
    house.context.store.offset += timedelta(seconds=waits[-1] + 1)
    assert ada.sign_in().status_code == 303
    assert ada.sign_in("wrong password").status_code == 401


def _told_to_wait(answer: httpx2.Response) -> int:
    assert answer.status_code == 429
    found = re.search(r"Try again in (\d+) s", answer.text)
    assert found is not None
    return int(found[1])


def guessing(house: House) -> Person:
    """A stranger who guessed ada's password so often that they wait for minutes now."""
    stranger = Person(house, "ada", browser_of(house))
    for _ in range(14):
        house.context.store.offset += timedelta(minutes=5)
        stranger.sign_in("a wrong password")
    assert stranger.sign_in().status_code == 429
    return stranger


def test_strangers_keep_nobody_out_of_a_browser_where_they_signed_in_before(house: House, ada: Person) -> None:
    stranger = guessing(house)
    key = key_in(ada.browser.get("/account"))
    form = {"key": key, "password": PASSWORD, "new": NEW}
    assert ada.browser.post("/account/password", data=form).headers["location"] == f"{BASE}/account"
    ada.browser.post("/logout", data={"key": key_in(ada.browser.get("/account"))})
    assert ada.browser.get("/account").status_code == 303
    assert ada.sign_in(NEW).status_code == 303
    assert stranger.sign_in(NEW).status_code == 429


def test_mark_of_another_account_or_of_an_older_password_is_none(house: House, ada: Person) -> None:
    eve = house.person("eve")
    mark = ada.browser.cookies["turnkeeper-familiar"]
    stranger = guessing(house)
    for shown in (eve.browser.cookies["turnkeeper-familiar"], mark + "0", "", ".", "é"):
        stranger.browser.cookies.clear()
        stranger.browser.cookies.set("turnkeeper-familiar", shown.encode("ascii", "ignore").decode())
        assert stranger.sign_in().status_code == 429, shown
    form = {"key": key_in(ada.browser.get("/account")), "password": PASSWORD, "new": NEW}
    assert ada.browser.post("/account/password", data=form).status_code == 303
    stranger.browser.cookies.clear()
    stranger.browser.cookies.set("turnkeeper-familiar", mark)
    assert stranger.sign_in(NEW).status_code == 429
    stranger.browser.cookies.set("turnkeeper-familiar", ada.browser.cookies["turnkeeper-familiar"])
    assert stranger.sign_in(NEW).status_code == 303


def test_who_signs_in_from_one_address_uses_up_nothing_of_it(house: House, ada: Person) -> None:
    for _ in range(35):
        assert Person(house, "ada", browser_of(house)).sign_in().status_code == 303


def test_of_attempts_at_once_one_is_decided_and_the_others_wait(house: House, ada: Person) -> None:
    stranger = guessing(house)
    house.context.store.offset += timedelta(minutes=16)
    form = {"key": key_in(stranger.browser.get("/login")), "login": "ada", "password": "wrong password"}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: stranger.browser.post("/login", data=form).status_code, range(12)))
    assert sorted(statuses) == [401] + [429] * 11


def test_proxy_says_who_asks_and_only_who_guesses_waits(tmp_path: Path) -> None:
    port = free_port()
    with (
        serving(tmp_path, port=port, auth="oauth", TURNKEEPER_PUBLIC_URL=f"http://127.0.0.1:{port}") as served,
        httpx2.Client(base_url=served.url, verify=TLS) as http,
    ):
        key = key_in(http.get("/login"))

        def guess(login: str, address: str | None) -> int:
            form = {"key": key, "login": login, "password": "wrong password"}
            headers = {} if address is None else {"x-forwarded-for": f"198.51.100.1, {address}"}
            return http.post("/login", data=form, headers=headers).status_code

        guesses = [guess(f"name-{number}", "203.0.113.9") for number in range(31)]
        assert guesses == [401] * 30 + [429]
        assert guess("name-32", "203.0.113.10") == 401
        assert guess("name-33", None) == 401


def test_network_counts_as_an_address_and_this_machine_does_not() -> None:
    near, next_to_it, elsewhere = (throttling.sources_of("Ada ", f"2001:db8:{net}") for net in (":1", ":2", "1::1"))
    assert near == next_to_it == {"account": "ada", "address": "2001:db8::/64"} and elsewhere != near
    assert throttling.sources_of("ada", "127.0.0.1") == throttling.sources_of("ada", "::1") == {"account": "ada"}
    assert throttling.sources_of("ada", "192.0.2.1")["address"] == "192.0.2.1"
    assert throttling.sources_of("ada", "::ffff:192.0.2.1")["address"] == "192.0.2.1"
    assert throttling.sources_of("ada", "::ffff:127.0.0.1") == {"account": "ada"}


def test_form_of_another_site_does_nothing(house: House, ada: Person) -> None:
    eve = house.person("eve")
    foreign = key_in(eve.browser.get("/account"))
    app = house.client()
    for path in ("/logout", "/account/password", "/account/sign-out-everywhere", "/account/clients/1/revoke"):
        for key in ({}, {"key": foreign}, {"key": ""}):
            assert ada.browser.post(path, data=key).status_code in (400, 403), path
    for key in ({"key": foreign}, {"key": "x"}):
        form = {**key, "decision": "allow", "scope": "desk:read"}
        assert ada.browser.post(app.address(), data=form).status_code == 403
    assert ada.browser.get("/account").status_code == 200


def test_pages_let_nothing_in_and_are_in_no_frame(house: House, ada: Person) -> None:
    for page in (ada.browser.get("/account"), browser_of(house).get("/login"), ada.browser.get("/authorize")):
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY" and page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer" and "<script" not in page.text
    assert house.http.get("/pages.css").headers["content-type"].startswith("text/css")


def test_consent_names_the_client_escaped_its_host_its_reach_and_warns(house: House, ada: Person) -> None:
    app = house.client(client_name='<b onclick="x">Bank</b>', redirect_uris=["https://app.example/cb?x=1"])
    page = ada.browser.get(app.address(resource=f"{BASE}/worlds/desk/mcp"))
    assert "<b onclick" not in page.text and "&lt;b onclick" in page.text
    assert "app.example" in page.text and "in Desk and your sessions of it" in page.text
    assert "never let this client in" in page.text and "program on the machine" not in page.text
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"] + ";"
    assert scopes_in(page) == ["desk:read", "desk:write"]
    assert "program on the machine" in ada.browser.get(house.client().address()).text
    app.code(ada)
    assert "never let this client in" not in ada.browser.get(app.address()).text


def test_consent_cannot_widen_what_was_asked_for(house: House, ada: Person) -> None:
    app = house.client()
    address = app.address(scope="desk:read")
    form = {"key": key_in(ada.browser.get(address)), "decision": "allow", "scope": ["desk:read", "desk:write", "x"]}
    code = ada.browser.post(address, data=form).headers["location"].split("code=")[1].split("&")[0]
    assert app.redeem(code).json()["scope"] == "desk:read"


def test_password_is_changed_by_who_knows_the_present_one(house: House, ada: Person) -> None:
    elsewhere = Person(house, "ada", browser_of(house))
    elsewhere.sign_in()

    def change(password: str, new: str) -> int:
        form = {"key": key_in(ada.browser.get("/account")), "password": password, "new": new}
        return ada.browser.post("/account/password", data=form).status_code

    assert change("wrong password", NEW) == 400
    assert change(PASSWORD, "short") == 400
    assert change(PASSWORD, NEW) == 303
    assert ada.browser.get("/account").status_code == 200
    assert elsewhere.browser.get("/account").status_code == 303


def test_signing_out_here_is_here_and_everywhere_is_everywhere(house: House, ada: Person) -> None:
    other = Person(house, "ada", browser_of(house))
    other.sign_in()
    token = house.client().tokens(ada)["access_token"]
    assert ada.browser.post("/logout", data={"key": key_in(ada.browser.get("/account"))}).status_code == 303
    assert ada.browser.get("/account").status_code == 303
    assert house.call(token, "desk_look").status_code == 200
    form = {"key": key_in(other.browser.get("/account"))}
    assert other.browser.post("/account/sign-out-everywhere", data=form).status_code == 303
    assert other.browser.get("/account").status_code == 303
    assert house.call(token, "desk_look").status_code == 401


def test_account_that_is_removed_opens_nothing_more(house: House, ada: Person) -> None:
    app = house.client()
    tokens = app.tokens(ada)
    assert house.context.store.write(lambda tx: accounts.remove(tx, "ada"))
    assert ada.browser.get("/account").status_code == 303 and ada.sign_in().status_code == 401
    assert house.call(tokens["access_token"], "desk_look").status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@given(st.text(max_size=60) | st.from_regex(r"[/\\]{1,3}[a-z.:@/\\]{0,20}", fullmatch=True))
def test_nobody_is_sent_to_another_site(onwards: str) -> None:
    path = own_path(onwards)
    assert path.startswith("/") and path[1:2] not in ("/", "\\") and "\\" not in path
    assert path.isascii() and path.isprintable() and " " not in path


FIELD = st.text(alphabet=st.characters(codec="utf-8"), max_size=40) | st.just("x" * 3000)


@given(form=st.dictionaries(st.sampled_from(["key", "login", "password", "new", "scope", "decision"]), FIELD))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_form_brings_a_page_down(house: House, form: dict[str, str]) -> None:
    browser = browser_of(house)
    key = key_in(browser.get("/login"))
    for path in ("/login", "/logout", "/account/password", "/invitations/x", "/authorize", f"/login?{urlencode(form)}"):
        for given_form in (form, {**form, "key": key}):
            assert browser.post(path, data=given_form).status_code < 500, path
