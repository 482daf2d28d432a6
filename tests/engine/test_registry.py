"""Worlds are found in packages and files, and checked together."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from engine import World, action, prompt, resource
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError
from engine.migrate import upgrade
from engine.operations import Call
from engine.registry import Registry, collect, load, load_file, tool_name
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL
from tests.conftest import Database


@pytest.fixture
def database() -> Database:
    """What is tested here is the same on every database."""
    return "sqlite"


ROOT = Path(__file__).parents[2]


def test_bundled_worlds_are_found_in_stable_order() -> None:
    found = list(load().worlds)
    assert "counter" in found and found == sorted(found)


def test_two_worlds_of_one_name_are_refused() -> None:
    class Boat(World, rows=[]):
        pass

    class Ship(World, name="boat", rows=[]):
        pass

    with pytest.raises(DefinitionError, match="Two worlds are named 'boat'") as raised:
        Registry([Boat, Ship])
    assert "Give one of them another name" in str(raised.value)


def test_tools_that_collide_after_joining_are_refused() -> None:
    class Car(World, rows=[]):
        @action
        def park_here(self) -> None: ...

    class Lot(World, name="car_park", rows=[]):
        @action
        def here(self) -> None: ...

    with pytest.raises(DefinitionError) as raised:
        Registry([Car, Lot])
    assert "The tool car_park_here of world 'car_park' collides with that of world 'car'" in str(raised.value)
    assert "Rename the action with @action(name=…)" in str(raised.value)


def test_tool_that_collides_with_a_session_tool_after_joining_is_refused() -> None:
    class Fork(World, rows=[]):
        @action(name="session")
        def eat(self) -> None: ...

    with pytest.raises(DefinitionError, match="The tool fork_session of world 'fork' collides with that of every"):
        Registry([Fork])


@pytest.mark.parametrize(("length", "fits"), [(60, True), (61, False)])
def test_tool_name_has_at_most_64_characters(length: int, fits: bool) -> None:
    class Sea(World, name="sea", rows=[]):
        @action(name="a" * length)
        def sail(self) -> None: ...

    if fits:
        assert len(tool_name(Registry([Sea]).worlds["sea"], "a" * length)) == 64
        return
    with pytest.raises(DefinitionError, match="is 65 characters long; clients take 64") as raised:
        Registry([Sea])
    assert "Shorten the action's name with @action(name=…)" in str(raised.value)


def test_world_in_one_file_is_added_through_a_folder(tmp_path: Path) -> None:
    (tmp_path / "dice_world.py").write_text(
        dedent('''
        """Dice."""

        from sqlmodel import Field

        from engine import Change, Row, World, action, on_change


        class Throw(Row, table=True):
            """One throw."""

            id: int | None = Field(default=None, primary_key=True)
            eyes: int


        class Dice(World):
            """Two dice."""

            @action
            def throw(self) -> int:
                """Throw one."""
                eyes = self.random.randint(1, 6)
                self.rows(Throw).add(eyes=eyes)
                return self.rows(Throw).count()


        @on_change(Dice)
        def note(change: Change) -> None:
            """Nothing."""
        ''')
    )
    registry = load(str(tmp_path))
    assert {"counter", "dice"} <= registry.worlds.keys()
    assert registry.worlds["dice"].tables == {"dice_world__throw"}
    assert "dice_world.note" in registry.hooks
    store = SqliteStore(str(tmp_path / "dice.db"))
    upgrade(store, registry.worlds.values())
    dispatcher = Dispatcher(store, registry)
    values = [dispatcher.dispatch(Call(principal=LOCAL, world="dice", action="throw")).value for _ in range(3)]
    assert values == [1, 2, 3]
    store.close()


def test_upgrade_that_no_world_lists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "attic.py").write_text(
        dedent('''
        """An attic."""

        from engine import World, upgrade


        @upgrade(to=2)
        def tidied(document: dict) -> dict:
            return document


        class Attic(World, version=2):
            """An attic."""
        ''')
    )
    with pytest.raises(DefinitionError, match=r"attic\.tidied is marked @upgrade, but no world lists it") as raised:
        load(str(tmp_path))
    assert "upgrades=[tidied]" in str(raised.value)


def test_setting_names_the_folder_of_worlds(tmp_path: Path) -> None:
    (tmp_path / "yard.py").write_text(
        '"""A yard."""\n\nfrom engine import World\n\n\nclass Yard(World):\n    """Y."""\n'
    )
    program = """
