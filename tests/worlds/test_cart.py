"""The cart: many carts, one stock."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine import Compound, Final
from engine.background.clock import advance
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, NotFound, Refused
from engine.migrate import behind, config, upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.store.sqlite import SqliteStore
from engine.types import EFFECT, LOCAL, TIMER, Change, Outcome, Principal, RowChange
from tests.bank import Desk, desk, rows
from tests.worlds.shoppers import rush
from worlds.cart import (
    APPROVED_FROM,
    RESERVED_FOR,
    Cart,
    CartLine,
    Product,
    State,
    charge_card,
    first_stock,
    money,
    refund_card,
)

BEN = Principal("test", "ben")
PRICES = {product.sku: product.price for product in first_stock()}
STOCK = {product.sku: product.stock for product in first_stock()}


def act(
    dispatcher: Dispatcher, action: str, by: Principal = LOCAL, session: str | None = None, **given: Any
) -> Outcome:
    return dispatcher.dispatch(Call(principal=by, world="cart", action=action, arguments=given, session=session))


def refusal(dispatcher: Dispatcher, action: str, **given: Any) -> tuple[str, str]:
    """The rule and the reason of a refusal, which changes nothing."""
    before = shown(dispatcher)
    with pytest.raises(Refused) as refused:
        act(dispatcher, action, **given)
    assert shown(dispatcher) == before
    return refused.value.rule, refused.value.reason


def shown(dispatcher: Dispatcher, session: str | None = None, by: Principal = LOCAL) -> tuple[Any, ...]:
    """A cart's revision, state and contents."""
    found = act(dispatcher, "show", by=by, session=session)
    return found.revision, found.state, found.value


def stock(dispatcher: Dispatcher) -> dict[str, int]:
    def look(cart: Cart) -> dict[str, int]:
        return {product.sku: product.stock for product in cart.shared(Product)}

    return dispatcher.look(LOCAL, "cart", None, look)  # type: ignore[arg-type]


def text(outcome: Outcome) -> str:
    return "\n".join(block["text"] for block in outcome.content)


@pytest.fixture
def shop(dispatcher_of: Callable[..., Dispatcher]) -> Dispatcher:
    return dispatcher_of(Cart)


def key_of(dispatcher: Dispatcher) -> str:
    """The key of the one effect that there is."""
    (row,) = rows(dispatcher)
    return row.key


@pytest.fixture
def till(shop: Dispatcher) -> Iterator[Desk]:
    """The shop, and who carries its effects out when told to."""
    with desk(shop) as found:
        yield found


# each action and guard


def test_add_puts_units_into_the_cart_and_takes_none_from_stock(shop: Dispatcher) -> None:
    added = act(shop, "add", sku="assam", quantity=2)
    assert text(added) == "2 × Assam, 100 g in the cart."
    line = {"sku": "assam", "quantity": 3, "price": 690, "currency": "EUR"}
    assert act(shop, "add", sku="assam").value == {"lines": [line], "total": 2070, "currency": "EUR"}
    assert stock(shop) == STOCK


def test_add_says_when_there_are_not_so_many(shop: Dispatcher) -> None:
    assert text(act(shop, "add", sku="teapot", quantity=11)).endswith("in the cart. Only 10 left in the shop.")


def test_add_refuses_what_is_not_sold_and_names_what_is(shop: Dispatcher) -> None:
    rule_, reason = refusal(shop, "add", sku="gin")
    assert (rule_, reason) == ("is_sold", "There is no product 'gin'. There are: assam, cup, mint, sencha, teapot.")


@pytest.mark.parametrize("quantity", [0, 100, -1, 1.5, "many"])
def test_add_takes_one_to_ninety_nine(shop: Dispatcher, quantity: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"\$\.quantity"):
        act(shop, "add", sku="assam", quantity=quantity)


def test_a_cart_holds_ninety_nine_of_a_product(shop: Dispatcher) -> None:
    act(shop, "add", sku="mint", quantity=99)
    assert refusal(shop, "add", sku="mint") == ("too_many", "A cart holds 99 of a product; it has 99 mint already.")


