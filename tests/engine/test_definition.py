"""A wrong declaration fails at import, and says what was wrong and what would be right."""

from collections.abc import Callable
from enum import StrEnum
from types import new_class
from typing import Any

import pytest
from pydantic import BaseModel
from sqlmodel import CheckConstraint, Field, ForeignKeyConstraint, UniqueConstraint

from engine import Row, World, action, prompt, resource
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError
from engine.models import check_row
from engine.operations import Call
from engine.types import LOCAL
from tests.conftest import Database


@pytest.fixture
def database() -> Database:
    """What is tested here is the same on every database."""
    return "sqlite"


class Lamp(StrEnum):
    OFF = "off"
    ON = "on"


class Other(StrEnum):
    ELSEWHERE = "elsewhere"


def made(name: str, body: dict[str, Any], *rows: type[Row]) -> Any:
    """A world of that name and class body."""
    return new_class(name, (World,), {"rows": rows}, lambda space: space.update(body, __module__=__name__))


def wrong(declare: Callable[[], object]) -> str:
    """The message of the DefinitionError that a class statement raises."""
    with pytest.raises(DefinitionError) as raised:
        declare()
    return str(raised.value)


# states


def test_unreachable_state_is_refused() -> None:
    def declare() -> None:
        class Dark(World, states=Lamp, start=Lamp.OFF, rows=[]):
            @action
            def look(self) -> None: ...

    message = wrong(declare)
    assert "Dark: state 'on' is unreachable" in message
    assert "give an action target=Lamp.ON, or remove the state" in message


def test_dead_end_is_refused() -> None:
    def declare() -> None:
        class Bright(World, states=Lamp, start=Lamp.OFF, rows=[]):
            @action(source=Lamp.OFF, target=Lamp.ON)
            def light(self) -> None: ...

    message = wrong(declare)
    assert "Bright: state 'on' is a dead end" in message
    assert "give an action source=Lamp.ON, or declare final={Lamp.ON}" in message


def test_declared_final_state_is_no_dead_end() -> None:
    class Flare(World, states=Lamp, start=Lamp.OFF, final={Lamp.ON}, rows=[]):
        @action(source=Lamp.OFF, target=Lamp.ON)
        def light(self) -> None: ...

    assert Flare.definition.chart.finals == {"on"}


def test_state_of_another_enum_is_refused_with_the_states_there_are() -> None:
    def declare() -> None:
        class Lost(World, states=Lamp, start=Lamp.OFF, rows=[]):
            @action(target=Other.ELSEWHERE)
            def go(self) -> None: ...

    message = wrong(declare)
    assert "'elsewhere' is no state of this world" in message and "Its states are: off, on." in message


def test_start_of_another_enum_is_refused_with_the_states_there_are() -> None:
    def declare() -> None:
        class Astray(World, states=Lamp, start=Other.ELSEWHERE, rows=[]):
            @action(target=[Lamp.OFF, Lamp.ON])
            def go(self) -> None: ...

    message = wrong(declare)
    assert "'elsewhere' is no state of this world" in message and "Its states are: off, on." in message


def test_final_of_another_enum_is_refused_with_the_states_there_are() -> None:
    def declare() -> None:
        class Endless(World, states=Lamp, start=Lamp.OFF, final=[Other.ELSEWHERE], rows=[]):
            @action(target=[Lamp.OFF, Lamp.ON])
            def go(self) -> None: ...

    message = wrong(declare)
    assert "'elsewhere' is no state of this world" in message and "Its states are: off, on." in message


def test_states_without_start_are_refused() -> None:
    def declare() -> None:
        class Vague(World, states=Lamp, rows=[]):
            @action
            def go(self) -> None: ...

    assert "states= and start= go together" in wrong(declare)


