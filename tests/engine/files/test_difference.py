"""diff between any two revisions, in either direction, with undos and row sets between them."""

import itertools
import json
from typing import Any

import pytest

from engine.cli.reading import difference_json
from engine.dispatch import Dispatcher
from engine.limits import Limits
from tests.engine.files.gardens import ANN, BEDS, Garden, Make, act, grown


def between(dispatcher: Dispatcher, session: str, first: int, second: int) -> Any:
    record = dispatcher.store.read(lambda tx: tx.session(session))
    assert record is not None
    return difference_json(dispatcher, record, first, second)


def turned(change: dict[str, Any] | None) -> Any:
    """A change the other way round."""
    other = {"before": "after", "after": "before"}
    return None if change is None else {other.get(name, name): value for name, value in change.items()}


def in_order(changes: list[Any]) -> list[str]:
    return sorted(json.dumps(change, sort_keys=True) for change in changes)


@pytest.mark.parametrize("limits", [Limits(), Limits(at_once=1, snapshot=3)], ids=["images", "row sets"])
def test_difference_leads_from_any_revision_to_any_other(dispatcher_of: Make, limits: Limits) -> None:
    dispatcher = dispatcher_of(Garden, limits=limits)
    session = grown(dispatcher)
    act(dispatcher, "sow", number=3)
    act(dispatcher, "undo")
    act(dispatcher, "rest")
    pasts = {
        entry["revision"]: dispatcher.past(ANN, session, entry["revision"])[0]
        for entry in dispatcher.history(ANN, session)
    }
    for first, second in itertools.product(pasts, repeat=2):
        found, back = between(dispatcher, session, first, second), between(dispatcher, session, second, first)
        assert (found["state"] is None) == (pasts[first].state == pasts[second].state)
        assert turned(found["state"]) == back["state"]
        for part in ("data", "rows"):
            assert in_order([turned(change) for change in found[part]]) == in_order(back[part])
        rows = {json.dumps(row, sort_keys=True) for rows in pasts[first].rows.values() for row in rows}
        rows -= {json.dumps(change["before"], sort_keys=True) for change in found["rows"]}
        rows |= {json.dumps(change["after"], sort_keys=True) for change in found["rows"] if change["after"] is not None}
        assert rows == {json.dumps(row, sort_keys=True) for rows in pasts[second].rows.values() for row in rows}
    assert (
        between(dispatcher, session, 9, 9)["rows"] == []
        and between(dispatcher, session, 1, 3)["rows"][0]["table"] == BEDS
    )
