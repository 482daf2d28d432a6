"""Effects: what an author may declare, what an action may ask for, and what becomes of that by undo."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from engine import EffectCall, Failed, World, action, effect, on_enter
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError, InvalidArguments, LimitExceeded, Refused
from engine.limits import DEFAULT
from engine.operations import Call
from engine.retention import prune
from engine.store import effects
from engine.types import LOCAL
from tests.bank import Bank, call, data, desk, rows, shop_of, states

Opening = Callable[..., Dispatcher]


class Receipt(BaseModel):
    reference: str


@effect
async def ring(call: EffectCall, times: int = 1) -> None:
    """Rings."""


@effect(name="write_to")
async def write(call: EffectCall, address: str, amount: int) -> str:
    return address


class Place(StrEnum):
    QUIET = "quiet"
    LOUD = "loud"


class Porch(World, rows=[], states=Place, start=Place.QUIET, effects=[ring, write]):
    """A porch."""

    def start(self, rings: int = 0) -> None:
        for _ in range(rings):
            self.effect(ring)

    @action(source=Place.QUIET, target=Place.LOUD)
    def come(self) -> None:
        """Come."""

    @on_enter(Place.LOUD)
    def announce(self) -> None:
        self.effect("ring", times=2)

    @action
    def ask(self, what: str, given: dict[str, Any] | None = None, times: int = 1) -> None:
        """Ask for something."""
        for _ in range(times):
            self.effect(what, **(given or {}))

    @action
    def find_nothing(self) -> None:
        """Find nothing to do, and do it all the same."""
        self.effect(ring)
        self.unchanged()

    @action(read_only=True)
    def look(self) -> None:
        """Look."""
        self.effect(ring)


def ask(dispatcher: Dispatcher, name: str, **given: Any) -> None:
    dispatcher.dispatch(Call(principal=LOCAL, world="porch", action=name, arguments=given))


def declared(handler: Any, *more: Any) -> type[World]:
    """A world with that effect, and actions for its outcome."""

    class Desk(World, rows=[], effects=[handler, *more]):
        """Notes."""

        @action
        def note(self, reference: str) -> None:
            """Note a reference."""

        @action
        def note_all(self, reference: str, amount: int, remark: str = "") -> None:
            """Note more."""

        @action
        def note_nothing(self) -> None:
            """Note that it happened."""

        @action
        def sorry(self, reason: str) -> None:
            """Note why not."""

        @action(confirm="Sure?")
        def confirmed(self) -> None:
            """Ask first."""

        @action(read_only=True)
        def show(self) -> None:
            """Show."""

    return Desk


def test_effects_are_asked_for_in_start_and_entry_methods_too(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(Porch)
    dispatcher.start(LOCAL, "porch", {"rings": 2}, main=True)
    ask(dispatcher, "come")
    found = [(row.revision, row.number, row.name, row.arguments) for row in rows(dispatcher)]
    assert found == [(1, 1, "ring", '{"times":1}'), (1, 2, "ring", '{"times":1}'), (2, 1, "ring", '{"times":2}')]


def test_arguments_are_checked_when_they_are_asked_for_and_kept_as_canonical_json(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(Porch)
    ask(dispatcher, "ask", what="write_to", given={"amount": 3, "address": "Ä"})
    assert rows(dispatcher)[0].arguments == '{"address":"Ä","amount":3}'
    with pytest.raises(InvalidArguments, match=r"effect write_to .*amount.*received 'much'"):
        ask(dispatcher, "ask", what="write_to", given={"amount": "much", "address": "x"})
    with pytest.raises(TypeError, match="write_to takes address, amount; received amount"):
        ask(dispatcher, "ask", what="write_to", given={"amount": 3})
    with pytest.raises(TypeError, match=r"there is no effect 'sing' .* are: ring, write_to"):
        ask(dispatcher, "ask", what="sing")
    assert len(rows(dispatcher)) == 1


def test_a_change_asks_for_so_many_effects_and_no_more(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(Porch, limits=replace(DEFAULT, effects=3))
    ask(dispatcher, "ask", what="ring", times=3)
    with pytest.raises(LimitExceeded, match="more than 3 effects"):
        ask(dispatcher, "ask", what="ring", times=4)
    assert len(rows(dispatcher)) == 3


def test_who_only_looks_or_changes_nothing_asks_for_nothing(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(Porch)
    dispatcher.start(LOCAL, "porch", main=True)
    with pytest.raises(TypeError, match="asks for nothing"):
        ask(dispatcher, "look")
    with pytest.raises(TypeError, match="unchanged"):
        ask(dispatcher, "find_nothing")
    assert rows(dispatcher) == []


def test_a_repeat_of_a_call_asks_for_nothing_more(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank()))
    again = Call(principal=LOCAL, world="shop", action="pay", key="k")
    assert dispatcher.dispatch(again).replayed is None and dispatcher.dispatch(again).replayed is not None
    assert states(dispatcher) == ["waiting"]


def test_undo_cancels_an_effect_that_nobody_began_and_redo_asks_for_it_anew(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank))
    session = call(dispatcher, "pay", amount=7).session
    call(dispatcher, "undo")
    assert states(dispatcher) == ["cancelled"]
    assert call(dispatcher, "redo").change.effects == 1  # type: ignore[union-attr]
    call(dispatcher, "undo")
    call(dispatcher, "redo")
    with desk(dispatcher) as worker:
        worker.run()
    assert states(dispatcher) == ["cancelled", "cancelled", "done"]
    assert [amount for _, amount in bank.charged] == [7]
    assert len({row.key for row in rows(dispatcher)}) == 3
    assert data(dispatcher, session)["reference"] == "R1"


@pytest.mark.parametrize(
    ("step", "options", "state"),
    [
        ({"reference": "R1"}, {"on_success": None}, "done"),
        (Failed("no"), {"on_failure": None}, "parked"),
        (ConnectionError("gone"), {}, "waiting"),
    ],
)
def test_undo_is_refused_by_name_once_an_effect_was_begun(
    dispatcher_of: Opening, step: object, options: dict[str, Any], state: str
) -> None:
    dispatcher = dispatcher_of(shop_of(Bank(step), **options))
    revision = call(dispatcher, "pay").revision
    with desk(dispatcher) as worker:
        worker.run()
    with pytest.raises(Refused, match=f"pay at revision {revision} asked for the effect charge, which was") as refused:
        call(dispatcher, "undo")
    assert refused.value.rule == "effect_begun" and states(dispatcher) == [state]


def test_undo_takes_back_what_was_done_if_the_effect_says_how(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"))
    call(dispatcher, "pay", amount=7)
    with desk(dispatcher) as worker:
        worker.run()
        call(dispatcher, "undo")  # the outcome
        undone = call(dispatcher, "undo")
        assert (undone.state, states(dispatcher)) == ("open", ["done", "waiting"])
        worker.run()
        with pytest.raises(Refused, match="was carried out") as refused:
            call(dispatcher, "redo")
    charged, refunded = rows(dispatcher)
    assert refused.value.rule == "effect_begun"
    assert (refunded.name, refunded.compensates, refunded.revision) == ("refund", charged.id, undone.revision)
    assert [(amount, result) for _, amount, result in bank.refunded] == [(7, {"reference": "R1"})]


@pytest.mark.parametrize("step", [{"reference": "R1"}, Failed("no"), ConnectionError("gone")])
def test_undo_leaves_it_to_the_action_if_that_says_how(dispatcher_of: Opening, step: object) -> None:
    bank = Bank(step)
    dispatcher = dispatcher_of(shop_of(bank, own="pay_back", on_success=None, on_failure=None))
    call(dispatcher, "pay", amount=7)
    with desk(dispatcher) as worker:
        worker.run_once()
        call(dispatcher, "undo")
        worker.run_late()
    assert [amount for _, amount, _ in bank.refunded] == [7] and len(bank.charged) == 1
    assert not {"waiting", "parked"} & set(states(dispatcher))


def test_an_effect_that_nobody_began_is_cancelled_without_asking_the_action(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, own="pay_back"))
    call(dispatcher, "pay")
    call(dispatcher, "undo")
    assert states(dispatcher) == ["cancelled"]
    call(dispatcher, "redo")
    assert states(dispatcher) == ["cancelled", "waiting"]


def test_undo_passes_over_an_effect_that_is_taken_back_already(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank, compensate="refund"))
    call(dispatcher, "pay")
    call(dispatcher, "call_off")
    with desk(dispatcher) as worker:
        worker.run()
        call(dispatcher, "undo")
        assert call(dispatcher, "undo").state == "open"
        worker.run()
        with pytest.raises(Refused, match="was carried out and is taken back"):
            call(dispatcher, "redo")
    assert states(dispatcher) == ["refused", "done"] and len(bank.refunded) == 1


def test_a_fork_has_none_of_the_effects(dispatcher_of: Opening) -> None:
    bank = Bank()
    dispatcher = dispatcher_of(shop_of(bank))
    session = call(dispatcher, "pay").session
    fork = dispatcher.fork(LOCAL, session).session
    assert call(dispatcher, "undo", session=fork).state == "open"
    assert states(dispatcher) == ["waiting"]
    with desk(dispatcher) as worker:
        worker.run()
    assert len(bank.charged) == 1 and data(dispatcher, fork)["reference"] == ""


def test_retention_keeps_what_undo_needs_of_an_effect_that_was_asked_for_anew(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank()))
    for name in ("pay", "undo", "redo"):
        call(dispatcher, name)
    dispatcher.store.offset += timedelta(days=3)
    call(dispatcher, "note")
    prune(dispatcher.store, timedelta(days=1))
    call(dispatcher, "undo")
    assert call(dispatcher, "undo").value == {"revision": 2, "action": "pay"}
    assert states(dispatcher) == ["cancelled", "cancelled"]


def test_what_an_operator_dropped_can_be_undone_and_not_done_again(dispatcher_of: Opening) -> None:
    dispatcher = dispatcher_of(shop_of(Bank(Failed("no")), on_failure=None))
    call(dispatcher, "pay")
    with desk(dispatcher) as worker:
        worker.run()
    (row,) = rows(dispatcher)
    dispatcher.store.write(lambda tx: effects.end(tx, row.id, "cancelled"))
    call(dispatcher, "undo")
    with pytest.raises(Refused, match="was begun"):
        call(dispatcher, "redo")


def test_a_call_without_other_servers_says_so() -> None:
    call = EffectCall(key="k", session="s", world="w", revision=1, attempt=1, deadline=None)  # type: ignore[arg-type]
    with pytest.raises(Failed, match="calls no other servers, so it cannot call book of hotel"):
        asyncio.run(call.tool("hotel", "book"))


def test_each_call_of_a_tool_has_a_key_of_its_own_the_same_at_each_attempt() -> None:
    keys: list[str] = []

    async def tools(server: str, tool: str, arguments: Any, key: str) -> None:
        keys.append(key)

    async def attempt() -> None:
        call = EffectCall(key="k", session="s", world="w", revision=1, attempt=1, deadline=None, _tools=tools)  # type: ignore[arg-type]
        await call.tool("hotel", "book")
        await call.tool("hotel", "pay")

    asyncio.run(attempt())
    asyncio.run(attempt())
    assert keys == ["k", "k.2", "k", "k.2"]


# declarations


def test_a_handler_is_async_and_takes_the_call_first() -> None:
    with pytest.raises(DefinitionError, match="plain is not async"):

        @effect  # type: ignore[type-var]
        def plain(call: EffectCall) -> None: ...

    with pytest.raises(DefinitionError, match="does not take the call first"):

        @effect
        async def alone() -> None: ...

    with pytest.raises(DefinitionError, match="does not take the call first"):

        @effect
        async def other(amount: int) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"attempts": 101},
        {"deadline": timedelta()},
        {"deadline": 60},
        {"deadline": timedelta(days=366)},
        {"timeout": timedelta(seconds=-1)},
        {"timeout": timedelta(hours=2)},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=f"{next(iter(options))}="):

        @effect(**options)
        async def send(call: EffectCall) -> None: ...


def test_outcomes_name_actions_that_change_something_and_ask_nobody() -> None:
    for option in ("on_success", "on_failure"):
        for name, said in (("nothing", "is no action"), ("show", "cannot be"), ("confirmed", "cannot be")):
            options: dict[str, Any] = {option: name}

            @effect(**options)
            async def send(call: EffectCall) -> None: ...

            with pytest.raises(DefinitionError, match=f"effect send: {option}='{name}' {said}"):
                declared(send)


def test_a_failure_has_a_reason_and_nothing_else() -> None:
    @effect(on_failure="note")
    async def send(call: EffectCall) -> None: ...

    with pytest.raises(DefinitionError, match="on_failure='note' needs reference"):
        declared(send)


@pytest.mark.parametrize(
    ("returned", "to", "fits"),
    [
        (Receipt, "note", True),
        (Receipt, "note_all", False),
        (Receipt, "note_nothing", False),
        (str, "note", True),
        (str, "note_all", False),
        (str, "note_nothing", False),
        (None, "note_nothing", True),
        (None, "note", False),
        (list[str], "note", True),
        (dict[str, str], "note_all", True),
        (dict[str, str] | None, "note", True),
        (Any, "note_all", True),
    ],
)
def test_what_a_handler_returns_has_to_fit_its_action_as_far_as_its_type_tells(
    returned: Any, to: str, fits: bool
) -> None:
    async def send(call: EffectCall) -> Any: ...

    send.__annotations__["return"] = returned
    handler = effect(on_success=to)(send)
    if fits:
        assert list(declared(handler).definition.effects) == ["send"]
    else:
        with pytest.raises(DefinitionError, match=f"but on_success='{to}' takes"):
            declared(handler)


def test_a_compensation_is_an_effect_of_the_world_that_takes_no_more_than_there_is() -> None:
    @effect
    async def back(call: EffectCall, amount: int, result: str | None = None) -> None: ...

    @effect
    async def greedy(call: EffectCall, amount: int, currency: str) -> None: ...

    @effect(compensate=back)
    async def send(call: EffectCall, amount: int) -> None: ...

    @effect(name="send", compensate="greedy")
    async def send_more(call: EffectCall, amount: int) -> None: ...

    assert declared(send, back).definition.effects["send"].compensate == "back"
    with pytest.raises(DefinitionError, match="compensate='back' is no effect"):
        declared(send)
    with pytest.raises(DefinitionError, match="compensate='greedy' needs currency"):
        declared(send_more, greedy)


def test_worlds_list_effects_each_once_and_nothing_else() -> None:
    async def unmarked(call: EffectCall) -> None: ...

    @effect
    async def keep(call: EffectCall, token: SecretStr) -> None: ...

    with pytest.raises(DefinitionError, match="unmarked, which is no effect"):
        declared(unmarked)
    with pytest.raises(DefinitionError, match="two effects are named 'ring'"):
        declared(ring, ring)
    with pytest.raises(DefinitionError, match="'token' is a secret"):
        declared(keep)