def test_currencies_do_not_mix(dispatcher_of: Callable[..., Dispatcher]) -> None:
    def stall() -> Iterable[Product]:
        yield Product(sku="assam", title="Assam", price=690, currency="EUR", stock=5)
        yield Product(sku="chawan", title="Bowl", price=4000, currency="JPY", stock=5)

    checkout = Compound(State.CHECKOUT, State.DUE, State.APPROVAL, State.PAYING, State.DECLINED)
    states = [State.OPEN, checkout, Final(State.PAID)]
    tables: dict[str, Any] = {"rows": [CartLine], "shared": [Product], "seed": stall}
    options: dict[str, Any] = {**tables, "states": states, "effects": [charge_card, refund_card]}

    class Market(Cart, name="cart", **options):
        """A cart of another shop."""

    market = dispatcher_of(Market)
    act(market, "add", sku="assam")
    expected = ("is_of_one_currency", "chawan is sold in JPY, and the cart is in EUR.")
    assert refusal(market, "add", sku="chawan") == expected


def test_remove_takes_some_or_all_out(shop: Dispatcher) -> None:
    act(shop, "add", sku="cup", quantity=5)
    assert text(act(shop, "remove", sku="cup", quantity=2)) == "3 × cup in the cart."
    assert act(shop, "remove", sku="cup").value == {"lines": [], "total": 0, "currency": None}


def test_remove_refuses_what_is_not_in_the_cart(shop: Dispatcher) -> None:
    act(shop, "add", sku="cup")
    assert refusal(shop, "remove", sku="mint") == ("is_in_cart", "There is no mint in the cart.")


def test_show_says_what_is_in_the_cart_and_in_the_shop(shop: Dispatcher) -> None:
    assert text(act(shop, "show")).startswith(
        "The cart is empty.\nIn the shop:\n  assam: Assam, 100 g, 6.90 EUR, 500 left"
    )
    act(shop, "add", sku="teapot", quantity=2)
    assert text(act(shop, "show")).startswith("2 × teapot at 89.00 EUR\n178.00 EUR together\n")


def test_checkout_takes_all_lines_from_stock_and_freezes_the_cart(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=3)
    act(shop, "add", sku="mint")
    bought = act(shop, "checkout")
    assert (text(bought), bought.state) == ("270.80 EUR to pay.", "payment_due")
    assert (bought.value["total"], bought.value["currency"]) == (27080, "EUR")
    assert stock(shop) == {**STOCK, "teapot": 7, "mint": 999}
    assert bought.allowed_actions == ("show", "cancel", "pay")
    assert refusal(shop, "add", sku="mint")[0] == "wrong_state"


def test_what_only_timers_and_effects_take_is_not_there_for_anybody(shop: Dispatcher) -> None:
    act(shop, "add", sku="mint")
    session = act(shop, "checkout").session
    calls: dict[str, dict[str, Any]] = {
        "release": {},
        "record_payment": {"reference": "x", "paid": 1},
        "decline": {"reason": "x"},
    }
    for action, given in calls.items():
        with pytest.raises(NotFound, match=f"no action '{action}'"):
            act(shop, action, session=session, **given)


def test_a_payment_is_recorded_and_a_paid_cart_is_over(till: Desk) -> None:
    shop = till.dispatcher
    act(shop, "add", sku="mint", quantity=2)
    act(shop, "checkout")
    paying = act(shop, "pay")
    assert (text(paying), paying.state, paying.allowed_actions) == (
        "7.60 EUR is being paid.",
        "paying",
        ("show", "cancel"),
    )
    till.run()
    revision, state, value = shown(shop)
    assert (revision, state, stock(shop)["mint"]) == (5, "paid", 998) and value["reference"].startswith("pay_")
    assert refusal(shop, "undo") == ("cannot_undo", "record_payment at revision 5 cannot be undone.")
    advance(shop, 2 * RESERVED_FOR)
    assert shown(shop)[:2] == (5, "paid")


def test_a_declined_payment_can_be_made_again_by_another_card(till: Desk) -> None:
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    act(shop, "checkout")
    act(shop, "pay", card="declines")
    till.run()
    assert shown(shop)[1:] == ("payment_declined", {**shown(shop)[2], "declined": "The card was declined."})
    act(shop, "pay", card="approves")
    till.run()
    assert shown(shop)[1] == "paid"


def test_a_payment_whose_answer_was_lost_is_made_once(till: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="worlds.cart")
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    act(shop, "checkout")
    act(shop, "pay", card="twice")
    till.run_once()
    assert shown(shop)[1] == "paying"
    shop.store.offset += timedelta(seconds=30)
    till.run()
    assert shown(shop)[:2] == (5, "paid")
    assert [line for line in caplog.messages if line.startswith("charged")] == [f"charged 3.80 EUR with {key_of(shop)}"]


