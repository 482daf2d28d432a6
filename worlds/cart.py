"""A shopping cart: many carts, one stock. Prices are integers in minor units, such as cents.

A checkout takes its goods from stock for a quarter of an hour. Paying is work outside the transaction: an effect,
whose outcome comes back as an action. What is dear, a person has to approve.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel
from pydantic import Field as Limit
from sqlmodel import CheckConstraint, Field, col

from engine import (
    Change,
    Compound,
    EffectCall,
    Failed,
    Final,
    No,
    Refused,
    Reply,
    Row,
    SharedRow,
    Text,
    World,
    action,
    effect,
    nobody,
    on_enter,
    resource,
    upgrade,
)

RESERVED_FOR = timedelta(minutes=15)
"""How long a checkout keeps goods from others."""
APPROVED_FROM = 500_00
"""What a person has to approve, in minor units."""
SLOW = 5.0
"""Seconds that a slow card takes."""

Card = Literal["approves", "declines", "slow", "twice", "never"]
"""The cards of a shop that only tests, by what they do."""
Units = Annotated[int, Limit(ge=1, le=99, description="how many units")]
Reference = Annotated[str, Limit(min_length=1, max_length=100, description="what the payment is known by")]
Sku = Annotated[str, Limit(min_length=1, max_length=40, description="the product's code, as the catalogue lists it")]


class State(StrEnum):
    OPEN = "open"
    CHECKOUT = "checkout"
    DUE = "payment_due"
    APPROVAL = "approval"
    PAYING = "paying"
    DECLINED = "payment_declined"
    PAID = "paid"


class Product(SharedRow, table=True):
    """What the shop sells, and how much of it is left. `price` is in minor units of `currency`."""

    __public__ = True
    __table_args__ = (CheckConstraint("stock >= 0", name="stock"), CheckConstraint("price >= 0", name="price"))
    sku: str = Field(primary_key=True)
    title: str
    price: int = Field(ge=0)
    currency: str = Field(min_length=3, max_length=3)
    stock: int = Field(ge=0)


class CartLine(Row, table=True):
    """One product in the cart, at the price it had when it was added first."""

    __table_args__ = (CheckConstraint("quantity between 1 and 99", name="quantity"),)
    sku: str = Field(primary_key=True)
    quantity: Units
    price: int = Field(ge=0)
    currency: str


class Payment(BaseModel):
    """How the cart is paid: by which card, under which reference, or why it was declined."""

    card: Card = "approves"
    reference: str | None = None
    declined: str | None = None


logger = logging.getLogger(__name__)


def first_stock() -> Iterable[Product]:
    """What the shop begins with."""
    yield Product(sku="assam", title="Assam, 100 g", price=690, currency="EUR", stock=500)
    yield Product(sku="sencha", title="Sencha, 100 g", price=1150, currency="EUR", stock=200)
    yield Product(sku="mint", title="Mint, 50 g", price=380, currency="EUR", stock=1000)
    yield Product(sku="cup", title="Cup, glazed", price=1400, currency="EUR", stock=60)
    yield Product(sku="teapot", title="Teapot, cast iron, numbered", price=8900, currency="EUR", stock=10)


def has_lines(cart: "Cart") -> No | None:
    return None if cart.rows(CartLine) else No("The cart is empty.", hint="Put something into it with add.")


def is_sold(cart: "Cart", sku: str) -> str | None:
    if cart.shared(Product).find(sku=sku) is not None:
        return None
    return f"There is no product {sku!r}. There are: {', '.join(product.sku for product in cart.shared(Product))}."


def is_of_one_currency(cart: "Cart", sku: str) -> str | None:
    product, held = cart.shared(Product).find(sku=sku), {line.currency for line in cart.rows(CartLine)}
    if product is None or held <= {product.currency}:
        return None
    return f"{sku} is sold in {product.currency}, and the cart is in {', '.join(held)}."


def is_in_cart(cart: "Cart", sku: str) -> str | None:
    return None if cart.rows(CartLine).find(sku=sku) else f"There is no {sku} in the cart."


def how_much(cart: "Cart") -> str:
    return f"Pay {money(*cart.total())}?"


def is_what_it_costs(cart: "Cart", paid: int) -> str | None:
    """A payment that was asked for before the cart was left and changed may come when another is being made."""
    total, currency = cart.total()
    return None if paid == total else f"{money(paid, currency)} were paid, and the cart costs {money(total, currency)}."


@upgrade(to=2, of=State)
def settled(state: str) -> str:
    """In version 1, what was checked out was bought."""
    return "paid" if state == "checked_out" else state


@effect(
    on_success="record_payment",
    on_failure="decline",
    compensate="refund_card",
    attempts=5,
    timeout=timedelta(seconds=10),
    deadline=timedelta(minutes=2),
)
async def charge_card(call: EffectCall, amount: int, currency: str, card: Card) -> dict[str, str | int]:
    """Charge a card, as a provider would who knows a payment by its key: asked twice, it takes the money once."""
    if card == "declines":
        raise Failed("The card was declined.")
    if card == "never":
        await asyncio.Event().wait()
    if card == "slow":
        await asyncio.sleep(SLOW)
    if card == "twice" and call.attempt == 1:
        raise ConnectionError("The card was charged, and the answer was lost on the way.")
    logger.info("charged %s with %s", money(amount, currency), call.key)
    return {"reference": f"pay_{hashlib.sha256(call.key.encode()).hexdigest()[:12]}", "paid": amount}


@effect(attempts=10, deadline=timedelta(days=1))
async def refund_card(call: EffectCall, amount: int, currency: str, result: dict[str, str | int]) -> None:
    """Give the money of a payment back that came when the cart was not to be paid any more."""
    logger.info("refunded %s of %s with %s", money(amount, currency), result["reference"], call.key)


class Cart(
    World,
    states=[
        State.OPEN,
        Compound(State.CHECKOUT, State.DUE, State.APPROVAL, State.PAYING, State.DECLINED),
        Final(State.PAID),
    ],
    version=2,
    upgrades=[settled],
    effects=[charge_card, refund_card],
    seed=first_stock,
    on_copy="reopen",
):
    """One customer's cart in a tea shop. Stock is taken at the checkout, not before, and given back by `cancel`."""

    data: Payment

    @action(source=State.OPEN, guards=[is_sold, is_of_one_currency])
    def add(self, sku: Sku, quantity: Units = 1) -> Reply:
        """Put units of a product into the cart. The cart's price of it stays what it was when first added."""
        product = self.shared(Product).find(sku=sku)
        if product is None:
            raise Refused("is_sold", f"There is no product {sku!r} any more.")
        line = self.rows(CartLine).find(sku=sku)
        if line is None:
            line = self.rows(CartLine).add(sku=sku, quantity=quantity, price=product.price, currency=product.currency)
        elif line.quantity + quantity > 99:
            raise Refused("too_many", f"A cart holds 99 of a product; it has {line.quantity} {sku} already.")
        else:
            line.quantity += quantity
        short = f" Only {product.stock} left in the shop." if product.stock < line.quantity else ""
        return Reply(Text(f"{line.quantity} × {product.title} in the cart.{short}"), value=self.contents())

    @action(source=State.OPEN, guards=[is_in_cart])
    def remove(self, sku: Sku, quantity: Units | None = None) -> Reply:
        """Take units of a product out of the cart; without a quantity, or with one too large, all of them."""
        line = self.rows(CartLine).find(sku=sku)
        assert line is not None  # is_in_cart
        left = 0 if quantity is None else line.quantity - quantity
        if left > 0:
            line.quantity = left
        else:
            self.rows(CartLine).remove(line)
        return Reply(Text(f"{max(left, 0)} × {sku} in the cart."), value=self.contents())

    @action(read_only=True)
    def show(self) -> Reply:
        """Show what is in the cart and what the shop has."""
        lines = [f"{line.quantity} × {line.sku} at {money(line.price, line.currency)}" for line in self.rows(CartLine)]
        total = [f"{money(*self.total())} together" if lines else "The cart is empty."]
        paid = [f"Paid: {self.data.reference}."] if self.data.reference else []
        declined = [f"Not paid: {self.data.declined}"] if self.data.declined else []
        shop = [f"  {p.sku}: {p.title}, {money(p.price, p.currency)}, {p.stock} left" for p in self.shared(Product)]
        return Reply(Text("\n".join([*lines, *total, *paid, *declined, "In the shop:", *shop])), value=self.contents())

    @action(source=State.OPEN, target=State.CHECKOUT, guards=[has_lines], compensate="take_back")
    def checkout(self) -> Reply:
        """Order what is in the cart: all of it is taken from stock, or nothing. Then it is to be paid."""
        wanted = {line.sku: line.quantity for line in self.rows(CartLine)}
        products = {row.sku: row for row in self.shared(Product).lock_all(col(Product.sku).in_(wanted))}
        self._insist_on_stock(wanted, products)
        for sku, quantity in wanted.items():
            products[sku].stock -= quantity
        return Reply(Text(f"{money(*self.total())} to pay."), value=self.contents())

    @on_enter(State.CHECKOUT)
    def reserve(self) -> None:
        """What the checkout took is the cart's for a while."""
        self.after(RESERVED_FOR, Cart.release)

    @action(source=State.CHECKOUT, target=State.OPEN, compensate="take_back")
    def cancel(self) -> Reply:
        """Leave the checkout: what it took goes back into stock, and the cart can be changed again."""
        self._give_back()
        return Reply(Text("The cart is open again."), value=self.contents())

    @action(source=State.CHECKOUT, target=State.OPEN, undo=False, only_for=nobody)
    def release(self) -> Reply:
        """Give back what was reserved for too long."""
        self._give_back()
        minutes = RESERVED_FOR // timedelta(minutes=1)
        return Reply(Text(f"Not paid within {minutes} minutes: the cart is open again."), value=self.contents())

    @action(source=[State.DUE, State.DECLINED], target=[State.PAYING, State.APPROVAL])
    def pay(self, card: Card = "approves") -> Reply:
        """Pay what is in the cart by card. A large amount waits until a person has approved it, by `approve`."""
        self.data = Payment(card=card)
        if self.total()[0] >= APPROVED_FROM:
            self.enter(State.APPROVAL)
            return Reply(Text(f"{money(*self.total())} is to be approved by a person."), value=self.contents())
        return self._charge()

    @action(source=State.APPROVAL, target=State.PAYING, confirm=how_much)
    def approve(self) -> Reply:
        """Have a person approve a large payment, which is then made."""
        return self._charge()

    @action(source=State.PAYING, target=State.PAID, guards=[is_what_it_costs], undo=False, only_for=nobody)
    def record_payment(self, reference: Reference, paid: int) -> Reply:
        """Record that the order was paid: by the reference of the payment, and how much in minor units."""
        self.data.reference = reference
        return Reply(Text(f"{money(*self.total())} paid. Thank you."), value=self.contents())

    @action(source=State.PAYING, target=State.DECLINED, undo=False, only_for=nobody)
    def decline(self, reason: str) -> Reply:
        """Record that a payment was declined, and why. The order can be paid in another way, or cancelled."""
        self.data.declined = reason
        return Reply(Text(f"The payment was declined: {reason}"), value=self.contents())

    @resource
    def cart(self) -> dict[str, object]:
        """What is in the cart and what it costs, in minor units of the currency."""
        return self.contents()

    @resource(of=(Product,))
    def catalogue(self) -> list[Product]:
        """What the shop sells, what it costs and how much is left."""
        return list(self.shared(Product))

    def take_back(self, change: Change) -> None:
        """Give stock back what a checkout took, or take again what a cancel gave back. Raises Refused."""
        taken = {
            row.before["sku"]: row.before["stock"] - row.after["stock"]
            for row in change.shared
            if row.before and row.after
        }
        for product in self.shared(Product).lock_all(col(Product.sku).in_(taken)):
            if product.stock + taken[product.sku] < 0:
                raise Refused("out_of_stock", f"{product.sku} was sold to others meanwhile: {product.stock} left.")
            product.stock += taken[product.sku]

    def reopen(self) -> None:
        """A copy of a cart has taken nothing from stock and paid nothing, so it is not checked out."""
        self.data = Payment()
        self.enter(State.OPEN)

    def contents(self) -> dict[str, object]:
        """The lines, the total and its currency, and how it was paid or why not."""
        total, currency = self.total()
        lines = [line.model_dump() for line in self.rows(CartLine)]
        payment = self.data.model_dump(include={"reference", "declined"}, exclude_none=True)
        return {"lines": lines, "total": total, "currency": currency, **payment}

    def total(self) -> tuple[int, str | None]:
        """What the cart costs, in minor units, and in which currency, if anything is in it."""
        lines = list(self.rows(CartLine))
        return sum(line.quantity * line.price for line in lines), lines[0].currency if lines else None

    def _charge(self) -> Reply:
        amount, currency = self.total()
        self.effect(charge_card, amount=amount, currency=currency, card=self.data.card)
        return Reply(Text(f"{money(amount, currency)} is being paid."), value=self.contents())

    def _give_back(self) -> None:
        """Put what the cart holds back into stock; nothing is being paid any more."""
        self.data = Payment()
        lines = {line.sku: line.quantity for line in self.rows(CartLine)}
        for product in self.shared(Product).lock_all(col(Product.sku).in_(lines)):
            product.stock += lines[product.sku]

    def _insist_on_stock(self, wanted: Mapping[str, int], products: Mapping[str, Product]) -> None:
        short = {sku: products[sku].stock if sku in products else 0 for sku in wanted}
        missing = [f"{sku}: {short[sku]} left, {wanted[sku]} in the cart" for sku in wanted if short[sku] < wanted[sku]]
        if missing:
            raise Refused(
                "out_of_stock", f"Not enough in stock: {'; '.join(missing)}.", hint="Remove some and check out."
            )


def money(amount: int, currency: str | None) -> str:
    """An amount in minor units for reading: `6.90 EUR`. Two digits, as the catalogue's currencies have."""
    return f"{amount // 100}.{amount % 100:02} {currency}"