def test_entering_an_undeclared_target_says_how_to_declare_it(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Switch(World, states=Lamp, start=Lamp.OFF, rows=[]):
        @action(target=Lamp.ON)
        def light(self) -> None:
            self.enter(Lamp.OFF)

        @action(target=[Lamp.OFF, Lamp.ON])
        def flip(self) -> None:
            self.enter(Lamp.ON if self.state is Lamp.OFF else Lamp.OFF)

    def steps(name: str) -> str:
        return dispatcher.dispatch(Call(principal=LOCAL, world="switch", action=name)).state

    dispatcher = dispatcher_of(Switch)
    with pytest.raises(DefinitionError, match=r"cannot enter .*Declare it, @action\(target="):
        steps("light")
    assert [steps("flip"), steps("flip")] == ["on", "off"]


# names


@pytest.mark.parametrize(
    "name", ["data", "definition", "enter", "now", "principal", "random", "revision", "rows", "session", "state"]
)
def test_action_named_like_what_every_world_has_is_refused(name: str) -> None:
    def method(self: World) -> None: ...

    method.__name__ = name
    message = wrong(lambda: made("Clash", {name: action(method)}))
    assert f"Clash.{name} collides with what every World has" in message
    assert f"Call the method something else and say name='{name}'" in message


def test_resource_named_like_what_every_world_has_is_refused() -> None:
    def declare() -> None:
        class Clashing(World, rows=[]):
            @resource
            def state(self) -> str:
                return ""

    assert "Clashing.state collides with what every World has" in wrong(declare)


@pytest.mark.parametrize("name", ["start_session", "undo", "redo", "fork_session", "share", "end", "start"])
def test_action_named_like_a_session_tool_is_refused(name: str) -> None:
    def declare() -> None:
        class Tooled(World, rows=[]):
            @action(name=name)
            def go(self) -> None: ...

    message = wrong(declare)
    assert f"the action '{name}' collides with what every session has" in message and "Choose another name" in message


def test_two_actions_of_one_name_are_refused() -> None:
    def declare() -> None:
        class Twice(World, rows=[]):
            @action
            def go(self) -> None: ...

            @action(name="go")
            def walk(self) -> None: ...

    message = wrong(declare)
    assert "Twice: two actions are named 'go'" in message and "Give one of them @action(name=…)" in message


def test_two_resources_of_one_name_are_refused() -> None:
    def declare() -> None:
        class Double(World, rows=[]):
            @resource
            def total(self) -> int:
                return 1

            @resource(name="total")
            def sum(self) -> int:
                return 1

    message = wrong(declare)
    assert "two resources are named 'total'" in message and "@resource(name=…)" in message


@pytest.mark.parametrize("name", ["two words", "1st", "", "a/b"])
def test_name_that_no_client_takes_is_refused(name: str) -> None:
    def declare() -> None:
        class Named(World, rows=[]):
            @action(name=name or " ")
            def go(self) -> None: ...

    message = wrong(declare)
    assert "cannot be a name" in message and "Begin with a letter" in message


def test_world_takes_its_name_from_its_class_or_is_given_one() -> None:
    class ToolShed(World, rows=[]):
        """Where tools are."""

    class Attic(World, name="loft", rows=[]):
        pass

    assert (ToolShed.definition.name, ToolShed.definition.description) == ("tool_shed", "Where tools are.")
    assert Attic.definition.name == "loft"


# resources and prompts


def test_resource_that_takes_what_its_uri_lacks_is_refused() -> None:
    def declare() -> None:
        class Shelf(World, rows=[]):
            @resource(uri="shelf://{row}")
            def book(self, row: int, column: int) -> str:
                return ""

    message = wrong(declare)
    assert "takes ['column', 'row'], but its uri has the variables ['row']" in message
    assert "exactly the variables of its uri" in message


def test_resource_without_uri_takes_nothing() -> None:
    def declare() -> None:
        class Rack(World, rows=[]):
            @resource
            def book(self, row: int) -> str:
                return ""

    assert "without uri= it takes none" in wrong(declare)


@pytest.mark.parametrize("name", ["history", "diagram", "state"])
def test_resource_named_like_a_built_in_one_is_refused(name: str) -> None:
    def declare() -> None:
        class Stand(World, rows=[]):
            @resource(name=name)
            def thing(self) -> str:
                return ""

    message = wrong(declare)
    assert f"every session already has the resource '{name}'" in message and "Choose another name" in message


def test_resource_says_its_type_and_which_tables_touch_it() -> None:
    class Sized(Row, table=True):
        """A row."""

        id: int | None = Field(default=None, primary_key=True)

    class Case(World, rows=[Sized]):
        @resource
        def text(self) -> str:
            return ""

        @resource(of=(Sized,))
        def numbers(self) -> list[int]:
            return []

        @resource
        def picture(self) -> bytes:
            return b""

    found = Case.definition.resources
    assert [resource.mime_type for resource in found.values()] == [
        "text/plain",
        "application/json",
        "application/octet-stream",
    ]
    assert found["text"].touched_by(frozenset({"any"})) and not found["numbers"].touched_by(frozenset({"any"}))
    assert found["numbers"].touched_by(Case.definition.tables)


def test_prompt_with_a_synchronous_prepare_is_refused() -> None:
    def prepare(world: World, asking: object) -> None: ...

    def declare() -> None:
        class Stage(World, rows=[]):
            @prompt(prepare=prepare)  # type: ignore[arg-type]
            def cue(self, prepared: object) -> str:
                return ""

    assert "prepare must be an `async def` function" in wrong(declare)


# data and rows


def test_data_with_required_fields_is_refused() -> None:
    class Needy(BaseModel):
        total: int

    message = wrong(lambda: made("Wanting", {"__annotations__": {"data": Needy}}))
    assert "Wanting.data: Needy cannot be made without values" in message and "Give every field a default" in message


def test_data_that_is_no_model_is_refused() -> None:
    def declare() -> None:
        class Plain(World, rows=[]):
            data: dict[str, int]

    message = wrong(declare)
    assert "Plain.data: dict[str, int] is not a pydantic model" in message
    assert "pydantic.BaseModel" in message


class NotATable(Row):
    """Somebody forgot table=True."""

    id: int = Field(primary_key=True)


class Keyless(Row, table=True):
    """A row with no key of its own."""

    colour: str


class Unique(Row, table=True):
    """A row that is unique among everybody's."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class Cascading(Row, table=True):
    """A row that goes when its parent goes."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "parent"], ["test_parent.session_id", "test_parent.id"], ondelete="CASCADE"
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    parent: int


class Parental(Row, table=True):
    """What children point at."""

    __tablename__ = "test_parent"
    id: int | None = Field(default=None, primary_key=True)


class Reaching(Row, table=True):
    """A row whose reference leaves out the session."""

    id: int | None = Field(default=None, primary_key=True)
    parent: int = Field(foreign_key="test_parent.id")


class Sound(Row, table=True):
    """A row with constraints of every allowed kind."""

    __table_args__ = (
        UniqueConstraint("session_id", "name"),
        CheckConstraint("name <> ''", name="name"),
        ForeignKeyConstraint(["session_id", "parent"], ["test_parent.session_id", "test_parent.id"]),
    )
    id: int | None = Field(default=None, primary_key=True)
    name: str
    parent: int


@pytest.mark.parametrize(
    ("row", "said", "right"),
    [
        (NotATable, "NotATable is not a table", "class NotATable(Row, table=True)"),
        (Keyless, "Keyless has no key of its own", "Field(primary_key=True)"),
        (Unique, "name would be unique among all sessions", "UniqueConstraint('session_id', 'name')"),
        (Cascading, "past the journal", "Leave ondelete and onupdate out"),
        (Reaching, "would reach into other sessions", "begin with session_id on both sides"),
    ],
)
def test_row_that_cannot_be_kept_is_refused(row: type[Row], said: str, right: str) -> None:
    message = wrong(lambda: made("Holding", {}, row))
    assert said in message and right in message


def test_row_with_constraints_within_its_session_is_taken() -> None:
    check_row(Sound)


# declarations that would break later


def late() -> Any:
    async def late(self: World) -> str:
        return ""

    return late


def named(self: World) -> str:
    return ""


def shown(self: World) -> str:
    return ""


async def later(world: World, asking: object) -> str:
    return ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"start": late()}, "Odd.start is async, but a session starts inside a transaction"),
        ({"show": resource(late())}, "Odd.late is async, but a resource is read inside a transaction"),
        ({"say": prompt(late())}, "Odd.late is async, but a prompt reads inside a transaction"),
        ({"start": Lamp.OFF}, "Odd.start is no plain method: Lamp"),
        ({"start": classmethod(lambda cls: None)}, "Odd.start is no plain method: classmethod"),
        (
            {"show": staticmethod(resource(lambda: ""))},
            "Odd.show is marked as an action, transition, resource or prompt",
        ),
    ],
)
def test_method_that_cannot_be_called_plainly_is_refused(body: dict[str, Any], said: str) -> None:
    assert said in wrong(lambda: made("Odd", body))


