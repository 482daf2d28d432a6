"""effects, effects retry and drop: what they print, and what they leave."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.application import opened
from engine.operations import Call
from engine.settings import Settings
from engine.store import effects
from engine.types import LOCAL

Run = Callable[..., Any]

BELL = '''
"""A bell."""

from engine import EffectCall, World, action, effect


@effect
async def ring(call: EffectCall, times: int) -> None:
    """Rings."""


class Bell(World, rows=[], effects=[ring]):
    """Rings outside."""

    @action
    def pull(self, times: int = 1) -> None:
        """Pull the rope."""
        self.effect(ring, times=times)
'''


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the world, which a process loads once."""
    folder = tmp_path_factory.mktemp("worlds")
    (folder / "belfry.py").write_text(BELL)
    return folder


@pytest.fixture
def bell(tmp_path: Path, worlds: Path) -> tuple[str, dict[str, str]]:
    """A session with an effect that is parked and one that waits, and the settings to find it."""
    settings = Settings(data_dir=tmp_path / "data", worlds_path=str(worlds))
    with opened(settings) as dispatcher:
        for times in (1, 2):
            outcome = dispatcher.dispatch(
                Call(principal=LOCAL, world="bell", action="pull", arguments={"times": times})
            )
        dispatcher.store.write(lambda tx: effects.end(tx, 1, "parked", error="the rope is\x1b torn"))
    return outcome.session, {"TURNKEEPER_WORLDS_PATH": str(worlds)}


def listed(run: Run, env: dict[str, str], *words: str) -> list[tuple[int, str]]:
    done = run("effects", *words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return [(one["id"], one["state"]) for one in json.loads(done.stdout)["effects"]]


def test_effects_lists_what_waits_or_is_parked(run: Run, bell: tuple[str, dict[str, str]]) -> None:
    session, env = bell
    assert listed(run, env) == listed(run, env, "list") == [(1, "parked"), (2, "waiting")]
    assert listed(run, env, session[:12]) == [(1, "parked"), (2, "waiting")]
    assert listed(run, env, "--state", "parked") == [(1, "parked")]
    assert listed(run, env, "--state", "done") == []
    shown = run("effects", env=env).stdout
    assert session in shown and "the rope is\N{REPLACEMENT CHARACTER} torn" in shown and "\x1b" not in shown


def test_a_parked_effect_is_tried_again_or_dropped(run: Run, bell: tuple[str, dict[str, str]]) -> None:
    _, env = bell
    unknown = run("effects", "retry", "1")
    assert unknown.returncode == 1 and "No code that is loaded here has the effect ring of bell" in unknown.stderr
    assert run("effects", "retry", "1", env=env).stdout == "Effect 1 waits, to be tried at once.\n"
    assert listed(run, env) == [(1, "waiting"), (2, "waiting")]
    dropped = json.loads(run("effects", "drop", "1", "--json", env=env).stdout)["effect"]
    assert (dropped["state"], dropped["error"]) == ("cancelled", "dropped by the operator: the rope is\x1b torn")
    over = run("effects", "retry", "1", env=env)
    assert over.returncode == 1 and "is cancelled, so it cannot be tried again" in over.stderr
    assert run("effects", "drop", "9", env=env).returncode == 1


def test_show_has_what_waits_and_what_is_parked(run: Run, bell: tuple[str, dict[str, str]]) -> None:
    session, env = bell
    shown = json.loads(run("show", session, "--json", env=env).stdout)["effects"]
    assert [(one["id"], one["effect"], one["state"]) for one in shown] == [
        (1, "ring", "parked"),
        (2, "ring", "waiting"),
    ]
    assert "effect   ring (1) parked: the rope is\N{REPLACEMENT CHARACTER} torn" in run("show", session, env=env).stdout
    assert json.loads(run("show", session, "--at", "1", "--json", env=env).stdout)["effects"] is None


def test_effects_explains_itself(run: Run) -> None:
    done = run("effects", "--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("list", "retry", "drop"))
