"""Shoppers of a process of their own: each adds one teapot to a new cart and checks out, as fast as it can.

`python -m tests.worlds.shoppers URL NAME COUNT` prints the rules by which they were refused, "bought" for the others.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from engine.application import opened
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.types import Principal
from worlds.cart import Cart


def shop(dispatcher: Dispatcher, name: str) -> str:
    """What comes of one shopper."""
    who = Principal("test", name)
    added = dispatcher.dispatch(Call(principal=who, world="cart", action="add", arguments={"sku": "teapot"}))
    try:
        dispatcher.dispatch(Call(principal=who, world="cart", action="checkout", session=added.session))
    except Refused as refused:
        return refused.rule
    return "bought"


def rush(dispatcher: Dispatcher, name: str, count: int) -> list[str]:
    """What comes of several, who are there at once."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda number: shop(dispatcher, f"{name}-{number}"), range(count)))


if __name__ == "__main__":
    url, name, count = sys.argv[1:]
    with opened(Settings(database_url=url, auth="off"), Registry([Cart])) as found:
        print(json.dumps(rush(found, name, int(count))))