from engine.registry import load
from engine.settings import Settings
print(*load(Settings().worlds_path).worlds)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={"TURNKEEPER_WORLDS_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "yard" in finished.stdout.split() and "counter" in finished.stdout.split()


def test_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"TURNKEEPER_WORLDS_PATH names .*nowhere', which is no folder"):
        load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("source", "said"),
    [("import no_such_module", "no_such_module"), ("class", "invalid syntax"), ("x = 1 / 0", "division by zero")],
)
def test_file_that_cannot_be_loaded_is_refused_by_name(tmp_path: Path, source: str, said: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source)
    with pytest.raises(DefinitionError, match=f"{file} cannot be loaded") as raised:
        load_file(file)
    assert said in str(raised.value)
    assert "broken" not in sys.modules


def test_file_named_like_a_loaded_module_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "json.py"
    file.write_text('"""Not the json there is."""\n')
    with pytest.raises(DefinitionError, match=r"a module named 'json' is loaded already. Rename the file."):
        load_file(file)


def test_module_gives_its_own_worlds_and_hooks_once(dispatcher_of: Callable[..., Dispatcher]) -> None:
    import worlds.counter

    registry = collect([worlds.counter, worlds.counter])
    assert list(registry.worlds) == ["counter"] and list(registry.hooks) == ["worlds.counter.log_change"]


def test_two_worlds_with_one_resource_uri_are_refused() -> None:
    class Hall(World, rows=[]):
        @resource(uri="plan://{floor}")
        def plan(self, floor: int) -> str:
            return ""

    class House(World, rows=[]):
        @resource(uri="plan://{level}")
        def plan(self, level: int) -> str:
            return ""

    with pytest.raises(DefinitionError) as raised:
        Registry([Hall, House])
    assert "The resource plan://{level} of world 'house' collides with that of world 'hall'" in str(raised.value)
    assert "Give it another uri=" in str(raised.value)


def test_prompts_that_collide_after_joining_are_refused() -> None:
    class Red(World, rows=[]):
        @prompt
        def fox_run(self) -> str:
            return ""

    class Fox(World, name="red_fox", rows=[]):
        @prompt
        def run(self) -> str:
            return ""

    with pytest.raises(DefinitionError) as raised:
        Registry([Red, Fox])
    assert "The prompt red_fox_run of world 'red_fox' collides with that of world 'red'" in str(raised.value)
    assert "Rename the prompt with @prompt(name=…)" in str(raised.value)


@pytest.mark.parametrize("name", ["start", "resume"])
def test_prompt_named_like_a_built_in_one_is_refused_unless_exact(name: str) -> None:
    class Race(World, rows=[]):
        @prompt(name=name)
        def words(self) -> str:
            return ""

    class Exact(World, rows=[], contract="exact"):
        @prompt(name=name)
        def words(self) -> str:
            return ""

    with pytest.raises(DefinitionError, match=f"The prompt race_{name} of world 'race' collides"):
        Registry([Race])
    assert name in Registry([Exact]).worlds["exact"].prompts


def test_worlds_of_one_file_cannot_own_the_same_rows(tmp_path: Path) -> None:
    text = """
    from sqlmodel import Field
    from engine import Row, World
    class {0}(Row, table=True):
        id: int | None = Field(default=None, primary_key=True)
    class {0}One(World): ...
    class {0}Two(World{1}): ...
    """
    (tmp_path / "shared_rows.py").write_text(dedent(text).format("Shared", ""))
    (tmp_path / "split_rows.py").write_text(dedent(text).format("Split", ", rows=[]"))
    with pytest.raises(DefinitionError) as raised:
        collect([load_file(tmp_path / "shared_rows.py")])
    assert "The table shared_rows__shared of world 'shared_two' collides with that of world 'shared_one'" in str(
        raised.value
    )
    assert "class SharedTwo(World, rows=[…])" in str(raised.value)
    assert list(collect([load_file(tmp_path / "split_rows.py")]).worlds) == ["split_one", "split_two"]


def test_file_that_ends_the_process_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "leaving.py"
    file.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(
        DefinitionError, match=f"{file} cannot be loaded: it ends the process .SystemExit: 3."
    ) as raised:
        load_file(file)
    assert "SystemExit: 3" in str(raised.value) and '__name__ == "__main__"' in str(raised.value)
    assert "leaving" not in sys.modules


def test_file_with_a_nul_byte_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "nulled.py"
    file.write_bytes(b"x = 1\ny = '\0'\n")
    with pytest.raises(DefinitionError, match=f"{file}, line 2: there is a NUL byte"):
        load_file(file)
