"""Actions: their declaration, their arguments, their schemas."""

import decimal
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import new_class
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr, ValidationError

from engine import Text, World, action
from engine.actions import Guard
from engine.arguments import canonical, parsed
from engine.asking import Asking
from engine.errors import DefinitionError, InvalidArguments


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Point(BaseModel):
    x: int
    y: int = 0


class Hidden(BaseModel):
    user: str
    password: SecretStr


class Holding(BaseModel):
    names: set[str]
    row: list[str]


ROOT = Path(__file__).parents[2]


class Opaque:
    """What no schema can describe."""


class Shape(World, rows=[]):
    """A shape."""

    @action
    def draw(
        self,
        at: Point,
        size: Size = Size.SMALL,
        width: Annotated[int, Field(ge=1, le=9, description="in pixels")] = 1,
        tags: list[str] | None = None,
        when: date | None = None,
    ) -> str:
        """Draw it."""
        return ""

    @action(read_only=True, scope="shape:peek", title="Peek")
    def peek(self) -> Text:
        """Look."""
        return Text("")


def wrong(declare: Callable[[], object]) -> str:
    """The message of the DefinitionError that a class statement raises."""
    with pytest.raises(DefinitionError) as raised:
        declare()
    return str(raised.value)


# declarations


def test_parameter_that_no_schema_can_describe_is_refused_by_name() -> None:
    def declare() -> None:
        class Odd(World, rows=[]):
            @action
            def go(self, fine: int, thing: Opaque) -> None: ...

    message = wrong(declare)
    assert "Odd.go: no schema can describe the parameter 'thing'" in message and "Use what JSON can carry" in message


def test_answer_that_no_schema_can_describe_is_refused() -> None:
    def declare() -> None:
        class Odder(World, rows=[]):
            @action
            def go(self) -> Opaque:
                return Opaque()

    message = wrong(declare)
    assert "Odder.go: no schema can describe what it returns" in message and "Return what JSON can carry" in message


def test_parameter_without_a_type_is_refused() -> None:
    def declare() -> None:
        class Untyped(World, rows=[]):
            @action
            def go(self, much) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    message = wrong(declare)
    assert "no schema can describe the parameter 'much'" in message and "such as `quantity: int`" in message


def test_star_parameters_are_refused() -> None:
    def stars() -> None:
        class Many(World, rows=[]):
            @action
            def go(self, *numbers: int) -> None: ...

    def named() -> None:
        class More(World, rows=[]):
            @action
            def go(self, **numbers: int) -> None: ...

    assert "the parameter '*numbers: int'" in wrong(stars) and "Give it a name and a type" in wrong(stars)
    assert "the parameter '**numbers: int'" in wrong(named)


def test_async_action_is_refused() -> None:
    def declare() -> None:
        class Late(World, rows=[]):
            @action
            async def go(self) -> None: ...

    message = wrong(declare)
    assert "Late.go is async, but an action runs inside a transaction" in message and "given as prepare=" in message


@pytest.mark.parametrize("name", ["session", "if_revision"])
def test_parameter_named_like_one_every_tool_has_is_refused_unless_exact(name: str) -> None:
    def body(space: dict[str, Any]) -> None:
        exec(f"def go(self, {name}: int) -> None: ...", space)
        space.update(go=action(space["go"]), __module__=__name__)

    message = wrong(lambda: new_class("Taken", (World,), {"rows": []}, body))
    assert f"the parameter '{name}' collides" in message and "declare contract='exact'" in message
    exact: Any = new_class("Exact", (World,), {"rows": [], "contract": "exact"}, body)
    assert name in exact.definition.actions["go"].parameters.model_fields


def test_unknown_guard_is_refused() -> None:
    def declare() -> None:
        class Guarded(World, rows=[]):
            @action(guards=["is_there"])
            def go(self) -> None: ...

    message = wrong(declare)
    assert "Guarded.go: unknown guard 'is_there'" in message and "Name a method of the world" in message


def test_guard_that_wants_an_unknown_parameter_is_refused() -> None:
    def can_pay(world: World, price: int) -> str | None:
        return None

    def declare() -> None:
        class Asked(World, rows=[]):
            @action(guards=[can_pay])
            def go(self, amount: int) -> None: ...

    message = wrong(declare)
    assert "guard can_pay takes price, which the action does not have" in message and "any of: amount." in message


def test_guard_that_answers_neither_none_nor_a_reason_is_told_so() -> None:
    guard = Guard("is_open", lambda world: True, ())  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="guard is_open answered True; it must return None, or the reason against"):
        guard.answer(None, {})


