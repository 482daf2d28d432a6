"""What the wire's tests share: one real server, on which every test is a person of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.serving import PEOPLE, Served, serving

WORLDS = Path(__file__).parent / "worlds"


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server uses, too."""
    return "asyncio"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the worlds counter, adventure and desk, that takes its callers at their word."""
    with serving(tmp_path_factory.mktemp("served"), WORLDS, command=PEOPLE) as server:
        yield server


@pytest.fixture
def person() -> str:
    """Somebody who was never here."""
    return f"person-{uuid4().hex[:12]}"