def test_a_payment_that_nobody_answers_is_declined_in_the_end(till: Desk) -> None:
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    act(shop, "checkout")
    act(shop, "pay", card="never")
    till.look()
    till.job.let_go()
    shop.store.offset += timedelta(minutes=3)
    till.die()
    till.holder = till.enter()
    till.run()
    assert shown(shop)[1] == "payment_declined" and shown(shop)[2]["declined"].startswith("It was not done until")


def test_a_reservation_ends_by_itself_and_frees_the_stock(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=10)
    act(shop, "checkout")
    advance(shop, RESERVED_FOR - timedelta(seconds=1))
    assert (shown(shop)[1], stock(shop)["teapot"]) == ("payment_due", 0)
    advance(shop, timedelta(seconds=1))
    assert (shown(shop)[:2], stock(shop)) == ((4, "open"), STOCK)
    assert refusal(shop, "undo") == ("cannot_undo", "release at revision 4 cannot be undone.")


def test_a_checkout_that_was_left_frees_nothing_later(shop: Dispatcher) -> None:
    act(shop, "add", sku="cup")
    act(shop, "checkout")
    act(shop, "cancel")
    advance(shop, 2 * RESERVED_FOR)
    assert shown(shop)[:2] == (4, "open")


@pytest.mark.parametrize("left", ["cancel", "release"])
def test_a_payment_that_comes_too_late_is_given_back(till: Desk, left: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="worlds.cart")
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    act(shop, "checkout")
    act(shop, "pay")
    if left == "cancel":
        act(shop, "cancel")
    else:
        advance(shop, RESERVED_FOR)
    before = shown(shop)
    till.run()
    assert shown(shop) == before and before[1] == "open" and stock(shop) == STOCK
    assert {"cancel": 1, "release": 0}[left] == sum("refunded 3.80 EUR" in line for line in caplog.messages)


def test_a_payment_of_what_the_cart_held_before_does_not_pay_what_it_holds_now(
    till: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="worlds.cart")
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    for product in ("cup", "teapot"):
        act(shop, "checkout")
        act(shop, "pay")
        act(shop, "cancel")
        act(shop, "add", sku=product)
    act(shop, "checkout")
    act(shop, "pay")
    till.run()
    assert shown(shop)[1] == "paid" and shown(shop)[2]["total"] == 380 + 1400 + 8900
    given_back = sorted(line.split(" of ")[0] for line in caplog.messages if line.startswith("refunded"))
    assert given_back == ["refunded 17.80 EUR", "refunded 3.80 EUR"]


def test_an_undone_payment_that_nobody_began_is_never_made(till: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="worlds.cart")
    shop = till.dispatcher
    act(shop, "add", sku="mint")
    act(shop, "checkout")
    act(shop, "pay")
    assert act(shop, "undo").state == "payment_due"
    till.run()
    assert not caplog.messages and shown(shop)[1] == "payment_due"


def test_a_large_payment_waits_for_a_person(till: Desk) -> None:
    shop = till.dispatcher
    act(shop, "add", sku="teapot", quantity=6)
    act(shop, "checkout")
    assert PRICES["teapot"] * 6 >= APPROVED_FROM
    asked = act(shop, "pay")
    assert (text(asked), asked.state) == ("534.00 EUR is to be approved by a person.", "approval")
    till.run()
    assert shown(shop)[1] == "approval"
    assert Cart.definition.actions["approve"].options.confirm is not None
    act(shop, "approve")
    till.run()
    assert shown(shop)[1] == "paid"


def test_cancelled_checkout_gives_everything_back_and_opens_the_cart(till: Desk) -> None:
    shop = till.dispatcher
    act(shop, "add", sku="teapot", quantity=5)
    act(shop, "checkout")
    act(shop, "pay", card="declines")
    till.run()
    cancelled = act(shop, "cancel")
    assert (text(cancelled), cancelled.state) == ("The cart is open again.", "open")
    assert stock(shop) == STOCK and "add" in cancelled.allowed_actions and "declined" not in cancelled.value