def test_prepare_and_prepared_go_together() -> None:
    async def ask(world: World, asking: Asking) -> int:
        return 1

    def without() -> None:
        class Unready(World, rows=[]):
            @action(prepare=ask)
            def go(self) -> None: ...

    def alone() -> None:
        class Overready(World, rows=[]):
            @action
            def go(self, prepared: int) -> None: ...

    for declare in (without, alone):
        message = wrong(declare)
        assert "prepare= and a parameter named `prepared` go together" in message
        assert "receives what the prepare function returns" in message


def test_prepare_that_is_not_async_is_refused() -> None:
    def ask(world: World, asking: Asking) -> int:
        return 1

    def declare() -> None:
        class Hasty(World, rows=[]):
            @action(prepare=ask)  # type: ignore[arg-type]
            def go(self, prepared: int) -> None: ...

    assert "Hasty.go: prepare must be an `async def` function" in wrong(declare)


def test_prepare_that_wants_an_unknown_parameter_is_refused() -> None:
    async def ask(world: World, asking: Asking, price: int) -> int:
        return 1

    def declare() -> None:
        class Curious(World, rows=[]):
            @action(prepare=ask)
            def go(self, amount: int, prepared: int) -> None: ...

    message = wrong(declare)
    assert "prepare takes price, which the action does not have" in message and "any of: amount." in message


def test_prepared_is_no_argument_of_the_tool() -> None:
    async def ask(world: World, asking: Asking, amount: int) -> int:
        return 1

    class Ready(World, rows=[]):
        @action(prepare=ask)
        def go(self, amount: int, prepared: int) -> None: ...

    ready = Ready.definition.actions["go"]
    assert list(ready.parameters.model_fields) == ["amount"] and ready.prepare_parameters == ("amount",)
    assert ready.asks


@pytest.mark.parametrize("options", [{"target": Size.SMALL}, {"confirm": "Sure?"}])
def test_read_only_action_takes_no_target_and_no_confirmation(options: dict[str, Any]) -> None:
    def declare() -> None:
        class Still(World, states=Size, start=Size.SMALL, rows=[]):
            @action(read_only=True, **options)
            def go(self) -> None: ...

    assert "Still.go is read_only, so it takes no target= and no confirm=" in wrong(declare)


def test_action_has_the_worlds_scope_unless_it_names_its_own() -> None:
    definition = Shape.definition
    assert definition.scope_of(definition.actions["draw"]) == "shape:write"
    assert definition.scope_of(definition.actions["peek"]) == "shape:peek"


# what an author says to the letter

TOLD: dict[str, Any] = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}


def lettered(**options: Any) -> Any:
    """An action `go` of a world, with these options."""

    def go(self: Any, at: int) -> None:
        """Go there."""

    return new_class("Lettered", (World,), {"rows": []}, lambda body: body.update(go=action(**options)(go)))


def test_schemas_and_words_to_the_letter_are_the_authors() -> None:
    def words(name: str, error: ValidationError) -> str:
        return f"{name}: {error.error_count()} wrong"

    world = lettered(contract="exact", input_schema=TOLD, output_schema={"type": "object"}, invalid=words)
    go = world.definition.actions["go"]
    assert go.schema == TOLD
    assert go.parse({"at": 3, "more": 2**70}) == {"at": 3}
    with pytest.raises(InvalidArguments) as raised:
        go.parse({"at": "x"})
    assert raised.value.reason == "go: 1 wrong"
    closed = lettered(contract="exact", input_schema={**TOLD, "additionalProperties": False})
    with pytest.raises(InvalidArguments, match="more"):
        closed.definition.actions["go"].parse({"at": 3, "more": 1})


@pytest.mark.parametrize("name", ["input_schema", "output_schema", "invalid"])
def test_what_is_said_to_the_letter_needs_an_exact_contract(name: str) -> None:
    with pytest.raises(DefinitionError, match=rf'{name}= .*Declare contract="exact"'):
        lettered(**{name: {}})


def test_a_schema_to_the_letter_describes_the_parameters_and_no_other() -> None:
    with pytest.raises(DefinitionError, match=r"describes \['to'\], but it takes \['at'\]"):
        lettered(contract="exact", input_schema={"type": "object", "properties": {"to": {}}})


# arguments


def test_arguments_become_what_the_signature_says() -> None:
    found = Shape.definition.actions["draw"].parse({"at": {"x": 1}, "size": "large", "when": "2026-11-01"})
    assert found == {"at": Point(x=1), "size": Size.LARGE, "width": 1, "tags": None, "when": date(2026, 11, 1)}


def test_wrong_argument_deep_down_is_told_by_its_path() -> None:
    with pytest.raises(InvalidArguments) as raised:
        Shape.definition.actions["draw"].parse({"at": {"x": "one"}, "width": 10})
    assert raised.value.path == "$.at.x"
    assert "received 'one'" in str(raised.value) and "(1 more)" in str(raised.value)
    assert "The arguments are: at, size, width, tags, when." in str(raised.value)


