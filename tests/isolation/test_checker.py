"""The checker finds each anomaly by name where it was planted, and none in a serial history."""

import pytest

from tests.isolation.checker import Append, Done, Read, Status, anomalies


def history(*transactions: tuple[str, tuple[Append | Read, ...]], serial: bool = False) -> list[Done]:
    """Transactions that all overlap, or one after the other. A name that ends in `!` was refused, in `?` is unknown."""
    status = {"!": Status.REFUSED, "?": Status.UNKNOWN}
    return [
        Done(
            name,
            steps,
            float(number if serial else 0),
            number + 0.5 if serial else 9.0,
            status.get(name[-1], Status.DONE),
        )
        for number, (name, steps) in enumerate(transactions)
    ]


def kinds(found: list[Done]) -> set[str]:
    return {anomaly.kind for anomaly in anomalies(found)}


def a(key: str, value: int) -> Append:
    return Append(key, value)


def r(key: str, *values: int) -> Read:
    return Read(key, values)


def test_a_serial_history_has_none() -> None:
    serial = history(
        ("first", (r("x"), a("x", 1), r("x", 1))),
        ("second", (a("y", 1), r("x", 1), a("x", 2))),
        ("third", (r("x", 1, 2), r("y", 1))),
        serial=True,
    )
    assert anomalies(serial) == []


def test_what_overlaps_may_have_happened_in_any_order() -> None:
    assert anomalies(history(("reader", (r("x"), r("y", 1))), ("y", (a("y", 1),)), ("x", (a("x", 1), r("y", 1))))) == []


def test_an_unknown_outcome_may_show_or_not() -> None:
    assert anomalies(history(("w?", (a("x", 1),)), ("r", (r("x", 1),)), serial=True)) == []
    assert anomalies(history(("w?", (a("x", 1),)), ("r", (r("x"),)), serial=True)) == []


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        ("internal", history(("t", (a("x", 1), r("x"))))),
        ("internal", history(("w", (a("x", 1),)), ("t", (r("x"), r("x", 1))))),
        ("duplicate", history(("w", (a("x", 1),)), ("r", (r("x", 1, 1),)))),
        ("garbage", history(("r", (r("x", 7),)))),
        (
            "incompatible order",
            history(("v", (a("x", 1),)), ("w", (a("x", 2),)), ("r", (r("x", 1, 2),)), ("s", (r("x", 2),))),
        ),
        ("G1a", history(("w!", (a("x", 1),)), ("r", (r("x", 1),)))),
        ("G1b", history(("w", (a("x", 1), a("x", 2))), ("r", (r("x", 1),)), ("s", (r("x", 1, 2),)))),
        (
            "G0",
            history(("v", (a("x", 1), a("y", 1))), ("w", (a("x", 2), a("y", 2))), ("r", (r("x", 1, 2), r("y", 2, 1)))),
        ),
        ("G1c", history(("v", (a("x", 1), r("y", 1))), ("w", (a("y", 1), r("x", 1))))),
        ("G-single", history(("w", (a("x", 1), a("y", 1))), ("r", (r("x"), r("y", 1))))),
        ("lost update", history(("v", (r("x"), a("x", 1))), ("w", (r("x"), a("x", 2))), ("r", (r("x", 1, 2),)))),
        ("G2", history(("v", (r("x"), a("y", 1))), ("w", (r("y"), a("x", 1))), ("r", (r("x", 1), r("y", 1))))),
        ("G-single in real time", history(("w", (a("x", 1),)), ("r", (r("x"),)), ("s", (r("x", 1),)), serial=True)),
        ("G-single in real time", history(("w", (a("x", 1),)), ("r", (r("x"),)), serial=True)),
        (
            "G0 in real time",
            history(("v", (a("x", 1),)), ("w", (a("x", 2),)), ("r", (r("x", 2, 1),)), serial=True),
        ),
    ],
)
def test_a_planted_anomaly_is_found_by_name(kind: str, planted: list[Done]) -> None:
    assert kind in kinds(planted)