def test_resource_and_prompt_go_on_methods_only() -> None:
    assert "@resource was given" in wrong(lambda: resource(staticmethod(lambda: "")))
    assert "@prompt was given" in wrong(lambda: prompt(property(lambda self: "")))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "uri", ["shelf://{row", "shelf://row}", "shelf://{row}{place}", "shelf://{+row}", "a b://c", ""]
)
def test_uri_that_cannot_be_read_is_refused(uri: str) -> None:
    def book(self: World, row: int) -> str:
        return ""

    message = wrong(lambda: made("Shelf", {"book": resource(uri=uri)(book)}))
    assert f"the uri {uri!r} cannot be read" in message and "shelf://{row}/{place}" in message


def test_uri_of_the_sessions_own_scheme_is_refused() -> None:
    message = wrong(lambda: made("Shelf", {"book": resource(uri="session://main/book")(named)}))
    assert "collides with the addresses of sessions" in message


@pytest.mark.parametrize("name", ["x y", "a/b", "what?", "..", "é"])
def test_resource_name_that_cannot_stand_in_a_uri_is_refused(name: str) -> None:
    message = wrong(lambda: made("Shelf", {"book": resource(name=name)(lambda self: "")}))
    assert f"{name!r} cannot stand in a URI" in message and "title=" in message


