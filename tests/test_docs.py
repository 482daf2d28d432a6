"""The documentation is true: its code runs, and it names what there is."""

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from engine.background.clock import advance
from engine.cli import GROUPS, app
from engine.dispatch import Call, Dispatcher
from engine.drawing.mermaid import mermaid
from engine.errors import Forbidden, NotFound, Refused
from engine.migrate import upgrade
from engine.preparing import prepared_call
from engine.registry import collect, load_file
from engine.settings import Settings
from engine.soundness.paths import shortest
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL, Principal
from engine.webhooks import Message, new_secret
from tests.bank import desk
from tests.engine.parts import Nobody
from tests.hearing import passing
from worlds import graph as graph_world
from worlds.cart import Card, Cart

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, kind: str) -> list[str]:
    """The code blocks of a document whose opening line says `kind`."""
    return [body for info, body in BLOCK.findall((ROOT / document).read_text()) if info == kind]


def loaded(tmp_path: Path, name: str, source: str) -> ModuleType:
    """A code block as the world file it could be."""
    file = tmp_path / f"{name}.py"
    file.write_text(source)
    return load_file(file)


def dispatcher_of(tmp_path: Path, module: ModuleType) -> Dispatcher:
    """A dispatcher for the worlds of a module, on a new database."""
    registry = collect([module])
    store = SqliteStore(str(tmp_path / "docs.db"))
    upgrade(store, registry.worlds.values())
    return Dispatcher(store, registry)


def call(dispatcher: Dispatcher, world: str, action: str, **arguments: Any) -> Any:
    """What an action answers."""
    given = Call(principal=LOCAL, world=world, action=action, arguments=arguments)
    return dispatcher.dispatch(given).value


def charted(tmp_path: Path, kind: str) -> Dispatcher:
    """A dispatcher for one of the worlds of the page on charts."""
    source = blocks("docs/statecharts.md", f"python {kind}")[0]
    return dispatcher_of(tmp_path, loaded(tmp_path, f"docs_{kind}", source))


def state(dispatcher: Dispatcher, world: str) -> str:
    """Where the main session of a world is."""
    now = dispatcher.main_now(LOCAL, world)
    assert now is not None
    return now.state


def test_the_diary_of_the_docs_has_commands(tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "docs_diary.py").write_text(blocks("docs/worlds.md", "python commands")[0])
    (tmp_path / "days.txt").write_text("rain\nsun\n")
    env = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds"), "TURNKEEPER_DATA_DIR": str(tmp_path / "data")}

    def typed(*words: str) -> str:
        return CliRunner(env=env).invoke(app, ["diary", *words], prog_name="turnkeeper").stdout

    assert typed("import", str(tmp_path / "days.txt")) == "2 days\n"
    assert typed("export", str(tmp_path / "out.txt")) == "9 bytes\n"
    assert (tmp_path / "out.txt").read_text() == "rain\nsun\n"


def test_the_names_of_the_docs_are_taken_in_as_a_whole(tmp_path: Path) -> None:
    names = dispatcher_of(tmp_path, loaded(tmp_path, "docs_names", blocks("docs/worlds.md", "python parts")[0]))
    call(names, "names", "tell", text="Ada")

    def take_in(text: str) -> Any:
        asked = Call(principal=LOCAL, world="names", action="take_in", arguments={"text": text})
        return names.dispatch(asyncio.run(prepared_call(names, asked, Nobody()))).value

    assert take_in("Grace\nBarbara") == 3
    with pytest.raises(Refused, match="Line 2 is empty"):
        take_in("Kurt\n\nAlan")
    session = names.main(LOCAL, "names")
    assert names.dispatch(Call(principal=LOCAL, world="names", action="undo", session=session)).value["revision"] == 3
    assert take_in("") == 1


def test_the_readme_shows_the_bundled_counter() -> None:
    assert blocks("README.md", "python")[0] == (ROOT / "worlds" / "counter.py").read_text()


