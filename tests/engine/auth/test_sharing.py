"""Sharing with a name: who gets what, when, and what nobody is told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from engine import World, action
from engine.auth.people.accounts import login_of
from engine.auth.people.naming import who_to_act_for
from engine.dispatch import Call, Dispatcher
from engine.errors import NotFound, Refused, Unauthenticated
from engine.limits import Limits
from engine.offering import share
from engine.store import offers
from engine.types import LOCAL, OPERATOR, SEATS, Change, Principal
from tests.engine.auth.people import UPSTREAM, account, code, come, signed_in, structured, tool

ANN, BEN = account("ann"), account("ben")
Make = Callable[..., Dispatcher]


class Page(World):
    """A page that can be turned."""

    @action
    def turn(self) -> None:
        """Turn it."""


def begun(dispatcher: Dispatcher, who: Principal = ANN) -> str:
    return str(structured(tool(dispatcher, who, "start_session", world="page"))["session"])


def shared(dispatcher: Dispatcher, session: str, person: str, role: str | None = "viewer") -> dict[str, Any]:
    result = tool(dispatcher, ANN, "share_session", session=session, person=person, role=role)
    assert not result.is_error, result
    return structured(result)


def role_of(dispatcher: Dispatcher, who: Principal, session: str) -> str | None:
    found = structured(tool(dispatcher, who, "list_sessions"))["result"]["sessions"]
    return next((one["role"] for one in found if one["session"] == session), None)


def told(dispatcher: Dispatcher, session: str) -> tuple[list[Any], list[Any]]:
    """The history of a session, and all of its resources, as its owner reads them; whom it was shared with apart."""
    history = structured(tool(dispatcher, ANN, "session_history", session=session))["result"]["changes"]
    for change in history:
        change["at"] = ""
        assert change["arguments"].pop("offer", "off_").startswith("off_")
    now = structured(tool(dispatcher, ANN, "get_session", session=session))
    return history, [now["revision"], now["allowed_actions"], now["result"]]


@pytest.mark.parametrize("name", ["ben", " Ben", "ben@mail.example", "Ben@Mail.Example"])
def test_an_account_name_or_mail_address_that_is_known_takes_effect_at_once(dispatcher_of: Make, name: str) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, BEN, login="ben", mail="ben@mail.example")
    session = begun(dispatcher)
    shared(dispatcher, session, name)
    assert role_of(dispatcher, BEN, session) == "viewer"


@pytest.mark.parametrize("name", ["ben", "BEN", "ben@mail.example", "ben@MAIL.example"])
def test_a_name_that_is_not_known_takes_effect_at_the_next_sign_in(dispatcher_of: Make, name: str) -> None:
    dispatcher = dispatcher_of(Page)
    session = begun(dispatcher)
    shared(dispatcher, session, name, "editor")
    dispatcher.main(BEN, "page")
    assert role_of(dispatcher, BEN, session) is None
    come(dispatcher, BEN, login="ben", mail="Ben@mail.example")
    assert role_of(dispatcher, BEN, session) == "editor"
    assert not tool(dispatcher, BEN, "page_turn", session=session).is_error


def test_neither_answer_nor_history_tells_whether_somebody_exists_or_signed_in(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, BEN, login="ben")
    known, unknown, later = (begun(dispatcher) for _ in range(3))
    answers = [
        {**shared(dispatcher, session, name), "session": ""}
        for session, name in ((known, "ben"), (unknown, "nobody"), (later, "eve"))
    ]
    assert answers[0] == answers[1] == answers[2]
    come(dispatcher, account("eve"), login="eve")
    assert role_of(dispatcher, account("eve"), later) == "viewer"
    assert told(dispatcher, known) == told(dispatcher, unknown) == told(dispatcher, later)


def test_a_viewer_is_refused_in_words_and_an_editor_does_not_share(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, BEN, login="ben")
    session = begun(dispatcher)
    shared(dispatcher, session, "ben", "viewer")
    refused = tool(dispatcher, BEN, "page_turn", session=session)
    assert code(refused) == "forbidden"
    assert structured(refused)["messages"][0]["content"].startswith("This needs the role editor; you are viewer here.")
    assert code(tool(dispatcher, BEN, "undo", session=session)) == "forbidden"
    assert not tool(dispatcher, BEN, "fork_session", session=session).is_error

    shared(dispatcher, session, "ben", "editor")
    assert not tool(dispatcher, BEN, "page_turn", session=session).is_error
    for name, arguments in (("share_session", {"person": "cy"}), ("end_session", {}), ("end_session", {"erase": True})):
        refused = tool(dispatcher, BEN, name, session=session, **arguments)
        assert "This needs the role owner; you are editor here." in structured(refused)["messages"][0]["content"]
    assert dispatcher.store.read(lambda tx: tx.run(text("select count(*) from offer")).scalar_one()) == 1


def test_withdrawing_takes_back_offers_and_what_came_of_them(dispatcher_of: Make) -> None:
    changes: list[Change] = []
    dispatcher = dispatcher_of(Page, listeners=[changes.append])
    session = begun(dispatcher)
    shared(dispatcher, session, "ben@mail.example")
    shared(dispatcher, session, "ben@mail.example", None)
    ben = come(dispatcher, BEN, login="ben", mail="ben@mail.example")
    assert role_of(dispatcher, BEN, session) is None

    shared(dispatcher, session, "ben@mail.example", "editor")
    come(dispatcher, BEN, login="ben", mail="another@mail.example")
    assert role_of(dispatcher, BEN, session) == "editor"
    shared(dispatcher, session, "ben@mail.example", None)
    assert role_of(dispatcher, BEN, session) is None
    assert changes[-1].parted == (ben,)


def test_an_offer_is_taken_up_once_whoever_has_the_mail_address_later(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    session = begun(dispatcher)
    shared(dispatcher, session, "desk@mail.example")
    first, second = Principal(UPSTREAM, "1", "One"), Principal(UPSTREAM, "2", "Two")
    come(dispatcher, first, mail="desk@mail.example")
    come(dispatcher, first, mail=None)
    come(dispatcher, second, mail="desk@mail.example")
    assert role_of(dispatcher, first, session) == "viewer"
    assert role_of(dispatcher, second, session) is None


def test_an_account_that_is_called_like_a_mail_address_gets_nothing_of_it(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    session = begun(dispatcher)
    shared(dispatcher, session, "ben@mail.example")
    come(dispatcher, account("thief"), login="ben@mail.example")
    shared(dispatcher, session, "ben@mail.example")
    assert role_of(dispatcher, account("thief"), session) is None


def test_taking_up_lessens_no_role_and_nothing_of_an_erased_session_is_taken_up(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    session, erased = begun(dispatcher), begun(dispatcher)
    come(dispatcher, BEN, login="ben")
    shared(dispatcher, session, "ben@mail.example", "viewer")
    shared(dispatcher, session, "ben", "editor")
    shared(dispatcher, erased, "ben@mail.example")
    tool(dispatcher, ANN, "end_session", session=erased, erase=True)
    come(dispatcher, BEN, login="ben", mail="ben@mail.example")
    assert role_of(dispatcher, BEN, session) == "editor"
    assert dispatcher.store.read(lambda tx: tx.run(text("select count(*) from offer")).scalar_one()) == 2


def test_the_subject_somebody_signs_in_with_is_a_name_among_ones_own_and_for_the_local_person(
    dispatcher_of: Make,
) -> None:
    dispatcher = dispatcher_of(Page)
    stranger = Principal(UPSTREAM, "ben", "Not Ben")
    come(dispatcher, stranger)
    session, local = begun(dispatcher), begun(dispatcher, LOCAL)
    shared(dispatcher, session, "ben")
    assert role_of(dispatcher, stranger, session) is None
    assert not tool(dispatcher, LOCAL, "share_session", session=local, person="ben").is_error
    assert role_of(dispatcher, stranger, local) == "viewer"
    come(dispatcher, BEN, login="ben")
    assert role_of(dispatcher, BEN, session) == "viewer"
    friend = Principal(UPSTREAM, "cy", "Cy")
    come(dispatcher, friend)
    theirs = begun(dispatcher, stranger)
    assert not tool(dispatcher, stranger, "share_session", session=theirs, person="cy").is_error
    assert role_of(dispatcher, friend, theirs) == "viewer"


def test_a_repeated_share_is_answered_as_before_and_one_to_oneself_is_refused(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, ANN, login="ann")
    session = begun(dispatcher)
    assert code(tool(dispatcher, ANN, "share_session", session=session, person="ann")) == "already_owner"
    call = Call(principal=ANN, world="page", action="share", arguments={"role": "viewer"}, session=session, key="k")
    first, again = (share(dispatcher, call, "ben") for _ in range(2))
    assert (first.revision, again.revision, again.replayed) == (2, 2, 2)
    with pytest.raises(Refused, match="This key was used for another") as refused:
        share(dispatcher, call, "cy")
    assert refused.value.rule == "key_reused"


def offer_some(transaction: Any, session_id: int, first: int) -> None:
    for number in range(first, first + 50):
        offers.offer_to(transaction, session_id, f"name-{number}")


def test_a_session_is_shared_with_so_many_names_and_not_with_more(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    session = begun(dispatcher)
    record = dispatcher.store.read(lambda tx: tx.session(session))
    assert record is not None
    for first in range(0, offers.MOST, 50):
        dispatcher.store.write(partial(offer_some, session_id=record.id, first=first))
    refused = tool(dispatcher, ANN, "share_session", session=session, person="one-more")
    assert code(refused) == "too_many_shares"
    shared(dispatcher, session, "name-7")


@pytest.mark.parametrize("name", ["ben", "ben@mail.example"])
def test_sharing_while_somebody_signs_in_takes_effect_whoever_is_first(dispatcher_of: Make, name: str) -> None:
    dispatcher = dispatcher_of(Page)
    with ThreadPoolExecutor(2) as pool:
        for turn in range(12):
            who = Principal("local", f"acc_{turn}")
            person = name.replace("ben", f"ben{turn}")
            login, mail = (person, None) if "@" not in name else (None, person)
            session = begun(dispatcher)
            coming = pool.submit(come, dispatcher, who, login=login, mail=mail)
            pool.submit(shared, dispatcher, session, person).result()
            coming.result()
            assert role_of(dispatcher, who, session) == "viewer"


def test_the_operator_shares_as_the_owner_would_and_names_are_nowhere_in_the_database(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    session = begun(dispatcher)
    assert not tool(dispatcher, OPERATOR, "share_session", session=session, person="zoe@mail.example").is_error

    def kept(transaction: Any) -> str:
        rows = [transaction.run(text(f"select * from {name}")).all() for name in ("offer", "journal", "session")]
        return str(rows)

    assert "zoe" not in dispatcher.store.read(kept)
    who = Principal(UPSTREAM, "9")
    dispatcher.store.write(lambda tx: signed_in(tx, who, mail="zoe@mail.example"))
    assert role_of(dispatcher, who, session) == "viewer"


@pytest.mark.parametrize("seat", SEATS, ids=lambda seat: seat.name)
def test_who_acts_here_and_is_no_person_has_nothing_shared_with_them(dispatcher_of: Make, seat: Principal) -> None:
    dispatcher = dispatcher_of(Page)
    person = dispatcher.store.write(lambda tx: tx.ensure_person(seat))
    session = dispatcher.start(LOCAL, "page").session
    result = tool(dispatcher, LOCAL, "share_session", session=session, person=seat.subject)
    record = dispatcher.store.read(lambda tx: tx.session(session))
    assert not result.is_error and record is not None
    assert dispatcher.store.read(lambda tx: tx.role(record, person)) is None


@pytest.mark.parametrize("seat", SEATS, ids=lambda seat: seat.name)
def test_nobody_signs_in_or_has_a_token_as_who_is_no_person(dispatcher_of: Make, seat: Principal) -> None:
    store = dispatcher_of(Page).store
    store.write(lambda tx: tx.ensure_person(seat))
    with pytest.raises(Refused, match="is no person"):
        store.write(lambda tx: who_to_act_for(tx, f"{seat.issuer} {seat.subject}"))
    with pytest.raises(Refused, match="means somebody else"):
        login_of(seat.name.title())


def test_a_session_is_handed_over_once_the_other_takes_it_and_its_owner_goes_on_as_editor(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, ANN, login="ann")
    come(dispatcher, BEN, login="ben")
    session = str(structured(tool(dispatcher, ANN, "start_session", world="page", main=True))["session"])
    told = shared(dispatcher, session, "ben", "owner")["messages"], shared(dispatcher, session, "nobody", "owner")
    assert role_of(dispatcher, ANN, session) == "owner" and role_of(dispatcher, BEN, session) == "editor"
    assert told[0] == told[1]["messages"]
    listed = structured(tool(dispatcher, BEN, "list_sessions"))["result"]["sessions"]
    assert [one["handed_to_you"] for one in listed] == [True]
    assert code(tool(dispatcher, BEN, "end_session", session=session)) == "forbidden"

    taken = tool(dispatcher, BEN, "share_session", session=session, role="owner")
    assert not taken.is_error, taken
    assert role_of(dispatcher, BEN, session) == "owner" and role_of(dispatcher, ANN, session) == "editor"
    assert code(tool(dispatcher, ANN, "share_session", session=session, person="cy")) == "forbidden"
    assert code(tool(dispatcher, ANN, "share_session", session=session, role="owner")) == "forbidden"
    turned = tool(dispatcher, ANN, "page_turn")
    assert structured(turned)["session"] != session, "it is not her main session any more"
    assert not tool(dispatcher, BEN, "share_session", session=session, person="ann", role=None).is_error
    assert role_of(dispatcher, ANN, session) is None
    assert not tool(dispatcher, BEN, "end_session", session=session, erase=True).is_error


def test_a_session_is_handed_over_to_who_signs_in_later_and_thinking_better_of_it_helps(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    kept, given = begun(dispatcher), begun(dispatcher)
    for session in (kept, given):
        shared(dispatcher, session, "ben@mail.example", "owner")
    shared(dispatcher, kept, "ben@mail.example", "editor")
    come(dispatcher, BEN, login="ben", mail="ben@mail.example")
    assert code(tool(dispatcher, BEN, "share_session", session=kept, role="owner")) == "forbidden"
    assert not tool(dispatcher, BEN, "share_session", session=given, role="owner").is_error
    assert (role_of(dispatcher, BEN, kept), role_of(dispatcher, BEN, given)) == ("editor", "owner")
    assert code(tool(dispatcher, BEN, "share_session", session=given, role="owner")) == "already_owner"


def test_whoever_has_no_room_for_another_session_takes_none_over(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page, limits=Limits(sessions=1))
    come(dispatcher, BEN, login="ben")
    session, _ = begun(dispatcher), begun(dispatcher, BEN)
    shared(dispatcher, session, "ben", "owner")
    assert code(tool(dispatcher, BEN, "share_session", session=session, role="owner")) == "too_many_sessions"
    assert role_of(dispatcher, ANN, session) == "owner"


def test_two_who_take_a_session_over_at_once_are_one_owner_and_one_editor(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    cy = account("cy")
    session = begun(dispatcher)
    for who, name in ((BEN, "ben"), (cy, "cy")):
        come(dispatcher, who, login=name)
        shared(dispatcher, session, name, "owner")
    with ThreadPoolExecutor(2) as threads:
        calls = [
            threads.submit(tool, dispatcher, who, "share_session", session=session, role="owner") for who in (BEN, cy)
        ]
    assert sorted(call.result().is_error or False for call in calls) == [False, True]
    assert sorted(str(role_of(dispatcher, who, session)) for who in (BEN, cy)) == ["editor", "owner"]
    assert role_of(dispatcher, ANN, session) == "editor"


def test_whoever_does_not_want_a_session_leaves_it_and_its_owner_does_not(dispatcher_of: Make) -> None:
    changes: list[Change] = []
    dispatcher = dispatcher_of(Page, listeners=[changes.append])
    ben = come(dispatcher, BEN, login="ben")
    session = begun(dispatcher)
    shared(dispatcher, session, "ben", "viewer")
    left = tool(dispatcher, BEN, "share_session", session=session, role=None)
    assert not left.is_error and changes[-1].parted == (ben,)
    assert role_of(dispatcher, BEN, session) is None
    come(dispatcher, BEN, login="ben")
    assert role_of(dispatcher, BEN, session) is None, "the offer was taken up once"
    shared(dispatcher, session, "ben", "editor")
    assert role_of(dispatcher, BEN, session) == "editor"
    assert code(tool(dispatcher, ANN, "share_session", session=session, role=None)) == "already_owner"
    assert code(tool(dispatcher, BEN, "share_session", session=session)) == "invalid_arguments"


def test_whoever_was_made_less_or_left_takes_nothing_over_by_an_older_offer(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, BEN, login="ben", mail="ben@mail.example")
    lessened, withdrawn, left = (begun(dispatcher) for _ in range(3))
    for session in (lessened, withdrawn, left):
        shared(dispatcher, session, "ben", "owner")
    shared(dispatcher, lessened, "ben@mail.example", "viewer")
    shared(dispatcher, withdrawn, "ben@mail.example", None)
    tool(dispatcher, BEN, "share_session", session=left, role=None)
    for session in (withdrawn, left):
        shared(dispatcher, session, "ben@mail.example", "viewer")
    for session in (lessened, withdrawn, left):
        assert code(tool(dispatcher, BEN, "share_session", session=session, role="owner")) == "forbidden"
        assert role_of(dispatcher, BEN, session) == "viewer"


def test_whoever_handed_a_session_over_comes_back_by_no_offer_and_no_key(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, ANN, login="ann")
    come(dispatcher, BEN, login="ben")
    session = dispatcher.start(ANN, "page", key="first").session
    shared(dispatcher, session, "second", "editor")
    shared(dispatcher, session, "ben", "owner")
    tool(dispatcher, BEN, "share_session", session=session, role="owner")
    tool(dispatcher, BEN, "share_session", session=session, person="ann", role=None)
    come(dispatcher, account("second"), login="second")
    assert role_of(dispatcher, account("second"), session) is None
    with pytest.raises(NotFound, match="not yours any more"):
        dispatcher.start(ANN, "page", key="first")


def test_a_session_that_has_ended_is_shared_and_left_like_another(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    come(dispatcher, BEN, login="ben")
    session = begun(dispatcher)
    shared(dispatcher, session, "ben")
    tool(dispatcher, ANN, "end_session", session=session)
    assert role_of(dispatcher, BEN, session) == "viewer"
    assert not tool(dispatcher, BEN, "share_session", session=session, role=None).is_error
    shared(dispatcher, session, "ben", "editor")
    shared(dispatcher, session, "ben", None)
    assert role_of(dispatcher, BEN, session) is None


def test_whoever_was_deleted_is_not_made_anew_by_a_token_that_is_still_believed(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Page)
    gone = replace(account("gone"), is_known=True)
    for call in (lambda: dispatcher.start(gone, "page"), lambda: dispatcher.main(gone, "page")):
        with pytest.raises(Unauthenticated, match="was deleted"):
            call()
    assert dispatcher.store.read(lambda tx: tx.person_id(gone)) is None
