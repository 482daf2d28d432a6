"""What holds for all of the code: every error and module says what it is, and layers keep apart."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
import engine.errors
import worlds
from engine.definition import OPERATION_NAMES, TOOL_NAMES
from engine.errors import EngineError
from engine.mcp_adapter.session_tools import SESSION_TOOLS
from engine.own_operations import OPERATIONS
from engine.registry import load

ROOT = Path(__file__).parents[1]


def errors(of: type[EngineError] = EngineError) -> Iterator[type[EngineError]]:
    """Every exception class of the engine."""
    yield of
    for error in of.__subclasses__():
        yield from errors(error)


def sources() -> list[Path]:
    """Every Python file of the product."""
    return [file for folder in ("engine", "worlds", "migrations", "tests") for file in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: error.__name__)
def test_every_error_says_what_it_is_and_has_a_code(error: type[EngineError]) -> None:
    assert error.__doc__ and error.__doc__.strip()
    assert error.code and error.code == error.code.lower() and " " not in error.code


def test_codes_of_errors_differ() -> None:
    codes = [error.code for error in errors()]
    assert len(codes) == len(set(codes))


def test_every_error_is_in_the_tree_of_the_module() -> None:
    tree = engine.errors.__doc__ or ""
    assert all(error.__name__ in tree for error in errors())


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file.relative_to(ROOT)) for file in sources() if ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert silent == []


def test_every_public_class_and_function_of_the_engine_says_what_it_gives() -> None:
    silent = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for file in (ROOT / "engine").rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
        and not any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)
    ]
    assert silent == []


def test_everything_at_the_front_door_is_there() -> None:
    assert all(hasattr(engine, name) for name in engine.__all__) and sorted(engine.__all__) == engine.__all__


def test_every_action_of_a_bundled_world_is_described_to_the_model_that_reads_it() -> None:
    silent = [
        f"{world.name}.{action.name}"
        for world in load().worlds.values()
        for action in world.actions.values()
        if not action.description
    ]
    assert silent == [] and all(world.description for world in load().worlds.values())


def test_engine_names_no_world() -> None:
    names = [module.name for module in pkgutil.iter_modules(worlds.__path__)]
    for file in (ROOT / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("worlds."):
                raise AssertionError(f"{file} imports {node.module}")
    assert names and all(importlib.import_module(f"worlds.{name}") for name in names)


def test_names_kept_from_worlds_are_those_of_the_session_tools_and_of_the_engines_operations() -> None:
    assert {tool.name for tool in SESSION_TOOLS} == set(TOOL_NAMES)
    assert set(OPERATIONS) | {"start", "fork", "import", "on_copy"} == set(OPERATION_NAMES)