def test_undone_cancel_takes_the_stock_again_unless_it_was_sold_meanwhile(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=4)
    act(shop, "checkout")
    act(shop, "cancel")
    assert act(shop, "undo").state == "payment_due" and stock(shop)["teapot"] == 6
    act(shop, "cancel")
    act(shop, "add", by=BEN, sku="teapot", quantity=7)
    act(shop, "checkout", by=BEN)
    assert refusal(shop, "undo") == ("out_of_stock", "teapot was sold to others meanwhile: 3 left.")


def test_checkout_of_an_empty_cart_is_refused(shop: Dispatcher) -> None:
    shown(shop)
    assert refusal(shop, "checkout") == ("has_lines", "The cart is empty.")


def test_checkout_names_each_product_that_is_short_and_takes_nothing(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=11)
    act(shop, "add", sku="cup", quantity=61)
    act(shop, "add", sku="mint", quantity=2)
    rule_, reason = refusal(shop, "checkout")
    assert rule_ == "out_of_stock"
    assert reason == "Not enough in stock: cup: 60 left, 61 in the cart; teapot: 10 left, 11 in the cart."
    assert stock(shop) == STOCK


def test_a_price_stays_what_it_was_when_added(shop: Dispatcher) -> None:
    act(shop, "add", sku="cup")
    assert shown(shop)[2]["lines"][0]["price"] == PRICES["cup"]


def test_resources_give_the_cart_and_the_catalogue(shop: Dispatcher) -> None:
    act(shop, "add", sku="cup")
    resources = Cart.definition.resources
    assert shop.look(LOCAL, "cart", None, resources["cart"].method)["total"] == 1400
    catalogue = shop.look(
        LOCAL, "cart", None, lambda cart: [p.model_dump() for p in resources["catalogue"].method(cart)]
    )
    assert catalogue[0] == {"sku": "assam", "title": "Assam, 100 g", "price": 690, "currency": "EUR", "stock": 500}


@pytest.mark.parametrize(("amount", "said"), [(0, "0.00 EUR"), (5, "0.05 EUR"), (123456, "1234.56 EUR")])
def test_money_is_said_with_two_digits(amount: int, said: str) -> None:
    assert money(amount, "EUR") == said


# taking back and copying


def test_undone_checkout_gives_back_what_it_took_beside_what_others_took(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=4)
    act(shop, "checkout")
    act(shop, "add", by=BEN, sku="teapot", quantity=6)
    act(shop, "checkout", by=BEN)
    assert act(shop, "undo").state == "open" and stock(shop)["teapot"] == 4
    assert refusal(shop, "redo")[0] == "touches_shared"
    assert act(shop, "checkout").state == "payment_due" and stock(shop)["teapot"] == 0


def test_a_copy_of_a_checked_out_cart_is_open_and_buys_anew(shop: Dispatcher) -> None:
    act(shop, "add", sku="teapot", quantity=6)
    copy = shop.fork(LOCAL, act(shop, "checkout").session)
    assert copy.state == "open" and stock(shop)["teapot"] == 4
    with pytest.raises(Refused, match="teapot: 4 left, 6 in the cart"):
        act(shop, "checkout", session=copy.session)
    act(shop, "undo")
    act(shop, "checkout", session=copy.session)
    assert stock(shop)["teapot"] == 4


def test_a_copy_of_an_open_cart_goes_on_as_it_was(shop: Dispatcher) -> None:
    session = act(shop, "add", sku="mint").session
    copy = shop.fork(LOCAL, session)
    assert (copy.revision, copy.change) == (2, None)
    act(shop, "undo", session=copy.session)
    assert shown(shop, copy.session)[2]["lines"] == []


# races


