"""The table, and the raw figures as JSON."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.rounds import Row

_HEADINGS = ("", "requests/s", "µs each", "ratio", "(of rounds)", "p50 ms", "p99 ms", "CPU µs", "driver")
_WIDTHS = (44, 11, 8, 6, 13, 8, 8, 8, 7)


def table(rows: Sequence[Row]) -> str:
    """A line for each row: medians of the rounds, and between which ratios the rounds lay."""
    by_name = {row.name: row for row in rows}
    lines = [_HEADINGS, *(_cells(row, by_name[row.base]) for row in rows)]
    return "\n".join(_line(cells) for cells in lines)


def write(
    path: Path, machine: Mapping[str, str], options: Mapping[str, float], rows: Sequence[Row], facts: Sequence[str]
) -> None:
    """Write the raw figures of a run to a file."""
    by_name = {row.name: row for row in rows}
    found = {
        "machine": dict(machine),
        "options": dict(options),
        "rows": [row.as_json(by_name[row.base]) for row in rows],
        "facts": list(facts),
    }
    path.write_text(json.dumps(found, indent=2) + "\n")


def _cells(row: Row, base: Row) -> tuple[str, ...]:
    ratios = row.ratios(base)
    driver = row.median(lambda figures: figures.driver_share)
    return (
        row.name,
        _number(row.median(lambda figures: figures.rate), 0),
        _number(row.median(lambda figures: figures.each_us), 0),
        _number(statistics.median(ratios), 2),
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        _number(row.median(lambda figures: figures.p50_ms), 1),
        _number(row.median(lambda figures: figures.p99_ms), 1),
        _number(row.median(lambda figures: figures.cpu_us), 0),
        "" if driver is None else f"{driver:.0%}",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    first, *rest = zip(cells, _WIDTHS, strict=True)
    return first[0].ljust(first[1]) + " ".join(cell.rjust(width) for cell, width in rest)
