"""The command that checks a world without running it, and speaks like a compiler: place: problem: remedy."""

import inspect
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import engine
from engine.cli import output, reading
from engine.cli.inspect import AsJson
from engine.cli.reporting import NOT_DONE, settings_from
from engine.definition import Definition, doubts
from engine.errors import ChartError, DefinitionError, NotFound
from engine.registry import collect, load, load_file
from engine.soundness.paths import LIMIT, shortest, sought
from engine.types import Json

ENGINE = str(Path(engine.__file__).parent)
CUT = (
    f"The search was cut: there are more than {LIMIT:,} situations. There may be a shorter way than one that is told,"
    " and a way where none was found."
)


def check_world(
    world: Annotated[str, typer.Argument(metavar="WORLD|FILE.py", help="A world's name, or a file that declares one.")],
    paths: Annotated[bool, typer.Option("--paths", help="The shortest way to each state, as actions.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a world's declaration: names, states, parameters, guards, tables."""
    settings = settings_from()
    try:
        worlds = _worlds(world, settings.worlds_path)
        problems = []
    except NotFound:
        raise
    except Exception as error:
        worlds, problems = [], list(_problems(world, error))
    warnings = [warning for found in worlds for warning in _warnings(found)]
    graphs = {found.name: (found.chart, sought(found.chart)) for found in worlds} if paths else {}
    ways = {name: shortest(chart, graph) for name, (chart, graph) in graphs.items()}
    cut = [name for name, (_, graph) in graphs.items() if not graph.graph["complete"]]
    if as_json:
        found = {
            "ok": not problems,
            "worlds": [_counts(found) for found in worlds],
            "problems": problems,
            "warnings": warnings,
        }
        output.print_json(found | ({"paths": ways, "paths_cut": cut} if paths else {}))
    else:
        _print(worlds, problems, warnings)
        _print_paths(ways, cut)
    if problems:
        raise typer.Exit(NOT_DONE)


def _worlds(name: str, path: str | None) -> list[Definition]:
    if not name.endswith(".py"):
        return [reading.world_named(load(path), name)]
    if not Path(name).is_file():
        raise NotFound(f"There is no file {name}.")
    found = list(collect([load_file(Path(name))]).worlds.values())
    if not found:
        raise DefinitionError("there is no world in it.", hint="Declare one: `class Name(World): …`.")
    return found


def _counts(world: Definition) -> Json:
    return {
        "name": world.name,
        "states": len(world.chart.states),
        "actions": len(world.actions),
        "resources": len(world.resources),
        "prompts": len(world.prompts),
        "tables": len(world.tables),
    }


def _problems(name: str, error: Exception) -> Iterator[Json]:
    cause = error.__cause__ or error
    place = _place(name, cause)
    if isinstance(cause, ChartError):
        for fault in cause.faults:
            yield {"place": fault.line or place, "problem": fault.what, "remedy": fault.remedy}
    elif isinstance(cause, DefinitionError):
        yield {"place": place, "problem": cause.reason, "remedy": cause.hint}
    else:
        remedy = "Python cannot import it; mend what the line says."
        yield {"place": place, "problem": f"{type(cause).__name__}: {cause}", "remedy": remedy}


def _warnings(world: Definition) -> Iterator[Json]:
    """What may be wrong with a world, at the line of its class if at none of its methods."""
    place = f"{inspect.getfile(world.cls)}:{inspect.getsourcelines(world.cls)[1]}"
    for fault in doubts(world):
        yield {"place": fault.line or place, "problem": fault.what, "remedy": fault.remedy}


def _place(name: str, cause: BaseException) -> str:
    """The line of the author's file that was running, else what was asked about."""
    if isinstance(cause, SyntaxError):
        return f"{cause.filename}:{cause.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if not frame.filename.startswith((ENGINE, "<")) and "site-packages" not in frame.filename
    ]
    modules = [frame for frame in frames if frame.name == "<module>" and "importlib" not in frame.filename]
    return f"{modules[-1].filename}:{modules[-1].lineno}" if modules else name


def _print(worlds: list[Definition], problems: list[Json], warnings: list[Json]) -> None:
    console = output.stdout()
    for problem in (*problems, *warnings):
        kind = "warning" if problem in warnings else ""
        parts = (problem["place"], kind, problem["problem"], problem["remedy"])
        console.print(Text(": ".join(output.safe(part.rstrip(".")) for part in parts if part)), soft_wrap=True)
    for world in worlds:
        counts = _counts(world)
        said = ", ".join(_counted(counts[what], what) for what in counts if what != "name")
        console.print(Text.assemble(("ok", "bold green"), f" {world.name}: {said}"), soft_wrap=True)


def _print_paths(ways: Mapping[str, Mapping[str, tuple[str, ...] | None]], cut: list[str]) -> None:
    console = output.stdout()
    for world, states in ways.items():
        console.print(Text(world, "bold"))
        made = output.table("state", "the shortest way there", whole=("state",))
        for state, steps in states.items():
            made.add_row(Text(state), Text(_way(steps)))
        console.print(made)
        if world in cut:
            console.print(Text(CUT), soft_wrap=True)


def _way(steps: tuple[str, ...] | None) -> str:
    if steps is None:
        return "none was found"
    return ", ".join(steps) if steps else "a session starts there"


def _counted(number: int, what: str) -> str:
    return f"{number} {what.removesuffix('s') if number == 1 else what}"
