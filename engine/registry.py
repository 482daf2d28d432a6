"""Finds worlds: the bundled ones, installed packages' and single files; checks what only all together show."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import worlds
from engine.definition import TOOL_NAMES, Definition
from engine.errors import DefinitionError
from engine.hooks import HOOK_MARK, Hook, by_name
from engine.resources import uri_shape
from engine.types import Change
from engine.upgrades import UPGRADE_MARK
from engine.world import World

NAME_LIMIT = 64
"""Characters of a tool's name that every client takes."""
PROMPTS = ("start", "resume")
"""The prompts that every world has whose contract is not exact."""


class Registry:
    """The worlds of this process by name, in stable order, and the hooks by theirs."""

    def __init__(self, classes: Iterable[type[World]], hooks: Iterable[Hook] = ()) -> None:
        self.worlds: Mapping[str, Definition] = _by_name(cls.definition for cls in classes)
        self.hooks: Mapping[str, tuple[Hook, ...]] = by_name(hooks)
        check_names(self.worlds.values())

    def definition(self, world: str) -> Definition | None:
        """The world of that name."""
        return self.worlds.get(world)

    def concerns(self, hook: Hook, change: Change) -> bool:
        """Whether a hook wants to hear of a change."""
        definition = self.worlds[change.world]
        if hook.method is not None:
            action = definition.actions.get(change.action)
            return action is not None and action.method is hook.method
        return hook.world is None or issubclass(definition.cls, hook.world)

    def worlds_of(self, hook: Hook) -> set[str]:
        """The worlds of whose changes a hook may want to hear."""
        if hook.method is None:
            return {name for name, found in self.worlds.items() if issubclass(found.cls, hook.world or World)}
        return {
            name
            for name, found in self.worlds.items()
            if any(action.method is hook.method for action in found.actions.values())
        }


def load(path: str | None = None) -> Registry:
    """Load the bundled worlds, installed packages' worlds, and each `*.py` in the `:`-separated folders of `path`."""
    modules = [*_bundled(), *_installed(), *_files(path)]
    return collect(modules)


def collect(modules: Iterable[ModuleType]) -> Registry:
    """The registry of the worlds and hooks that modules define."""
    found = list(dict.fromkeys(modules))
    classes = [value for module in found for value in _own(module, World)]
    hooks = [hook for module in found for value in vars(module).values() for hook in _hooks(value)]
    _check_upgrades(found, classes)
    return Registry(dict.fromkeys(classes), dict.fromkeys(hooks))


def _check_upgrades(modules: Iterable[ModuleType], classes: Iterable[type[World]]) -> None:
    """Insist that a world lists each function that is marked as an upgrade, since else it does nothing."""
    listed = {step for cls in classes for steps in cls.definition.upgrades.steps.values() for _, step in steps}
    for module in modules:
        for name, value in vars(module).items():
            if inspect.isfunction(value) and hasattr(value, UPGRADE_MARK) and value not in listed:
                raise DefinitionError(
                    f"{module.__name__}.{name} is marked @upgrade, but no world lists it.",
                    hint=f"Say which world's it is: `class …(World, version=…, upgrades=[{name}])`.",
                )


def tool_name(definition: Definition, action: str) -> str:
    """An action's name where all worlds are together."""
    return f"{definition.name}_{action}"


