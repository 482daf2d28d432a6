"""Actions: their declaration, their arguments, their schemas."""

import decimal
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from types import new_class
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from engine import Text, World, action
from engine.actions import Guard, canonical, parsed
from engine.asking import Asking
from engine.errors import DefinitionError, InvalidArguments


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Point(BaseModel):
    x: int
    y: int = 0


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
        guard.reason_against(None, {})


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
