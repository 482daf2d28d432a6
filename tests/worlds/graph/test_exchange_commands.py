"""`turnkeeper graph import` and `export`, as they are typed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli import app

LINES = (
    '{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea"]}\n'
    '{"type":"relation","from":"Ada","to":"Ada","relationType":"is"}'
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs `turnkeeper graph` in this process."""

    def ran(*words: str) -> Any:
        names = [name for name in os.environ if name.startswith("TURNKEEPER_")]
        env = {**dict.fromkeys(names), "TURNKEEPER_DATA_DIR": str(tmp_path / "data")}
        return CliRunner(env=env).invoke(app, ["graph", *words], prog_name="turnkeeper")

    return ran


def test_a_memory_goes_in_and_comes_out_to_the_byte(run: Callable[..., Any], tmp_path: Path) -> None:
    memory, out = tmp_path / "memory.jsonl", tmp_path / "out.jsonl"
    memory.write_text(LINES)
    assert run("import", str(memory)).stdout == (
        f"{memory}, as jsonl: 1 entity, 1 observation, 1 relation new; 0 facts were there already\n"
    )
    assert json.loads(run("import", str(memory), "--json").stdout)["already_there"] == 3
    assert run("export", str(out)).stdout == f"{out}: {len(LINES)} bytes of jsonl\n"
    assert out.read_text() == LINES
    assert run("export", str(out), "--as-of", "1", "--force").exit_code == 0 and out.read_text() == ""
    for words, what in (
        (["export", str(out)], "There is a file"),
        (["export", str(tmp_path / "x.json")], "--format"),
        (["export", str(tmp_path / "x.jsonl"), "--valid-at", "soon"], "is no time"),
        (["export", str(tmp_path / "x.jsonl"), "--as-of", "0"], "numbered from 1"),
        (["import", str(tmp_path / "none.jsonl")], "cannot be read"),
    ):
        done = run(*words)
        assert done.exit_code == 1 and what in done.stderr and "Traceback" not in done.stderr
    memory.write_text(LINES + "\nbroken")
    assert "not taken: line 3: it is no JSON" in run("import", str(memory)).stdout
