"""Coming back from a provider: once, in the browser that went there, from where it went, and in time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from engine.auth.sweeping import sweep_access
from tests.engine.auth.conftest import House
from tests.engine.auth.upstream.conftest import HouseOf, Visitor, visitor
from tests.engine.auth.upstream.standin import StandIn, standin

NOT_HERE = "begun in another browser, was finished before, or took too long"


@pytest.fixture
def other() -> Iterator[StandIn]:
    """Another provider."""
    with standin() as one:
        yield one


def changed(path: str, **changes: str | None) -> str:
    """An address with other parameters; those that are None are left out."""
    query = {**dict(parse_qsl(urlsplit(path).query)), **changes}
    return f"{urlsplit(path).path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def test_state_of_another_browser_is_refused(house: House, ada: Visitor, corp: StandIn) -> None:
    path, mallory = ada.there(), visitor(house)
    mallory.there()
    answer = mallory.browser.get(path)
    assert answer.status_code == 403 and NOT_HERE in answer.text
    assert not mallory.is_in() and "/token" not in corp.asked
    assert ada.browser.get(path).status_code == 303


@pytest.mark.parametrize("state", [None, "", "made-up", "x" * 5000, "\u2603", "a b"])
def test_state_that_nobody_began_is_refused(ada: Visitor, corp: StandIn, state: str | None) -> None:
    answer = ada.browser.get(changed(ada.there(), state=state))
    assert answer.status_code == 403 and NOT_HERE in answer.text and "/token" not in corp.asked


def test_answer_that_comes_again_is_refused(ada: Visitor, corp: StandIn) -> None:
    path = ada.there()
    assert ada.browser.get(path).status_code == 303
    again = ada.browser.get(path)
    assert again.status_code == 403 and NOT_HERE in again.text and corp.asked.count("/token") == 1


def test_answer_that_comes_again_with_its_cookie_is_refused_even_if_the_provider_takes_it(
    house: House, ada: Visitor, corp: StandIn
) -> None:
    corp.lax = True
    path, thief = ada.there(), visitor(house)
    for name, value in ada.browser.cookies.items():
        thief.browser.cookies.set(name, value, domain="127.0.0.1")
    assert ada.browser.get(path).status_code == 303
    again = thief.browser.get(path)
    assert again.status_code == 403 and "finished before" in again.text and not thief.is_in()


def test_of_many_answers_at_once_one_is_taken(house: House, ada: Visitor, corp: StandIn) -> None:
    corp.lax = True
    path, cookies = ada.there(), dict(ada.browser.cookies)

    def come(_: int) -> int:
        one = visitor(house)
        for name, value in cookies.items():
            one.browser.cookies.set(name, value, domain="127.0.0.1")
        return one.browser.get(path).status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(come, range(3))) == [303, 403, 403]


def test_first_sign_ins_of_one_person_at_once_are_of_one_person(house: House, corp: StandIn) -> None:
    visitors = [visitor(house) for _ in range(4)]
    paths = [one.there() for one in visitors]
    with ThreadPoolExecutor(4) as pool:
        came = list(pool.map(lambda pair: pair[0].browser.get(pair[1]).status_code, zip(visitors, paths, strict=True)))
    assert came == [303] * 4
    assert len(house.context.store.read(lambda tx: tx.people("248289761001"))) == 1


def test_code_of_another_sign_in_is_refused(house: House, ada: Visitor, corp: StandIn) -> None:
    mallory = visitor(house)
    code = parse_qs(urlsplit(mallory.there()).query)["code"][0]
    answer = ada.browser.get(changed(ada.there(), code=code))
    assert answer.status_code == 502 and "did not take its own answer back (invalid_grant)" in answer.text


def test_who_takes_too_long_begins_anew(house: House, ada: Visitor) -> None:
    path = ada.there()
    house.context.store.offset = timedelta(minutes=10)
    answer = ada.browser.get(path)
    assert answer.status_code == 403 and NOT_HERE in answer.text


def test_what_was_spent_is_swept_when_it_is_over(house: House, ada: Visitor) -> None:
    def spent() -> int:
        return int(house.context.store.read(lambda tx: tx._execute("select count(*) from spent", ()).fetchone()[0]))

    assert ada.comes().status_code == 303
    sweep_access(house.context.store, lambda: True)
    assert spent() == 1
    house.context.store.offset = timedelta(minutes=11)
    sweep_access(house.context.store, lambda: True)
    assert spent() == 0


def test_parameter_that_is_given_twice_is_refused(ada: Visitor, corp: StandIn) -> None:
    path = ada.there()
    for name in ("state", "code", "iss"):
        answer = ada.browser.get(f"{path}&{name}=x")
        assert answer.status_code == 400 and "more than once" in answer.text
    assert "/token" not in corp.asked


def test_cookie_that_was_tampered_with_is_refused(ada: Visitor) -> None:
    path = ada.there()
    (name, value), *_ = ada.browser.cookies.items()
    for forged in (value[:-4] + "AAAA", "x", ""):
        ada.browser.cookies.clear()
        ada.browser.cookies.set(name, forged, domain="127.0.0.1")
        answer = ada.browser.get(path)
        assert answer.status_code == 403 and NOT_HERE in answer.text


def test_answer_of_one_provider_is_none_of_another(house_of: HouseOf, corp: StandIn, other: StandIn) -> None:
    with house_of("corp:*, other:*", corp=corp.settings(), other=other.settings()) as house:
        ada = visitor(house)
        moved = ada.there("corp").replace("/login/corp/", "/login/other/")
        answer = ada.browser.get(changed(moved, iss=other.issuer))
        assert answer.status_code == 403 and "begun at another provider" in answer.text
        assert "/token" not in corp.asked + other.asked and not ada.is_in()


def test_answer_in_the_name_of_another_issuer_is_refused(ada: Visitor, corp: StandIn) -> None:
    for iss in ("https://evil.example", None):
        answer = ada.browser.get(changed(ada.there(), iss=iss))
        assert answer.status_code == 502 and "an answer that is not its own" in answer.text
    assert "/token" not in corp.asked


def test_provider_that_does_not_name_itself_is_believed_without(house_of: HouseOf, corp: StandIn) -> None:
    corp.names_itself = False
    with house_of(corp=corp.settings()) as house:
        assert visitor(house).comes().status_code == 303
        ada = visitor(house)
        assert ada.browser.get(changed(ada.there(), iss="https://evil.example")).status_code == 502


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "Corp says that you did not agree"),
        ("server_error", "Corp could not sign you in (server_error)"),
        ("<script>alert(1)</script>", "Corp could not sign you in (without saying why)"),
    ],
)
def test_provider_that_says_no_is_told_in_words(ada: Visitor, corp: StandIn, error: str, words: str) -> None:
    corp.error = error
    answer = ada.comes()
    assert answer.status_code == 403 and words in answer.text and "<script>" not in answer.text
    assert not ada.is_in() and not ada.browser.cookies


def test_error_that_another_site_sends_somebody_with_is_not_of_the_provider(ada: Visitor) -> None:
    answer = ada.browser.get("/login/corp/callback?error=access_denied&state=x")
    assert NOT_HERE in answer.text and "did not agree" not in answer.text


def test_answer_without_a_code_is_none(ada: Visitor) -> None:
    answer = ada.browser.get(changed(ada.there(), code=None))
    assert answer.status_code == 502 and "without an answer" in answer.text


def test_what_is_too_long_to_come_back_to_is_said(ada: Visitor) -> None:
    answer = ada.browser.get(f"/login/corp?next=/account?{'x' * 6000}")
    assert answer.status_code == 400 and "too long to come back to" in answer.text
    assert ada.comes(onwards="/account?" + "x" * 1500).status_code == 303


def test_browser_that_begins_over_and_over_keeps_a_few(ada: Visitor) -> None:
    for _ in range(30):
        path = ada.there()
        assert len(ada.browser.cookies) <= 9
    assert ada.browser.get(path).status_code == 303


def test_there_is_no_way_to_a_provider_that_is_not_set(ada: Visitor) -> None:
    assert ada.browser.get("/login/github").status_code == 404
    assert ada.browser.get("/login/github/callback?code=x&state=y").status_code == 404


def test_old_cookie_of_the_browser_is_never_taken_over(ada: Visitor) -> None:
    ada.browser.get("/login")
    planted = ada.browser.cookies["turnkeeper"]
    assert ada.comes().status_code == 303
    assert ada.browser.cookies["turnkeeper"] != planted
    ada.browser.cookies.set("turnkeeper", planted, domain="127.0.0.1")
    assert ada.browser.get("/account").status_code == 303