def test_the_shopping_list_of_the_docs_works(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(
        tmp_path, loaded(tmp_path, "docs_groceries", blocks("docs/worlds.md", "python world")[0])
    )
    assert call(dispatcher, "groceries", "put", name="tea", quantity=2) == {"name": "tea", "quantity": 2}
    assert call(dispatcher, "groceries", "put", name="milk") == {"name": "milk", "quantity": 1}
    with pytest.raises(Refused, match="salt is not on the list"):
        call(dispatcher, "groceries", "strike", name="salt")
    assert call(dispatcher, "groceries", "strike", name="milk") == "milk is off the list."
    assert call(dispatcher, "groceries", "finish") == 2
    with pytest.raises(Refused, match="not possible while the session is done"):
        call(dispatcher, "groceries", "put", name="salt")


def test_the_library_of_the_docs_works(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "docs_library", blocks("docs/worlds.md", "python shared")[0]))
    assert call(dispatcher, "reader", "lend", name="Ulysses") == 0
    with pytest.raises(Refused, match="No copy of Ulysses is in"):
        call(dispatcher, "reader", "lend", name="Ulysses")
    call(dispatcher, "reader", "undo")
    assert call(dispatcher, "reader", "look") == [{"name": "Emma", "copies": 2}, {"name": "Ulysses", "copies": 1}]
    call(dispatcher, "reader", "lend", name="Emma")
    fork = dispatcher.fork(LOCAL, dispatcher.main(LOCAL, "reader"))
    assert dispatcher.past(LOCAL, fork.session)[0].rows == {"docs_library__loan": []}


def test_the_booking_of_the_docs_is_paid_by_card(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "docs_paying", blocks("docs/worlds.md", "python paying")[0]))
    with desk(dispatcher) as worker:
        call(dispatcher, "booking", "pay", amount=501)
        worker.run()
        assert state(dispatcher, "booking") == "open"
        call(dispatcher, "booking", "pay", amount=20)
        worker.run()
    assert state(dispatcher, "booking") == "paid"
    receipt = dispatcher.look(LOCAL, "booking", None, lambda booking: booking.data)
    assert receipt.reference.startswith("bank eff_") and receipt.trouble == "The card does not cover it."


def test_the_page_on_workflows_shows_the_bundled_cart_and_its_chart() -> None:
    def bare(text: str) -> str:
        return "\n".join(line.strip() for line in text.splitlines())

    cart = (ROOT / "worlds" / "cart.py").read_text()
    quoted = blocks("docs/workflows.md", "python")
    assert len(quoted) == 3 and all(bare(block) in bare(cart) for block in quoted)
    (diagram,) = blocks("docs/workflows.md", "mermaid")
    assert diagram.strip() == mermaid(Cart.definition.chart).strip()
    cards = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "workflows.md").read_text(), re.MULTILINE)
    assert tuple(cards) == get_args(Card)


def test_the_tea_room_of_the_docs_loads(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "docs_tea", blocks("docs/worlds.md", "python asking")[0]))
    assert dispatcher.registry.worlds["tea_room"].actions["serve"].asks


