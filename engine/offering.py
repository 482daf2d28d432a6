"""Sharing a session with whoever goes by a name: the same answer whether there is such a person or not."""

from dataclasses import replace

from engine.checks import allow, find, need
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.store.offers import offer_to
from engine.store.records import Transaction
from engine.types import Outcome, Role


def share(dispatcher: Dispatcher, call: Call, name: str) -> Outcome:
    """Carry out a `share` that is for a name: an account's, or a mail address. Raises what `dispatch` raises.

    The journal has the offer's id instead of the name, so the offer is made first; it says nothing until the change
    does.
    """
    offer = dispatcher.store.write(lambda tx: _offer(tx, dispatcher, call, name))
    return dispatcher.dispatch(replace(call, arguments={**call.arguments, "offer": offer}, prepared=name))


def _offer(transaction: Transaction, dispatcher: Dispatcher, call: Call, name: str) -> str:
    record, role = find(transaction, call.principal, call.session or "", dispatcher.registry.worlds, call.world)
    need(role, Role.OWNER)
    allow(call.principal, f"{record.world}:write")
    return offer_to(transaction, record.id, name)
