"""The W3C's own tests of SCXML, from the implementation report of the recommendation of 2015.

They lie beside the project, and are run from there: a document passes when its chart ends in the state `pass`.
"""

import os
import re
from pathlib import Path

import pytest

from tests.engine.scxml.loading import load
from tests.engine.scxml.running import run

BESIDE = Path(__file__).parents[4] / "shared" / "data"
DATA = Path(os.environ.get("TURNKEEPER_SHARED_DATA", BESIDE)) / "scxml-w3c"

INVOKE = "starts another document by <invoke>, which the engine does not have"
PART = "is no test, but a document that another one starts by <invoke>"
HTTP = "sends events to itself over HTTP, by the optional Basic HTTP Event I/O Processor"
XML = "needs XML documents as values of the optional ECMAScript data model"
SCRIPT = "needs functions, classes or objects of a general-purpose language in its data model"

MANDATORY_OUT: dict[int | str, str] = {
    **dict.fromkeys(
        (187, 191, 192, 207, 215, 216, 220, 223, 224, 225, 226, 228, 229, 232, 233, 234, 235, 236, 237, 239, 240, 241),
        INVOKE,
    ),
    **dict.fromkeys((242, 243, 244, 245, 247, 252, 253, 276, 338, 347, 422, 530, 554), INVOKE),
    **dict.fromkeys(("216sub1", "226sub1", "239sub1", "242sub1", "276sub1"), PART),
}
OPTIONAL_OUT = {
    **dict.fromkeys((201, 509, 510, 518, 519, 520, 522, 531, 532, 534, 567, 577), HTTP),
    **dict.fromkeys((557, 561), XML),
    **dict.fromkeys((446, 452, 453), SCRIPT),
}
LEFT_OUT = {
    **{f"mandatory/test{number}": reason for number, reason in MANDATORY_OUT.items()},
    **{f"optional/test{number}": reason for number, reason in OPTIONAL_OUT.items()},
}
"""Every document that is not run, by its name, and why."""

FOUND = sorted(f"{file.parent.name}/{file.stem}" for file in DATA.glob("*/*.scxml"))
needs_data = pytest.mark.skipif(not FOUND, reason=f"the W3C's tests are not there: {DATA}")


@needs_data
@pytest.mark.parametrize("name", [name for name in FOUND if name not in LEFT_OUT])
def test_document_ends_in_pass(name: str) -> None:
    loaded = load(DATA / f"{name}.scxml")
    configuration = run(loaded.chart, loaded.machine, loaded.raised)
    assert loaded.chart.atomic(configuration.active) == ["pass"]


@needs_data
def test_what_is_left_out_is_there_and_has_its_reason() -> None:
    assert set(LEFT_OUT) <= set(FOUND)
    for name, reason in LEFT_OUT.items():
        text = (DATA / f"{name}.scxml").read_text(encoding="utf-8-sig")
        starts = "<invoke" in text
        assert starts == (reason is INVOKE), name
        assert (re.search(r"sub\d$", name) is not None) == (reason is PART), name
        assert reason is not HTTP or "BasicHTTPEventProcessor" in text, name


@needs_data
def test_every_mandatory_document_without_invoke_is_run() -> None:
    run_ = [name for name in FOUND if name.startswith("mandatory/") and name not in LEFT_OUT]
    assert len(run_) == 125