def test_two_resources_of_one_uri_are_refused() -> None:
    def by_row(self: World, row: int) -> str:
        return ""

    def by_place(self: World, place: int) -> str:
        return ""

    body = {"one": resource(uri="shelf://{row}")(by_row), "other": resource(uri="shelf://{place}")(by_place)}
    message = wrong(lambda: made("Shelf", body))
    assert "the resources 'by_row' and 'by_place' have one uri, shelf://{place}" in message


def test_resource_of_what_is_no_table_of_the_world_is_refused() -> None:
    message = wrong(lambda: resource(of=[int])(named))
    assert "of= names <class 'int'>, which is no table" in message and "Name Row classes" in message
    message = wrong(lambda: made("Shelf", {"book": resource(of=(Sound,))(shown)}))
    assert "of= names tables that are not this world's" in message and "Its tables are: none" in message


def test_prompt_with_prepare_and_prepared_apart_is_refused() -> None:
    def cue(self: World, prepared: str) -> str:
        return prepared

    for marked in (prompt(cue), prompt(prepare=later)(lambda self: "")):
        message = wrong(lambda marked=marked: made("Stage", {"cue": marked}))  # type: ignore[misc]
        assert "prepare= and a parameter named `prepared` go together" in message


def test_prompt_parameter_named_session_is_refused_unless_exact() -> None:
    def cue(self: World, session: str) -> str:
        return session

    message = wrong(lambda: made("Stage", {"cue": prompt(cue)}))
    assert "'session' collides with the one every prompt has" in message and "contract='exact'" in message

    class Exact(World, rows=[], contract="exact"):
        say = prompt(cue)

    assert "session" in Exact.definition.prompts["cue"].parameters.model_fields


def test_prompt_takes_models_lists_and_dicts() -> None:
    class Part(BaseModel):
        who: str

    def cue(self: World, part: Part, lines: list[str], marks: dict[str, int]) -> str:
        return ""

    made("Stage", {"cue": prompt(cue)})


def test_read_only_action_is_no_way_out_of_a_state() -> None:
    def declare() -> None:
        class Look(World, states=Lamp, start=Lamp.OFF, rows=[]):
            @action(source=Lamp.OFF, target=Lamp.ON)
            def shut(self) -> None: ...

            @action(read_only=True)
            def look(self) -> None: ...

    assert "state 'on' is a dead end" in wrong(declare)


def test_read_only_action_is_no_transition() -> None:
    class Seen(World, states=Lamp, start=Lamp.OFF, final=Lamp.ON, rows=[]):  # type: ignore[arg-type]
        @action(source=Lamp.OFF, target=Lamp.ON)
        def shut(self) -> None: ...

        @action(read_only=True)
        def look(self) -> None: ...

    chart = Seen.definition.chart
    assert [way.events for way in chart.transitions] == [("shut",)] and chart.finals == {"on"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"states": ["open"], "start": "open"}, "'open' in states=[…] is no state"),
        ({"states": Lamp, "start": Lamp.OFF, "final": "shut"}, "final='shut' is not what final takes"),
        ({"rows": Sound}, "is not what rows takes"),
        ({"icons": "https://example.org/a.svg"}, "is not what icons takes"),
    ],
)
def test_option_of_the_wrong_kind_is_refused(options: dict[str, Any], said: str) -> None:
    assert said in wrong(lambda: new_class("Odd", (World,), {"rows": [], **options}))