def test_the_reading_list_of_the_docs_is_upgraded(tmp_path: Path) -> None:
    first, second = (blocks("docs/worlds.md", f"python books {version}")[0] for version in (1, 2))
    (tmp_path / "docs_books.py").write_text(first)
    program = f"""
from pathlib import Path
from engine.registry import load_file
from tests.test_docs import call, dispatcher_of
folder = Path({str(tmp_path)!r})
call(dispatcher_of(folder, load_file(folder / "docs_books.py")), "books", "add", title="Emma", pages=474)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    new = dispatcher_of(tmp_path, loaded(tmp_path, "docs_books", second))
    call(new, "books", "add", title="Candide", pages=129)
    (handle,) = (record.handle for record, _ in new.sessions(LOCAL))
    for revision, expected in ((2, [True]), (3, [False, True])):
        past, _ = new.past(LOCAL, handle, revision)
        assert past.state == "reading" and past.data == '{"first":"Ada","last":"Lovelace"}'
        assert [row["long"] for row in past.rows["docs_books__book"]] == expected


def test_the_ledger_of_the_docs_is_there_for_those_it_is_for(tmp_path: Path) -> None:
    world = loaded(tmp_path, "docs_ledger", blocks("docs/authorization.md", "python")[0])
    dispatcher = dispatcher_of(tmp_path, world)
    auditor = Principal("issuer", "a", mail="ada@audit.example")
    assert dispatcher.dispatch(Call(principal=auditor, world="ledger", action="inspect")).value == "all in order"
    with pytest.raises(NotFound, match="has no action 'inspect'"):
        call(dispatcher, "ledger", "inspect")
    reader = Principal("issuer", "b", scopes=frozenset({"ledger:read", "ledger:write"}))
    with pytest.raises(Forbidden, match="'ledger:close'"):
        dispatcher.dispatch(Call(principal=reader, world="ledger", action="close_year"))


def test_the_lantern_of_the_docs_burns_out(tmp_path: Path) -> None:
    dispatcher = charted(tmp_path, "flat")
    for left in (2, 1, 0):
        assert call(dispatcher, "lantern", "light") == left
        call(dispatcher, "lantern", "put_out")
    assert state(dispatcher, "lantern") == "empty"


def test_the_order_of_the_docs_is_paid_and_packed_side_by_side(tmp_path: Path) -> None:
    dispatcher = charted(tmp_path, "order")
    call(dispatcher, "order", "add")
    call(dispatcher, "order", "place")
    assert state(dispatcher, "order") == "due + waiting"
    way = ", ".join(shortest(dispatcher.registry.worlds["order"].chart)["packed"] or ())
    assert f"`{way}`" in (ROOT / "docs/statecharts.md").read_text()
    now = dispatcher.main_now(LOCAL, "order")
    assert now is not None and now.allowed_actions == ("pay", "restock", "cancel")
    assert now.refused_actions["pack"].reason == "pack is not possible while the session is due + waiting."
    call(dispatcher, "order", "restock")
    assert state(dispatcher, "order") == "due + packing"
    call(dispatcher, "order", "pack")
    assert state(dispatcher, "order") == "due + packed"
    call(dispatcher, "order", "pay")
    assert state(dispatcher, "order") == "sent"
    assert dispatcher.look(LOCAL, "order", None, lambda order: order.data.said) == ["Thank you."]
    call(dispatcher, "order", "undo")
    assert state(dispatcher, "order") == "due + packed"
    call(dispatcher, "order", "cancel")
    assert state(dispatcher, "order") == "cancelled"


def test_the_lift_of_the_docs_shuts_and_goes_down_by_itself(tmp_path: Path) -> None:
    dispatcher = charted(tmp_path, "delayed")
    call(dispatcher, "lift", "call")
    advance(dispatcher, timedelta(seconds=8))
    call(dispatcher, "lift", "press")
    advance(dispatcher, timedelta(seconds=8))
    assert state(dispatcher, "lift") == "open"
    advance(dispatcher, timedelta(seconds=3))
    assert state(dispatcher, "lift") == "shut"
    call(dispatcher, "lift", "undo")
    advance(dispatcher, timedelta(seconds=9))
    assert state(dispatcher, "lift") == "open"
    call(dispatcher, "lift", "block")
    advance(dispatcher, timedelta(minutes=4))
    assert state(dispatcher, "lift") == "open"
    advance(dispatcher, timedelta(minutes=1))
    assert state(dispatcher, "lift") == "down"
    history = dispatcher.history(LOCAL, dispatcher.main(LOCAL, "lift"))
    assert [entry["action"] for entry in history if entry["by"] == "timer"] == [
        "timer.shut",
        "timer",
        "timer.go_down",
    ]


@pytest.mark.parametrize(("module", "kind", "number"), [("seats", "timers", 2), ("bookings", "paying", 1)])
def test_worlds_of_the_docs_are_tested_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, kind: str, number: int
) -> None:
    (tmp_path / f"{module}.py").write_text(blocks("docs/worlds.md", f"python {kind}")[0])
    monkeypatch.syspath_prepend(tmp_path)
    tests: dict[str, Any] = {}
    exec(blocks("docs/worlds.md", f"python {kind} test")[0], tests)
    found = [test for name, test in tests.items() if name.startswith("test_")]
    for test in found:
        test()
    assert len(found) == number
    monkeypatch.delitem(sys.modules, module)


def test_the_story_of_the_docs_goes_on_where_it_was_left(tmp_path: Path) -> None:
    dispatcher = charted(tmp_path, "game")
    call(dispatcher, "story", "open_map")
    call(dispatcher, "story", "close_map")
    assert state(dispatcher, "story") == "inn"
    for action in ("go_out", "follow_the_track", "climb", "open_map"):
        call(dispatcher, "story", action)
    assert state(dispatcher, "story") == "map"
    fork = dispatcher.fork(LOCAL, dispatcher.main(LOCAL, "story"))
    closed = Call(principal=LOCAL, world="story", action="close_map", session=fork.session)
    assert dispatcher.dispatch(closed).state == "ruin"
    call(dispatcher, "story", "close_map")
    call(dispatcher, "story", "undo")
    call(dispatcher, "story", "close_map")
    assert state(dispatcher, "story") == "ruin"
    call(dispatcher, "story", "go_in")
    assert state(dispatcher, "story") == "end"


def test_the_diary_of_the_docs_is_searched(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "docs_search", blocks("docs/worlds.md", "python search")[0]))
    for text in ("a long day with a Dog and two cats", "dog", "a cat"):
        call(dispatcher, "diary", "write", text=text)
    assert call(dispatcher, "diary", "look_up", word="DOG") == ["dog", "a long day with a Dog and two cats"]


def test_the_directory_of_the_docs_comes_in_pages(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "docs_pages", blocks("docs/worlds.md", "python pages")[0]))
    for name in ("Cy", "Ann", "Ben"):
        call(dispatcher, "directory", "enter_name", name=name)
    assert call(dispatcher, "directory", "list_names", limit=2) == {"names": ["Ann", "Ben"], "next": "Ben"}
    assert call(dispatcher, "directory", "list_names", limit=2, after="Ben") == {"names": ["Cy"], "next": None}


def test_what_the_page_on_the_graph_tells_closes_what_was_before(tmp_path: Path) -> None:
    graph = dispatcher_of(tmp_path, graph_world)
    calls = json.loads(blocks("docs/graph.md", "json functional")[0])
    found = [call(graph, "graph", tool, **arguments) for tool, arguments in calls]
    assert [one["name"] for one in found[-1]["neighbours"]] == ["Paris"]


def test_the_receiver_of_the_docs_tells_what_is_genuine() -> None:
    names: dict[str, Any] = {}
    exec(blocks("docs/webhooks.md", "python verify")[0], names)
    now, old, new = datetime.now(UTC), new_secret(), new_secret()
    message = Message("msg_1", "whk_1", "https://app.example/", '{"type":"cart.pay"}', now, (new, old))
    for secret in (new, old):
        assert names["is_genuine"](secret, message.headers, message.body.encode())
    assert not names["is_genuine"](new_secret(), message.headers, message.body.encode())
    assert not names["is_genuine"](new, message.headers, b"{}")
    late = replace(message, at=now - timedelta(minutes=6))
    assert not names["is_genuine"](new, late.headers, late.body.encode())


def test_the_page_on_webhooks_names_every_command() -> None:
    text = (ROOT / "docs/webhooks.md").read_text()
    commands = GROUPS["After the commit"]["webhooks"].commands
    assert [name for name in commands if not re.search(rf"`?\b{name}\b", text)] == []


def test_the_guestbook_of_the_readme_works(tmp_path: Path) -> None:
    dispatcher = dispatcher_of(tmp_path, loaded(tmp_path, "guestbook", blocks("README.md", "python guestbook")[0]))
    assert call(dispatcher, "guestbook", "sign", name="Ada") == ["Ada was here"]


def test_the_readme_names_every_setting() -> None:
    named = set(re.findall(r"`(TURNKEEPER_[A-Z_]+)`", (ROOT / "README.md").read_text()))
    assert named == {f"TURNKEEPER_{name.upper()}" for name in Settings.model_fields}


def test_the_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text())) - {"and"} <= targets


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()
    declared = re.findall(r'^    "([a-z0-9-]+)[>=;]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert [name for name in declared if name not in text] == []


def test_lock_files_name_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text()


def test_hooks_of_the_docs_hear_what_they_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = loaded(tmp_path, "docs_gate", blocks("docs/worlds.md", "python hooks")[0])
    dispatcher = dispatcher_of(tmp_path, module)
    with passing(dispatcher) as process:
        call(dispatcher, "gate", "push")
        process.finish()
    assert "was opened by local user" in caplog.text and "revision 2: shut to open" in caplog.text
    assert {"docs_gate.ring", "gates.log"} == set(dispatcher.registry.hooks)
