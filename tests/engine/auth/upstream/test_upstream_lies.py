"""A provider that lies, dawdles or breaks: nobody comes in by it, and it says so in words. Any database is alike."""

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.auth.conftest import House
from tests.engine.auth.upstream.conftest import HASTY, HouseOf, Visitor, visitor
from tests.engine.auth.upstream.standin import (
    EC,
    OTHER,
    Handler,
    StandIn,
    signed,
    signed_with_public_key,
    unsigned,
)

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

Lie = Callable[[StandIn], object]
NOW = int(time.time())


def claiming(**claims: Any) -> Lie:
    """Claims that are not what they should be; None leaves one out."""
    return lambda corp: corp.claims.update(claims)


def describing(**metadata: Any) -> Lie:
    """Metadata that is not what it should be."""
    return lambda corp: corp.metadata.update(metadata)


def signing(sign: Callable[[dict[str, Any]], str]) -> Lie:
    """ID tokens that are signed otherwise."""
    return lambda corp: setattr(corp, "sign", sign)


def answering(path: str, answer: Callable[[Handler], None]) -> Lie:
    """Another answer at a path."""
    return lambda corp: corp.answers.update({path: answer})


def listing_hs256(corp: StandIn) -> None:
    """It says that it signs with what everybody knows, and does."""
    corp.metadata = {"id_token_signing_alg_values_supported": ["HS256", "none", "RS256"]}
    corp.sign = signed_with_public_key


