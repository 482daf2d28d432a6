"""A world that takes in more than a transaction holds, and waits in the middle until somebody else acted."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from engine import Asking, HistoryRow, Part, World, Written, action, resource

acted = threading.Event()


class Sheet(HistoryRow, table=True):
    """A sheet."""

    text: str


class Box(Part, table=True):
    """Sheets that came together."""


async def unpack(archive: "Archive", asking: Asking, count: int) -> Written:
    done = 0

    def sheets() -> Iterator[Mapping[str, Any]]:
        nonlocal done
        for done in range(count):
            yield {"text": f"sheet {done}"}
        if not acted.wait(30):
            raise TimeoutError("nobody acts")
        yield {"text": "the last"}

    return await asking.write_ahead(Sheet, sheets(), meanwhile=lambda: asking.progress(done, count))


class Archive(World, rows=[Sheet, Box]):
    """Sheets of paper."""

    @action(prepare=unpack)
    def take_in(self, count: int, prepared: Written) -> int:
        """Take a box in."""
        self.adopt(Box, prepared)
        return len(self.rows(Sheet))

    @action
    def file(self, text: str) -> None:
        """File one sheet."""
        self.rows(Sheet).add(text=text)
        acted.set()

    @resource(of=Sheet)
    def newest(self) -> str:
        """The newest sheet."""
        return self.rows(Sheet).where()[-1].text