def test_fifty_carts_race_for_ten_units_and_exactly_ten_get_one(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatchers = [dispatcher_of(Cart), dispatcher_of(Cart)]
    with ThreadPoolExecutor(2) as both:
        found = both.map(rush, dispatchers, ("ann", "ben"), (25, 25))
        results = Counter(result for each in found for result in each)
    assert results == {"bought": 10, "out_of_stock": 40}
    assert stock(dispatchers[0])["teapot"] == 0


def test_fifty_carts_of_two_processes_race_and_exactly_ten_get_one(shop: Dispatcher) -> None:
    program = [sys.executable, "-m", "tests.worlds.shoppers", shop.store.url]
    processes = [
        subprocess.Popen([*program, name, "25"], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        for name in ("ann", "ben")
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert Counter(result for each in said for result in json.loads(each)) == {"bought": 10, "out_of_stock": 40}
    assert stock(shop)["teapot"] == 0


# the journal


def applied(rows: dict[str, Mapping[str, Any]], changes: Iterable[RowChange], key: str) -> None:
    for change in changes:
        if change.before is not None:
            assert rows.pop(change.before[key]) == change.before
        if change.after is not None:
            rows[change.after[key]] = change.after


def test_applying_the_journals_images_gives_the_same_rows(dispatcher_of: Callable[..., Dispatcher]) -> None:
    heard: list[Change] = []
    shop = dispatcher_of(Cart, listeners=[heard.append])
    for action, given in (("add", {"sku": "cup", "quantity": 3}), ("add", {"sku": "mint"}), ("add", {"sku": "cup"})):
        act(shop, action, **given)
    act(shop, "remove", sku="mint")
    session = act(shop, "checkout").session
    act(shop, "undo")
    act(shop, "remove", sku="cup", quantity=1)
    act(shop, "checkout")
    lines: dict[str, Mapping[str, Any]] = {}
    products: dict[str, Mapping[str, Any]] = {product.sku: product.model_dump() for product in first_stock()}
    for change in heard:
        applied(lines, change.rows, "sku")
        applied(products, change.shared, "sku")
    assert [change.revision for change in heard] == list(range(1, shown(shop)[0] + 1))
    assert list(lines.values()) == shop.past(LOCAL, session)[0].rows[str(CartLine.__tablename__)]
    assert {sku: product["stock"] for sku, product in products.items()} == stock(shop) == {**STOCK, "cup": 57}


# the tables


def test_the_tables_are_made_filled_taken_back_and_made_again(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "cart.db"))
    worlds = Registry([Cart]).worlds
    for _ in range(2):
        upgrade(store, worlds.values())
        assert behind(store, worlds.values()) == []
        assert stock(Dispatcher(store, Registry([Cart]))) == STOCK
        with store.connection() as connection:
            connection.exec_driver_sql("delete from session")
            command.downgrade(config(connection, worlds["cart"]), "base")
        assert behind(store, worlds.values()) == ["cart"]
    store.close()


# against a model


RESERVED = ("payment_due", "approval", "paying", "payment_declined")


@dataclass(frozen=True)
class Basket:
    """What a cart should be: `held` is what it has of the stock, `earlier` what undo leads back to, newest last."""

    lines: Mapping[str, int] = field(default_factory=dict)
    state: str = "open"
    earlier: tuple["Basket", ...] = ()
    fixed: bool = False
    """Whether what led here cannot be undone."""

    @property
    def held(self) -> Counter[str]:
        return Counter({} if self.state == "open" else self.lines)

    def then(self, **changed: Any) -> "Basket":
        return replace(self, **{"fixed": False, **changed}, earlier=(*self.earlier, self))

    @property
    def total(self) -> int:
        return sum(PRICES[sku] * count for sku, count in self.lines.items())


class Shop(RuleBasedStateMachine):
    """Several carts on one shop, against dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = SqliteStore(str(Path(self.folder.name) / "shop.db"))
        upgrade(self.store, [Cart.definition])
        self.dispatcher = Dispatcher(self.store, Registry([Cart]))
        self.baskets: dict[str, Basket] = {}
        self.revisions: dict[str, int] = {}

    @initialize()
    def open_two(self) -> None:
        for _ in range(2):
            session = self.dispatcher.start(LOCAL, "cart").session
            self.baskets[session], self.revisions[session] = Basket(), 1

    def left(self) -> Counter[str]:
        held = sum((basket.held for basket in self.baskets.values()), Counter[str]())
        return Counter({sku: number - held[sku] for sku, number in STOCK.items()})

    def call(self, number: int, action: str, expected: Basket | None, by: Principal = LOCAL, **given: Any) -> None:
        session = list(self.baskets)[number % len(self.baskets)]
        try:
            found = act(self.dispatcher, action, by=by, session=session, **given)
        except Refused:
            assert expected is None, f"{action} was refused"
            return
        assert expected is not None, f"{action} was not refused"
        self.revisions[session] += 1
        self.baskets[session] = expected
        assert found.revision == self.revisions[session]

    def basket(self, number: int) -> Basket:
        return list(self.baskets.values())[number % len(self.baskets)]

    @rule(number=st.integers(0, 3), sku=st.sampled_from([*STOCK, "gin"]), quantity=st.integers(1, 99))
    def add(self, number: int, sku: str, quantity: int) -> None:
        basket = self.basket(number)
        total = basket.lines.get(sku, 0) + quantity
        possible = basket.state == "open" and sku in STOCK and total <= 99
        expected = basket.then(lines={**basket.lines, sku: total}) if possible else None
        self.call(number, "add", expected, sku=sku, quantity=quantity)

    @rule(number=st.integers(0, 3), sku=st.sampled_from(["cup", "teapot"]), quantity=st.none() | st.integers(1, 99))
    def remove(self, number: int, sku: str, quantity: int | None) -> None:
        basket = self.basket(number)
        left = 0 if quantity is None else max(0, basket.lines.get(sku, 0) - quantity)
        lines = {name: count for name, count in {**basket.lines, sku: left}.items() if count}
        possible = basket.state == "open" and sku in basket.lines
        self.call(number, "remove", basket.then(lines=lines) if possible else None, sku=sku, quantity=quantity)

    @rule(number=st.integers(0, 3))
    def checkout(self, number: int) -> None:
        basket, left = self.basket(number), self.left()
        possible = (
            basket.state == "open" and basket.lines and all(left[sku] >= count for sku, count in basket.lines.items())
        )
        self.call(number, "checkout", basket.then(state="payment_due") if possible else None)

    @rule(number=st.integers(0, 3))
    def cancel(self, number: int) -> None:
        basket = self.basket(number)
        self.call(number, "cancel", basket.then(state="open") if basket.state in RESERVED else None)

    @rule(number=st.integers(0, 3))
    def release(self, number: int) -> None:
        basket = self.basket(number)
        expected = basket.then(state="open", fixed=True) if basket.state in RESERVED else None
        self.call(number, "release", expected, by=TIMER)

    @rule(number=st.integers(0, 3))
    def pay(self, number: int) -> None:
        basket = self.basket(number)
        possible = basket.state in ("payment_due", "payment_declined")
        state = "approval" if basket.total >= APPROVED_FROM else "paying"
        self.call(number, "pay", basket.then(state=state) if possible else None)

    @rule(number=st.integers(0, 3))
    def approve(self, number: int) -> None:
        basket = self.basket(number)
        self.call(number, "approve", basket.then(state="paying") if basket.state == "approval" else None)

    @rule(number=st.integers(0, 3))
    def charged(self, number: int) -> None:
        basket = self.basket(number)
        expected = basket.then(state="paid", fixed=True) if basket.state == "paying" else None
        self.call(number, "record_payment", expected, by=EFFECT, reference="cash", paid=basket.total)

    @rule(number=st.integers(0, 3))
    def decline(self, number: int) -> None:
        basket = self.basket(number)
        expected = basket.then(state="payment_declined", fixed=True) if basket.state == "paying" else None
        self.call(number, "decline", expected, by=EFFECT, reason="no money")

    @rule(number=st.integers(0, 3))
    def undo(self, number: int) -> None:
        basket, left = self.basket(number), self.left()
        before = basket.earlier[-1] if basket.earlier and not basket.fixed else None
        if before is not None and any(left[sku] < count for sku, count in (before.held - basket.held).items()):
            before = None
        self.call(number, "undo", before)

    @rule(number=st.integers(0, 3))
    def fork(self, number: int) -> None:
        if len(self.baskets) == 4:
            return
        session = list(self.baskets)[number % len(self.baskets)]
        basket = self.baskets[session]
        copy = self.dispatcher.fork(LOCAL, session)
        self.baskets[copy.session] = basket if basket.state == "open" else Basket(basket.lines)
        self.revisions[copy.session] = self.revisions[session] + (basket.state != "open")
        assert copy.revision == self.revisions[copy.session]

    @invariant()
    def carts_and_stock_are_the_models(self) -> None:
        for session, basket in self.baskets.items():
            revision, state, value = shown(self.dispatcher, session)
            assert revision == self.revisions[session]
            assert state == basket.state
            assert {line["sku"]: line["quantity"] for line in value["lines"]} == basket.lines
            assert value["total"] == basket.total
        if self.baskets:
            found = stock(self.dispatcher)
            assert found == self.left() and min(found.values()) >= 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestShop = Shop.TestCase
TestShop.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