def test_wrong_item_is_told_by_its_place() -> None:
    with pytest.raises(InvalidArguments) as raised:
        Shape.definition.actions["draw"].parse({"at": {"x": 1}, "tags": ["a", 2]})
    assert raised.value.path == "$.tags[1]"


def test_long_wrong_argument_is_shortened() -> None:
    with pytest.raises(InvalidArguments) as raised:
        Shape.definition.actions["draw"].parse({"at": {"x": 1}, "width": "w" * 5000})
    assert len(str(raised.value)) < 400


def test_canonical_arguments_are_sorted_complete_and_compact() -> None:
    draw = Shape.definition.actions["draw"]
    one = canonical(draw.parameters, draw.parse({"size": "large", "at": {"y": 2, "x": 1}}))
    two = canonical(draw.parameters, draw.parse({"at": {"x": 1, "y": 2}, "size": "large", "width": 1}))
    assert one == two == '{"at":{"x":1,"y":2},"size":"large","tags":null,"when":null,"width":1}'


def test_schema_carries_limits_and_descriptions_without_invented_titles() -> None:
    schema = Shape.definition.actions["draw"].schema
    assert schema["properties"]["width"] == {
        "default": 1,
        "description": "in pixels",
        "maximum": 9,
        "minimum": 1,
        "type": "integer",
    }
    assert schema["required"] == ["at"] and "title" not in schema and schema["additionalProperties"] is False


def test_decimal_arguments_survive_being_canonical() -> None:
    class Till(World, rows=[]):
        @action
        def pay(self, amount: decimal.Decimal) -> None: ...

    model = Till.definition.actions["pay"].parameters
    assert canonical(model, parsed(model, {"amount": "1.10"})) == '{"amount":"1.10"}'


# declarations that would fail, or do nothing, later


def with_parameter(text: str) -> Callable[[], object]:
    """Declares a world whose action has a parameter written like that."""

    def body(space: dict[str, Any]) -> None:
        exec(f"def go(self, {text}) -> None: ...", space)
        space.update(go=action(space["go"]), __module__=__name__)

    return lambda: new_class("Named", (World,), {"rows": []}, body)


@pytest.mark.parametrize("name", ["_x", "model_config", "model_dump", "model_fields", "__base__"])
def test_parameter_that_pydantic_cannot_name_is_refused_by_name(name: str) -> None:
    message = wrong(with_parameter(f"{name}: int"))
    assert f"Named.go: {name!r} cannot be the name of a parameter" in message and "Choose another" in message


def test_parameter_by_position_only_is_refused() -> None:
    message = wrong(with_parameter("amount: int, /"))
    assert "'amount' can be given by position only" in message and "Remove the `/`" in message


@pytest.mark.parametrize("name", ["cls", "copy", "json", "schema", "values", "model_name"])
def test_parameter_named_like_something_of_pydantics_works(name: str) -> None:
    named: Any = with_parameter(f"{name}: int")()
    go = named.definition.actions["go"]
    assert canonical(go.parameters, go.parse({name: 1})) == f'{{"{name}":1}}'


def test_type_that_cannot_be_found_is_refused() -> None:
    message = wrong(with_parameter("amount: 'NoSuchType'"))
    assert "Named.go: its type hints cannot be read: name 'NoSuchType'" in message and "at module level" in message


@pytest.mark.parametrize("kind", [SecretStr, SecretBytes, Secret[int], list[SecretStr] | None, Hidden])
def test_secret_parameter_is_refused_since_the_journal_keeps_it(kind: Any) -> None:
    def act() -> None:
        class Vault(World, rows=[]):
            @action
            def unlock(self, pin: kind) -> None: ...

    def begin() -> None:
        class Safe(World, rows=[]):
            def start(self, pin: kind) -> None: ...

    for declare in (act, begin):
        message = wrong(declare)
        assert "the parameter 'pin' is a secret" in message and "Take a reference" in message


@pytest.mark.parametrize("wrapper", [staticmethod, classmethod, property, functools.cached_property])
def test_action_around_or_behind_another_decorator_is_refused(wrapper: Any) -> None:
    def go(self: World) -> None: ...

    message = wrong(lambda: action(wrapper(go)))
    assert "@action was given" in message and "`def …(self, …)` itself" in message
    message = wrong(
        lambda: new_class("Wrapped", (World,), {"rows": []}, lambda space: space.update(go=wrapper(action(go))))
    )
    assert "Wrapped.go is marked as an action" in message and "without staticmethod" in message


def test_guard_that_is_async_or_takes_nothing_is_refused() -> None:
    async def late(world: World) -> str | None:
        return None

    def blind() -> str | None:
        return None

    def declare(guard: Any) -> Callable[[], object]:
        def body(space: dict[str, Any]) -> None:
            space["go"] = action(guards=[guard])(lambda self: None)

        return lambda: new_class("Guarded", (World,), {"rows": []}, body)

    assert "guard late is async, but a guard answers at once" in wrong(declare(late))
    assert "guard blind takes nothing" in wrong(declare(blind))