DISCOVERY, HUGE = "/.well-known/openid-configuration", json.dumps(["x" * 100_000]).encode()
LIES: dict[str, tuple[Lie, str]] = {
    "wrong nonce": (claiming(nonce="another"), "ID token whose nonce is not right"),
    "no nonce": (claiming(nonce=None), "ID token whose nonce is not right"),
    "wrong issuer": (claiming(iss="https://accounts.google.com"), "ID token whose iss is not right"),
    "wrong audience": (claiming(aud="somebody else"), "ID token whose aud is not right"),
    "audience of others": (claiming(aud=["one", "another"]), "ID token whose aud is not right"),
    "audience of us and others": (
        claiming(aud=["turnkeeper at the stand-in", "another"]),
        "ID token whose azp is not right",
    ),
    "made for another client": (claiming(azp="another"), "ID token whose azp is not right"),
    "expired": (claiming(exp=NOW - 3600, iat=NOW - 7200), "ID token whose exp is not right"),
    "never expires": (claiming(exp=None), "ID token whose exp is not right"),
    "of the future": (claiming(iat=NOW + 3600), "ID token whose iat is not right"),
    "no time at all": (claiming(iat=None), "ID token whose iat is not right"),
    "expires in words": (claiming(exp="tomorrow"), "ID token whose exp is not right"),
    "about nobody": (claiming(sub=None), "ID token whose sub is not right"),
    "about an empty name": (claiming(sub=""), "does not say who signed in"),
    "about a long name": (claiming(sub="x" * 256), "does not say who signed in"),
    "about a line break": (claiming(sub="a\nb"), "does not say who signed in"),
    "for another access token": (claiming(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), "ID token whose at_hash is not right"),
    "signed by nobody": (signing(unsigned), "ID token that cannot be believed"),
    "HS256 with the public key": (signing(signed_with_public_key), "ID token that cannot be believed"),
    "HS256 where it is listed": (listing_hs256, "ID token that cannot be believed"),
    "signed by somebody else": (signing(lambda claims: signed(claims, OTHER)), "ID token that cannot be believed"),
    "unknown kid": (signing(lambda claims: signed(claims, kid="new")), "ID token that none of its keys signed"),
    "key of another kind": (signing(lambda claims: signed(claims, kid="ec")), "ID token that cannot be believed"),
    "no token at all": (lambda corp: corp.token.update(id_token=None), "gave no ID token"),
    "a number for a token": (lambda corp: corp.token.update(id_token=7), "gave no ID token"),
    "a word for a token": (lambda corp: corp.token.update(id_token="a.b.c"), "ID token that cannot be believed"),
    "words for seconds": (lambda corp: corp.token.update(expires_in="soon"), "makes no sense"),
    "error for a token": (
        lambda corp: corp.token.update(error="invalid_grant", error_description="<b>secret</b>"),
        "did not take its own answer back (invalid_grant)",
    ),
    "error in markup": (lambda corp: corp.token.update(error="<b>"), "did not take its own answer back (without"),
    "metadata of another": (describing(issuer="https://accounts.google.com"), "calls itself"),
    "metadata without issuer": (describing(issuer=None), "calls itself"),
    "page that is no page": (describing(authorization_endpoint="javascript:alert(1)"), "no authorization_endpoint"),
    "tokens in the clear": (describing(token_endpoint="http://corp.example/token"), "no token_endpoint"),
    "keys in a file": (describing(jwks_uri="file:///etc/passwd"), "no jwks_uri"),
    "signs as everybody": (describing(id_token_signing_alg_values_supported=["none", "HS256"]), "no way that only it"),
    "no keys": (lambda corp: corp.keys.clear(), "has no key that we know"),
    "secret keys": (lambda corp: setattr(corp, "keys", [{"kty": "oct", "k": "AAAA", "kid": "rsa"}]), "has no key"),
    "metadata elsewhere": (answering(DISCOVERY, lambda to: to.sends_on("/other")), "sent us elsewhere"),
    "metadata that is huge": (answering(DISCOVERY, lambda to: to.says(HUGE)), "more than 65536 bytes"),
    "metadata that is packed": (
        answering(DISCOVERY, lambda to: to.says(gzip.compress(HUGE), 200, {"Content-Encoding": "gzip"})),
        "packed its answer",
    ),
    "metadata that is no JSON": (answering(DISCOVERY, lambda to: to.says(b"<html>")), "no JSON"),
    "metadata without an end": (answering(DISCOVERY, lambda to: to.says(b"[" * 60_000)), "no JSON"),
    "metadata in a list": (answering(DISCOVERY, lambda to: to.says([])), "something else"),
    "metadata missing": (answering(DISCOVERY, lambda to: to.says({}, 404)), "answered 404"),
    "keys elsewhere": (answering("/jwks", lambda to: to.sends_on("/other")), "sent us elsewhere"),
    "keys that are huge": (answering("/jwks", lambda to: to.says(HUGE)), "more than 65536 bytes"),
    "tokens elsewhere": (answering("/token", lambda to: to.sends_on("/other")), "sent us elsewhere"),
    "tokens that are huge": (answering("/token", lambda to: to.says(HUGE)), "more than 65536 bytes"),
    "tokens that are no JSON": (answering("/token", lambda to: to.says(b"ok")), "makes no sense"),
    "tokens in a list": (answering("/token", lambda to: to.says(["x"])), "makes no sense"),
    "tokens of a broken server": (answering("/token", lambda to: to.says({}, 500)), "makes no sense"),
    "nothing for a token": (answering("/token", lambda to: to.says({})), "gave no ID token"),
    "says of another": (
        lambda corp: (corp.claims.update(email=None), corp.userinfo.update(sub="another")),
        "says of somebody else",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_provider_that_lies_lets_nobody_in(house: House, corp: StandIn, lie: str, caplog: Any) -> None:
    tell, words = LIES[lie]
    tell(corp)
    ada = visitor(house)
    answer = ada.browser.get("/login/corp")
    if answer.status_code == 302:
        answer = ada.comes()
    assert answer.status_code == 502 and words in answer.text.replace("&#39;", "'"), answer.text
    assert "Corp" in answer.text and "<b>" not in answer.text
    assert not ada.is_in()
    assert "signing in at corp failed" in caplog.text
    assert "upstream-access-token" not in caplog.text and "a:secret" not in caplog.text


SLOW = {DISCOVERY: 1, "/jwks": 2, "/token": 2, "/userinfo": 2}


@pytest.mark.parametrize("path", SLOW)
def test_provider_that_dawdles_is_waited_for_so_long(house_of: HouseOf, corp: StandIn, path: str) -> None:
    corp.claims["email"] = None  # so that it is asked for more
    corp.answers[path] = Handler.dawdles
    with house_of(corp=corp.settings(), bounds=HASTY) as house:
        ada, began = visitor(house), time.monotonic()
        answer = ada.browser.get("/login/corp")
        if path != DISCOVERY:
            answer = ada.comes()
        assert answer.status_code == 502 and "did not answer within 0.5 s" in answer.text
        assert time.monotonic() - began < 5
        assert not ada.is_in()


def test_provider_that_is_gone_cannot_be_reached(house_of: HouseOf, corp: StandIn) -> None:
    with house_of(corp=corp.settings(issuer="http://127.0.0.1:1")) as house:
        answer = visitor(house).browser.get("/login/corp")
        assert answer.status_code == 502 and "cannot be reached" in answer.text


def test_metadata_sets_no_option_of_our_client(house: House, corp: StandIn) -> None:
    corp.metadata = {
        "client_id": "another",
        "verify": False,
        "timeout": "never",
        "proxy": "http://127.0.0.1:1",
        "follow_redirects": True,
        "code_challenge_method": "plain",
        "scope": "everything",
        "token": {"access_token": "x"},
        "headers": {"x": "y"},
        "_loaded_at": 0,
    }
    assert visitor(house).comes().status_code == 303


def test_provider_recovers(house: House, corp: StandIn) -> None:
    corp.answers[DISCOVERY] = lambda to: to.says({}, 503)
    assert visitor(house).browser.get("/login/corp").status_code == 502
    del corp.answers[DISCOVERY]
    assert visitor(house).comes().status_code == 303


def test_new_key_of_the_provider_is_taken_and_unknown_ones_are_passed_over(house: House, corp: StandIn) -> None:
    assert visitor(house).comes().status_code == 303
    corp.keys = [{"kty": "AKP", "kid": "pq"}, {"kty": "EC", "crv": "P-9", "kid": "odd"}, "x", EC.as_dict(private=False)]
    corp.sign = lambda claims: signed(claims, EC, "ES256")
    assert visitor(house).comes().status_code == 303


def test_provider_without_a_list_of_algorithms_signs_with_rs256(house: House, corp: StandIn) -> None:
    corp.metadata = {"id_token_signing_alg_values_supported": None}
    assert visitor(house).comes().status_code == 303
    corp.sign = lambda claims: signed(claims, EC, "ES256")
    assert "cannot be believed" in visitor(house).comes().text


def test_what_the_id_token_lacks_is_asked_for(house: House, corp: StandIn) -> None:
    corp.claims = {"email": None, "name": None}
    corp.userinfo = {"email": "ada@example.org", "email_verified": True, "name": "Ada"}
    ada: Visitor = visitor(house)
    assert ada.comes().status_code == 303
    assert "Ada" in ada.browser.get("/account").text
