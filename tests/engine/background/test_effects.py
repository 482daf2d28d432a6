"""Effects are carried out after the commit, until they are over; their outcome comes back once."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from engine import Change, EffectCall, Failed
from engine.dispatch import Dispatcher
from engine.effects import Succeeded
from engine.errors import Refused
from engine.limits import Limits
from engine.store import effects
from engine.store.hidden import hide
from engine.types import EFFECT, LOCAL
from tests.bank import Bank, call, data, desk, rows, shop_of, states, until

Opening = Callable[..., Dispatcher]


def test_an_effect_is_carried_out_after_the_commit_and_comes_back_as_an_action(dispatcher_of: Opening) -> None:
    bank, changes = Bank(), list[Change]()
    dispatcher = dispatcher_of(shop_of(bank), listeners=[changes.append])
    outcome = call(dispatcher, "pay", amount=7)
    assert (outcome.state, bank.charged, states(dispatcher)) == ("paying", [], ["waiting"])
    with desk(dispatcher) as worker:
        worker.run()
    ((charge, amount),) = bank.charged
    assert (amount, charge.session, charge.world, charge.revision) == (7, outcome.session, "shop", outcome.revision)
    assert charge.attempt == 1 and charge.key.startswith("eff_") and outcome.session[4:] not in charge.key
    assert data(dispatcher, outcome.session)["reference"] == "R1"
    assert [(change.action, change.effects) for change in changes[1:]] == [("pay", 1), ("record_payment", 0)]
    assert changes[-1].principal == EFFECT
    (row,) = rows(dispatcher)
    assert (row.state, row.result, row.error, row.worker_id) == ("done", '{"reference":"R1"}', None, None)


def test_a_failure_for_good_is_not_tried_again(dispatcher_of: Opening) -> None:
    bank = Bank(Failed("no money"))
    dispatcher = dispatcher_of(shop_of(bank))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run()
        worker.run_late()
    assert len(bank.charged) == 1 and states(dispatcher) == ["failed"]
    assert data(dispatcher, session)["reason"] == "no money"


def test_what_fails_otherwise_is_tried_again_with_the_same_key(dispatcher_of: Opening) -> None:
    bank = Bank(ConnectionError("gone"), SystemExit(3), {"reference": "R2"})
    dispatcher = dispatcher_of(shop_of(bank, deadline=timedelta(days=1)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run_once()
        (row,) = rows(dispatcher)
        assert (row.state, row.attempts, row.error) == ("waiting", 1, "ConnectionError: gone")
        worker.run_late()
        worker.run_late()
    assert [charge.attempt for charge, _ in bank.charged] == [1, 2, 3]
    assert len({charge.key for charge, _ in bank.charged}) == 1
    assert data(dispatcher, session)["reference"] == "R2"


def test_after_its_attempts_an_effect_has_failed_with_what_happened_last(dispatcher_of: Opening) -> None:
    bank = Bank(ConnectionError("gone"))
    dispatcher = dispatcher_of(shop_of(bank, attempts=3, deadline=timedelta(days=1)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        for _ in range(5):
            worker.run_late()
    assert len(bank.charged) == 3 and states(dispatcher) == ["failed"]
    assert data(dispatcher, session)["reason"] == "It was tried 3 times in vain. ConnectionError: gone"


def test_after_its_deadline_an_effect_is_not_tried(dispatcher_of: Opening) -> None:
    bank = Bank(ConnectionError("gone"))
    dispatcher = dispatcher_of(shop_of(bank, attempts=9, deadline=timedelta(minutes=3)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run_once()
        worker.run_late()
    assert len(bank.charged) == 1 and states(dispatcher) == ["failed"]
    assert data(dispatcher, session)["reason"].endswith("ConnectionError: gone")


def test_an_attempt_that_takes_too_long_is_ended_and_tried_again(dispatcher_of: Opening) -> None:
    bank = Bank(lambda call: asyncio.sleep(60), {"reference": "R2"})
    dispatcher = dispatcher_of(shop_of(bank, timeout=timedelta(seconds=0.3), deadline=timedelta(days=1)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run_once()
        assert rows(dispatcher)[0].error == "It did not answer within 0.3 s."
        worker.run_late()
    assert data(dispatcher, session)["reference"] == "R2"


def test_an_effect_that_nobody_hears_of_is_done_or_parked(dispatcher_of: Opening) -> None:
    bank = Bank({"reference": "R1"}, Failed("no money"))
    dispatcher = dispatcher_of(shop_of(bank, on_success=None, on_failure=None))
    call(dispatcher, "pay")
    call(dispatcher, "end")
    with desk(dispatcher) as worker:
        worker.run()
        call(dispatcher, "pay")
        worker.run()
    assert states(dispatcher) == ["done", "parked"] and rows(dispatcher)[1].error == "no money"


def test_an_outcome_that_the_session_refuses_is_parked_with_the_refusal(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank()))
    session = call(dispatcher, "pay").session
    revision = call(dispatcher, "call_off").revision
    with desk(dispatcher) as worker:
        worker.run()
    (row,) = rows(dispatcher)
    assert (row.state, row.result) == ("parked", '{"reference":"R1"}')
    assert "wrong_state" in str(row.error) and "called_off" in str(row.error)
    assert call(dispatcher, "note", session=session).revision == revision + 1


def test_an_outcome_is_taken_back_if_it_is_refused_and_the_effect_says_how(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund", told=True))
    session = call(dispatcher, "pay", amount=7).session
    call(dispatcher, "call_off")
    with desk(dispatcher) as worker:
        worker.run()
    charged, refunded = rows(dispatcher)
    assert (charged.state, refunded.state, refunded.compensates) == ("refused", "done", charged.id)
    ((refund, amount, result),) = bank.refunded
    assert (amount, result) == (7, {"reference": "R1"}) and refund.key != charged.key
    assert data(dispatcher, session)["reason"] == "refunded"


def test_an_ended_session_has_its_effects_carried_out_and_taken_back(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"))
    call(dispatcher, "pay")
    call(dispatcher, "end")
    with desk(dispatcher) as worker:
        worker.run()
    assert states(dispatcher) == ["refused", "done"] and len(bank.refunded) == 1


@pytest.mark.parametrize(
    "answer",
    [{"reference": 1}, {"other": "x"}, {}, "R1", None, ["a"]],
    ids=["type", "name", "less", "one", "none", "list"],
)
def test_an_outcome_that_does_not_fit_its_action_is_parked(dispatcher_of: Opening, answer: object) -> None:
    dispatcher = dispatcher_of(shop_of(Bank(lambda call: _gives(answer))))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run()
    if answer == "R1":  # the one parameter
        assert states(dispatcher) == ["done"] and data(dispatcher, session)["reference"] == "R1"
    else:
        assert states(dispatcher) == ["parked"] and "invalid_arguments" in str(rows(dispatcher)[0].error)


async def _gives(answer: object) -> object:
    return answer


def test_what_cannot_be_kept_is_parked_and_not_done_again(dispatcher_of: Opening) -> None:
    bank = Bank(lambda call: _gives(object()))
    dispatcher = dispatcher_of(shop_of(bank))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
        worker.run_late()
    assert states(dispatcher) == ["parked"] and len(bank.charged) == 1
    assert str(rows(dispatcher)[0].error).startswith("It was done, but what it returned cannot be written as JSON")


@pytest.mark.parametrize("odd", ["\x00", "\udc80"], ids=["NUL", "half a character"])
def test_what_no_database_keeps_as_text_holds_no_effect_up(dispatcher_of: Opening, odd: str) -> None:
    bank = Bank(Failed(f"no {odd}"), OSError(f"no {odd}"))
    dispatcher = dispatcher_of(shop_of(bank, on_failure=None, attempts=1))
    call(dispatcher, "pay")
    call(dispatcher, "end")
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
    assert states(dispatcher) == ["parked", "parked"]
    assert all("no \ufffd" in str(row.error) for row in rows(dispatcher))


def test_half_a_character_is_no_result_that_can_be_kept(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank({"reference": "R\udc80"})))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
    assert states(dispatcher) == ["parked"]
    assert str(rows(dispatcher)[0].error).startswith("It was done, but what it returned cannot be written as JSON")


@pytest.mark.parametrize(("reference", "kind"), [("broken", "RuntimeError"), ("over", "SystemExit")])
def test_an_action_that_fails_on_an_outcome_parks_it_with_an_id_that_the_log_explains(
    dispatcher_of: Opening, caplog: pytest.LogCaptureFixture, reference: str, kind: str
) -> None:
    dispatcher = dispatcher_of(shop_of(Bank({"reference": reference}), compensate="refund"))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
    (row,) = rows(dispatcher)
    number = str(row.error).rstrip(".").rpartition(" ")[2]
    assert row.state == "parked" and f"error {number}: {kind}" in caplog.text


def test_a_parked_outcome_is_only_reported_again(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank))
    session = call(dispatcher, "pay").session
    call(dispatcher, "call_off")
    with desk(dispatcher) as worker:
        worker.run()
        call(dispatcher, "undo")
        (row,) = rows(dispatcher)
        dispatcher.store.write(lambda tx: effects.resume(tx, row, timedelta(minutes=10)))
        worker.run()
    assert states(dispatcher) == ["done"] and len(bank.charged) == 1
    assert data(dispatcher, session)["reference"] == "R1"


def test_two_jobs_on_one_database_never_run_one_effect_at_once(dispatcher_of: Opening) -> None:
    running: set[str] = set()
    twice: list[str] = []

    async def careful(call: EffectCall) -> dict[str, str]:
        if call.key in running:
            twice.append(call.key)
        running.add(call.key)
        await asyncio.sleep(0.01)
        running.discard(call.key)
        return {"reference": call.key}

    bank = Bank(careful)
    shop = shop_of(bank)
    first, second = dispatcher_of(shop), dispatcher_of(shop)
    for _ in range(20):
        call(first, "pay")
        call(first, "end")
    with desk(first, at_once=4) as one, desk(second, at_once=4) as two:
        threads = [threading.Thread(target=each.run) for each in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: "waiting" not in states(first))
    assert not twice and len(bank.charged) == 20 == len({charge.key for charge, _ in bank.charged})


def test_what_a_dead_process_held_is_taken_over_under_the_same_key_and_its_late_report_is_dropped(
    dispatcher_of: Opening,
) -> None:
    late, began = threading.Event(), threading.Event()

    async def slow(call: EffectCall) -> dict[str, str]:
        began.set()
        await asyncio.to_thread(late.wait, 10)
        return {"reference": "late"}

    bank = Bank(slow, {"reference": "in time"})
    shop = shop_of(bank)
    first, second = dispatcher_of(shop), dispatcher_of(shop)
    session = call(first, "pay").session
    with desk(first) as dead, desk(second) as heir:
        dead.look()
        assert began.wait(10)
        heir.look()
        assert [charge.attempt for charge, _ in bank.charged] == [1]
        dead.die()
        heir.run()
        assert states(first) == ["done"]
        late.set()
        until(lambda: not dead.job.busy)
    assert data(second, session)["reference"] == "in time"
    assert [charge.attempt for charge, _ in bank.charged] == [1, 2]
    assert len({charge.key for charge, _ in bank.charged}) == 1


def test_a_crash_between_answer_and_report_has_the_handler_asked_again(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as dead, desk(dispatcher) as heir:
        dead.dispatcher.store.write(lambda tx: effects.claim(tx, dead.job.known, dead.holder, 1))
        dead.die()
        heir.run()
    ((charge, _),) = bank.charged
    assert charge.attempt == 2 and data(dispatcher, session)["reference"] == "R1"


def test_a_result_counts_only_from_who_still_holds_the_effect(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank()))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as one, desk(dispatcher) as other:
        (taken,) = dispatcher.store.write(lambda tx: effects.claim(tx, one.job.known, one.holder, 1))
        assert dispatcher.settle_effect(taken, other.holder, Succeeded({"reference": "x"})) is None
        assert dispatcher.settle_effect(taken, one.holder, Succeeded({"reference": "y"})) == "done"
        assert dispatcher.settle_effect(taken, one.holder, Succeeded({"reference": "z"})) is None
    assert data(dispatcher, session)["reference"] == "y"


def test_a_worker_without_a_lease_claims_nothing(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.die()
        worker.look()
    assert bank.charged == [] and rows(dispatcher)[0].claimed_at is None


@pytest.mark.parametrize("ending", ["close", "let_go"])
def test_what_is_under_way_is_cancelled_and_given_back_or_let_go(dispatcher_of: Opening, ending: str) -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def endless(call: EffectCall) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    dispatcher = dispatcher_of(shop_of(Bank(endless)))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.look()
        assert began.wait(10)
        getattr(worker.job, ending)()
        assert cancelled.wait(10)
        (row,) = rows(dispatcher)
        held = worker.holder if ending == "let_go" else None
        assert (row.state, row.worker_id) == ("waiting", held)


def test_a_handler_that_blocks_does_not_keep_the_job_waiting(dispatcher_of: Opening) -> None:
    free, began = threading.Event(), threading.Event()

    async def blocking(call: EffectCall) -> dict[str, str]:
        began.set()
        free.wait(10)
        return {"reference": "at last"}

    dispatcher = dispatcher_of(shop_of(Bank(blocking)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.look()
        assert began.wait(10)
        assert worker.look() > 0 and worker.job.busy == 1
        free.set()
        until(lambda: states(dispatcher) == ["done"])
    assert data(dispatcher, session)["reference"] == "at last"


def test_no_more_are_carried_out_at_once_than_there_is_room_for(dispatcher_of: Opening) -> None:
    free = threading.Event()

    async def held(call: EffectCall) -> dict[str, str]:
        await asyncio.to_thread(free.wait, 10)
        return {"reference": "R"}

    bank = Bank(held)
    dispatcher = dispatcher_of(shop_of(bank))
    for _ in range(3):
        call(dispatcher, "pay")
        call(dispatcher, "end")
    with desk(dispatcher, at_once=2) as worker:
        worker.look()
        assert worker.look() < 0.1
        until(lambda: len(bank.charged) == 2)
        assert [row.worker_id is not None for row in rows(dispatcher)] == [True, True, False]
        free.set()
        worker.run()
    assert len(bank.charged) == 3


def test_effects_of_an_erased_session_are_gone(dispatcher_of: Opening) -> None:
    began, late = threading.Event(), threading.Event()

    async def slow(call: EffectCall) -> dict[str, str]:
        began.set()
        await asyncio.to_thread(late.wait, 10)
        return {"reference": "late"}

    bank = Bank(slow)
    dispatcher = dispatcher_of(shop_of(bank))
    with desk(dispatcher) as worker:
        session = call(dispatcher, "pay").session
        worker.look()
        assert began.wait(10)
        dispatcher.erase(LOCAL, session)
        late.set()
        until(lambda: not worker.job.busy)
        dispatcher.erase(LOCAL, call(dispatcher, "pay").session)
        worker.run()
    assert rows(dispatcher) == [] and len(bank.charged) == 1


def test_what_no_world_here_can_do_is_left_for_others(dispatcher_of: Opening) -> None:
    bank = Bank()
    here, elsewhere = dispatcher_of(shop_of(bank)), dispatcher_of(shop_of(bank, name="other"))
    call(here, "pay")
    with desk(elsewhere) as worker:
        worker.run()
    assert bank.charged == [] and states(here) == ["waiting"]


def test_undo_waits_for_an_effect_under_way(dispatcher_of: Opening) -> None:
    began, late = threading.Event(), threading.Event()

    async def slow(call: EffectCall) -> dict[str, str]:
        began.set()
        await asyncio.to_thread(late.wait, 10)
        return {"reference": "R1"}

    dispatcher = dispatcher_of(shop_of(Bank(slow), compensate="refund", on_success=None))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.look()
        assert began.wait(10)
        with pytest.raises(Refused, match="carried out right now") as refused:
            call(dispatcher, "undo")
        late.set()
        worker.run()
        call(dispatcher, "undo")
        worker.run()
    assert refused.value.rule == "effect_begun" and states(dispatcher) == ["done", "done"]


def test_a_timer_that_is_due_goes_before_an_outcome(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"))
    session = call(dispatcher, "pay_soon").session
    with desk(dispatcher) as worker:
        (taken,) = dispatcher.store.write(lambda tx: effects.claim(tx, worker.job.known, worker.holder, 1))
        dispatcher.store.offset += timedelta(minutes=2)
        assert dispatcher.settle_effect(taken, worker.holder, Succeeded({"reference": "late"})) == "refused"
        worker.run()
    record = dispatcher.store.read(lambda tx: tx.session(session))
    assert record is not None and record.state == "called_off"
    assert states(dispatcher) == ["refused", "done"] and len(bank.refunded) == 1


def test_an_outcome_of_a_session_that_a_newer_version_stored_is_left_to_it_and_not_taken_back(
    dispatcher_of: Opening,
) -> None:
    def upgraded(version: int) -> dict[str, str]:
        with dispatcher.store.connection() as connection:
            connection.execute(text(f"update session set version = {version}"))
        return {"reference": "R1"}

    bank = Bank(lambda call: upgraded(9))
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"))
    session = call(dispatcher, "pay").session
    with desk(dispatcher) as worker:
        worker.run()
        (row,) = rows(dispatcher)
        assert (row.state, row.result, row.worker_id) == ("waiting", '{"reference":"R1"}', None)
        upgraded(1)  # as the newer process sees it
        worker.run()
    assert (len(bank.charged), bank.refunded, states(dispatcher)) == (1, [], ["done"])
    assert data(dispatcher, session)["reference"] == "R1"


def test_an_outcome_that_takes_too_long_is_parked_and_not_taken_back(dispatcher_of: Opening) -> None:
    bank = Bank({"reference": "slow"}, {"reference": "R2"})
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"), limits=Limits(seconds=0.3))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
    (row,) = rows(dispatcher)
    assert (row.state, row.result, bank.refunded) == ("parked", '{"reference":"slow"}', [])
    assert "action_too_long" in str(row.error)


def test_an_outcome_is_not_for_the_session_that_has_the_handle_of_an_erased_one(
    dispatcher_of: Opening, tmp_path: Path
) -> None:
    dispatcher = dispatcher_of(shop_of(Bank()))
    session = call(dispatcher, "pay").session
    dispatcher.export(LOCAL, session, tmp_path / "shop.session")
    with desk(dispatcher) as worker:
        (taken,) = dispatcher.store.write(lambda tx: effects.claim(tx, worker.job.known, worker.holder, 1))
        dispatcher.store.write(lambda tx: hide(tx, taken.row.session_id))  # what it had is deleted a little later
        assert dispatcher.import_file(LOCAL, tmp_path / "shop.session", same_handle=True).session == session
        assert dispatcher.settle_effect(taken, worker.holder, Succeeded({"reference": "R1"})) is None
    assert dispatcher.now(LOCAL, session).state == "paying"