def test_action_that_is_a_generator_is_refused() -> None:
    def declare() -> None:
        class Lazy(World, rows=[]):
            @action
            def go(self) -> Iterator[int]:
                yield 1

    message = wrong(declare)
    assert "Lazy.go is a generator, so that calling it runs nothing" in message and "Use `return`" in message


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ({"source": "small"}, "source=State.OPEN"),
        ({"target": "small"}, "target=State.PAID"),
        ({"source": 1}, "source=State.OPEN"),
        ({"guards": "is_there"}, "guards=[has_lines]"),
        ({"icons": "https://example.org/a.svg"}, "icons=["),
    ],
)
def test_option_that_takes_several_is_not_taken_apart_into_letters(options: dict[str, Any], right: str) -> None:
    def go(self: World) -> None: ...

    message = wrong(lambda: action(**options)(go))
    assert "go: " in message and "is not what" in message and right in message


def test_alias_may_be_what_a_parameter_cannot_be_called_but_not_what_every_tool_has() -> None:
    class Renamed(World, rows=[]):
        @action
        def go(self, dump: Annotated[int, Field(alias="model_dump")]) -> None: ...

    go = Renamed.definition.actions["go"]
    assert canonical(go.parameters, go.parse({"model_dump": 1})) == '{"dump":1}'

    def declare() -> None:
        class Taken(World, rows=[]):
            @action
            def go(self, handle: Annotated[str, Field(alias="session")]) -> None: ...

    assert "the parameter 'session' collides" in wrong(declare)


def test_one_guard_needs_no_list() -> None:
    def is_there(world: World) -> str | None:
        return None

    class Alone(World, rows=[]):
        @action(guards=is_there)
        def go(self) -> None: ...

    assert [guard.name for guard in Alone.definition.actions["go"].guards] == ["is_there"]


def test_read_only_action_takes_no_source() -> None:
    def declare() -> None:
        class Calm(World, states=Size, start=Size.SMALL, rows=[]):
            @action(read_only=True, source=Size.SMALL)
            def look(self) -> None: ...

    message = wrong(declare)
    assert "possible in every state and takes no source=" in message and "with a guard" in message


# what must be the same, or refused, in every process


def test_sets_are_canonical_in_one_order_at_any_depth() -> None:
    class Bag(World, rows=[]):
        @action
        def fill(
            self, tags: set[str], groups: dict[str, frozenset[int]], deep: set[frozenset[str]], held: Holding
        ) -> None: ...

    program = """
from tests.engine.test_actions import Holding
from engine import World, action
from engine.arguments import canonical
class Bag(World, rows=[]):
    @action
    def fill(self, tags: set[str], groups: dict[str, frozenset[int]], deep: set[frozenset[str]], held: Holding): ...
fill = Bag.definition.actions["fill"]
words = ["pear", "fig", "plum", "apple"]
held = {"names": words, "row": words}
given = {"tags": words, "groups": {"b": [3, 1], "a": [2]}, "deep": [words, ["x"]], "held": held}
print(canonical(fill.parameters, fill.parse(given)))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in range(4)
    }
    words = '["apple","fig","pear","plum"]'
    assert found == {
        f'{{"deep":[{words},["x"]],"groups":{{"a":[2],"b":[1,3]}},'
        f'"held":{{"names":{words},"row":["pear","fig","plum","apple"]}},"tags":{words}}}'
    }


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**4200, 10**6000], ids=["most", "least", "long", "longer"])
def test_integer_that_cannot_be_kept_is_refused_with_its_place(number: int) -> None:
    model = adding()
    for given, path in (({"a": number}, "$.a"), ({"a": 1, "deep": {"x": [1, number]}}, "$.deep.x[1]")):
        with pytest.raises(InvalidArguments, match="integers go from -9223372036854775808 to 9223372036854775807") as e:
            parsed(model, given)
        assert e.value.path == path


def test_integer_given_as_text_is_held_to_the_same_bound() -> None:
    model = adding()
    with pytest.raises(InvalidArguments) as raised:
        canonical(model, parsed(model, {"a": str(2**63)}))
    assert raised.value.path == "$.a"


def test_integers_up_to_the_bound_are_taken() -> None:
    model = adding()
    assert canonical(model, parsed(model, {"a": 2**63 - 1})) == '{"a":9223372036854775807,"deep":null}'
    assert canonical(model, parsed(model, {"a": -(2**63)})) == '{"a":-9223372036854775808,"deep":null}'


def adding() -> type[BaseModel]:
    class Sum(World, rows=[]):
        @action
        def add(self, a: int, deep: Any = None) -> None: ...

    return Sum.definition.actions["add"].parameters