def check_names(definitions: Iterable[Definition]) -> None:
    """Insist that names and addresses differ between worlds where these are together. Raises DefinitionError."""
    tools, prompts = dict.fromkeys(TOOL_NAMES, "every session"), dict[str, str]()
    addresses, tables = dict[str, str](), dict[str, str]()
    for definition in definitions:
        for action in definition.actions:
            name = tool_name(definition, action)
            if len(name) > NAME_LIMIT:
                raise DefinitionError(
                    f"The tool {name} is {len(name)} characters long; clients take {NAME_LIMIT}.",
                    hint="Shorten the action's name with @action(name=…), or the world's with World, name=….",
                )
            _claim(tools, name, definition, f"The tool {name}", "Rename the action with @action(name=…).")
        for prompt in (*definition.prompts, *(() if definition.contract == "exact" else PROMPTS)):
            name = tool_name(definition, prompt)
            _claim(prompts, name, definition, f"The prompt {name}", "Rename the prompt with @prompt(name=…).")
        for resource in definition.resources.values():
            if (uri := resource.options.uri) is not None:
                _claim(addresses, uri_shape(uri), definition, f"The resource {uri}", "Give it another uri=.")
        for table in definition.tables:
            option = "shared" if table in definition.shared_tables else "rows"
            remedy = f"Say which tables are whose: `class {definition.cls.__name__}(World, {option}=[…])`."
            _claim(tables, table, definition, f"The table {table}", remedy)


def _claim(owners: dict[str, str], key: str, definition: Definition, what: str, remedy: str) -> None:
    if key in owners:
        raise DefinitionError(f"{what} of world {definition.name!r} collides with that of {owners[key]}.", hint=remedy)
    owners[key] = f"world {definition.name!r}"


def _by_name(definitions: Iterable[Definition]) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for definition in definitions:
        if definition.name in found:
            raise DefinitionError(
                f"Two worlds are named {definition.name!r}: {found[definition.name].cls.__module__}"
                f" and {definition.cls.__module__}.",
                hint="Give one of them another name: `class …(World, name=…)`.",
            )
        found[definition.name] = definition
    return dict(sorted(found.items()))


def _bundled() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(worlds.__path__):
        yield importlib.import_module(f"worlds.{module.name}")


def _installed() -> Iterator[ModuleType]:
    for entry in entry_points(group="turnkeeper.worlds"):
        try:
            loaded: Any = entry.load()
        except DefinitionError:
            raise
        except (Exception, SystemExit) as error:
            raise _unloadable(f"The worlds of {entry.value}", error) from error
        yield loaded if isinstance(loaded, ModuleType) else importlib.import_module(loaded.__module__)


def _files(path: str | None) -> Iterator[ModuleType]:
    for folder in (path or "").split(":"):
        if folder and not Path(folder).is_dir():
            raise DefinitionError(f"TURNKEEPER_WORLDS_PATH names {folder!r}, which is no folder.")
        for file in sorted(Path(folder).glob("*.py")) if folder else ():
            yield load_file(file)


def load_file(file: Path) -> ModuleType:
    """Load one world file as a module named after it. Raises DefinitionError."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{file} is not a Python file.")
    if b"\0" in (source := file.read_bytes()):
        line = source[: source.index(b"\0")].count(b"\n") + 1
        raise DefinitionError(
            f"{file}, line {line}: there is a NUL byte, which no Python source may hold.", hint="Save it as UTF-8 text."
        )
    if (loaded := sys.modules.get(file.stem)) is not None:
        if getattr(loaded, "__file__", None) == str(file):
            return loaded
        raise DefinitionError(f"{file}: a module named {file.stem!r} is loaded already.", hint="Rename the file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(file.stem, None)
        if isinstance(error, DefinitionError) or not isinstance(error, Exception | SystemExit):
            raise
        raise _unloadable(str(file), error) from error
    return module


def _unloadable(what: str, error: BaseException) -> DefinitionError:
    if isinstance(error, SystemExit):
        return DefinitionError(
            f"{what} cannot be loaded: it ends the process (SystemExit: {error}).",
            hint='Put what runs as a program below `if __name__ == "__main__":`.',
        )
    return DefinitionError(f"{what} cannot be loaded: {type(error).__name__}: {error}.")


def _own(module: ModuleType, kind: type[World]) -> Iterator[type[World]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, kind) and value.__module__.startswith(module.__name__):
            yield value


def _hooks(value: object) -> tuple[Hook, ...]:
    return getattr(value, HOOK_MARK, ()) if callable(value) else ()
