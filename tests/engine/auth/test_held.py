"""What is taken back while a request is on its way is taken back."""

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlmodel import select

from engine.auth import accounts, forgetting
from engine.auth.browsers import Browser, held_at
from engine.auth.naming import who_is
from engine.store.access import GrantRow
from tests.engine.auth.conftest import App, House, Person, key_in
from tests.engine.auth.holding import held_open

Act = Callable[[House, Person], object]


def out_everywhere(house: House, person: Person) -> None:
    form = {"key": key_in(person.browser.get("/account"))}
    assert person.browser.post("/account/sign-out-everywhere", data=form).status_code == 303


def removed(house: House, person: Person) -> None:
    assert house.context.store.write(lambda tx: accounts.remove(tx, person.name))


def deleted(house: House, person: Person) -> None:
    store = house.context.store
    forgetting.forget(store, house.dispatcher.registry, store.read(lambda tx: who_is(tx, person.name)))


@pytest.mark.parametrize("act", [out_everywhere, removed, deleted])
def test_consent_that_is_held_open_grants_nothing_to_who_was_signed_out(
    house: House, ada: Person, app: App, act: Act
) -> None:
    address = app.address()
    form = [("key", key_in(ada.browser.get(address))), ("decision", "allow"), ("scope", "desk:read")]
    headers = {
        "cookie": f"turnkeeper={ada.browser.cookies['turnkeeper']}",
        "content-type": "application/x-www-form-urlencoded",
    }
    answer = held_open(house, address, headers, urlencode(form).encode(), lambda: act(house, ada))
    assert answer.status == 303 and "/login?next=" in answer.headers["location"]
    assert house.context.store.read(lambda tx: tx.db.exec(select(GrantRow)).all()) == []


def test_who_removes_an_account_waits_for_a_consent_under_way_and_ends_it(house: House, ada: Person, app: App) -> None:
    store, over = house.context.store, threading.Event()
    person_id = store.read(lambda tx: who_is(tx, "ada")).id
    browser = Browser(ada.browser.cookies["turnkeeper"], person_id)

    def remove() -> None:
        removed(house, ada)
        over.set()

    def consent(tx: Any) -> None:
        person = held_at(tx, browser)
        assert person is not None
        other.start()
        assert not over.wait(0.5)
        row = GrantRow(
            person_id=person,
            client_id=app.id,
            resource=house.context.base,
            scope="desk:read",
            redirect_uri=app.callback,
            created_at=tx.at,
            used_at=tx.at,
        )
        tx.db.add(row)
        tx.db.flush()

    other = threading.Thread(target=remove)
    store.write(consent)
    other.join(20)
    assert over.is_set()
    assert store.read(lambda tx: [grant.ended_at is None for grant in tx.db.exec(select(GrantRow))]) == [False]
