"""The automap: the rooms the player has seen, drawn in characters or as a Mermaid flowchart."""

from collections.abc import Iterator, Mapping
from textwrap import wrap

from worlds.adventure.game import Game
from worlds.adventure.grammar import OPPOSITES
from worlds.adventure.story import Room, Story

Place = tuple[int, int, int]
STEPS: Mapping[str, Place] = {
    "north": (0, -1, 0), "south": (0, 1, 0), "east": (1, 0, 0), "west": (-1, 0, 0), "northeast": (1, -1, 0),
    "northwest": (-1, -1, 0), "southeast": (1, 1, 0), "southwest": (-1, 1, 0), "up": (0, 0, 1), "down": (0, 0, -1),
    "in": (1, 0, 0), "out": (-1, 0, 0),
}  # fmt: skip
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 18, 4, 3, 1
_LINKS = {(1, 0): "───", (0, 1): "│", (1, 1): "╲", (-1, 1): "\N{BOX DRAWINGS LIGHT DIAGONAL UPPER RIGHT TO LOWER LEFT}"}
_LEGEND = "double frame: you are here · ? unexplored · ▲▼ stairs"


def text_map(story: Story, game: Game) -> str:
    """The rooms seen so far, level by level from the top, in boxes; the last lines say what could not be drawn."""
    places = lay_out(story)
    levels = sorted({places[room][2] for room in game.visited}, reverse=True)
    drawn = [f"{_level(story, level)}\n{_draw_level(story, game, places, level)}" for level in levels]
    return "\n\n".join((story.title, *drawn, *_notes(story, game, places), _LEGEND))


def _level(story: Story, level: int) -> str:
    return f"— {story.levels.get(level, f'Level {level}')} —"


def lay_out(story: Story) -> dict[str, Place]:
    """A place on the grid (east, south, level) for every room: the author's, or one step from a neighbour."""
    places: dict[str, Place] = {}
    for room in story.rooms.values():
        if room.at is not None:
            places[room.id] = (room.at[0], room.at[1], room.at[2] if len(room.at) == 3 else 0)
    todo = [story.start, *places]
    places.setdefault(story.start, (0, 0, 0))
    for room_id in todo:
        for way, leads in story.rooms[room_id].exits.items():
            if leads.to not in places:
                places[leads.to] = _free_place(places, places[room_id], way)
                todo.append(leads.to)
    return places


def _free_place(places: Mapping[str, Place], start: Place, way: str) -> Place:
    step = STEPS[way] if STEPS[way][2] == 0 else (1, 0, 0)
    x, y, level = (here + there for here, there in zip(start, STEPS[way], strict=True))
    while (x, y, level) in places.values():
        x, y = x + step[0], y + step[1]
    return x, y, level


class _Canvas:
    """Characters at (column, row); negative ones too."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], str] = {}

    def write(self, column: int, row: int, text: str) -> None:
        for offset, character in enumerate(text):
            self.cells[column + offset, row] = character

    def __str__(self) -> str:
        columns, rows = [x for x, _ in self.cells], [y for _, y in self.cells]
        lines = (
            "".join(self.cells.get((x, y), " ") for x in range(min(columns), max(columns) + 1)).rstrip()
            for y in range(min(rows), max(rows) + 1)
        )
        return "\n".join(lines)


def _draw_level(story: Story, game: Game, places: Mapping[str, Place], level: int) -> str:
    canvas = _Canvas()
    rooms = [story.rooms[room] for room in game.visited if places[room][2] == level]
    for room in rooms:
        _draw_ways(canvas, game, room, places)
    for room in rooms:
        _draw_box(canvas, game, room, _corner(places[room.id]))
    return str(canvas)


def _corner(place: Place) -> tuple[int, int]:
    return place[0] * (_WIDTH + _ACROSS), place[1] * (_HEIGHT + _DOWN)


def _draw_box(canvas: _Canvas, game: Game, room: Room, corner: tuple[int, int]) -> None:
    column, row = corner
    edges = "╔═╗║╚╝" if room.id == game.room else "┌─┐│└┘"
    lines = [*wrap(room.title, _WIDTH - 4)[:2], ""][:2]
    stairs = "".join(sign for way, sign in (("up", "▲"), ("down", "▼")) if way in room.exits)
    canvas.write(column, row, edges[0] + edges[1] * (_WIDTH - 2) + edges[2])
    for offset, line in enumerate(lines, 1):
        canvas.write(column, row + offset, f"{edges[3]} {line:<{_WIDTH - 4}} {edges[3]}")
    canvas.write(column, row + _HEIGHT - 1, edges[4] + f"{stairs:{edges[1]}<{_WIDTH - 2}}" + edges[5])


def _draw_ways(canvas: _Canvas, game: Game, room: Room, places: Mapping[str, Place]) -> None:
    for way, leads in room.exits.items():
        x, y, level = STEPS[way]
        if leads.to not in game.visited and not level and way not in {"in", "out"}:
            canvas.write(*_spot(places[room.id], x, y, 1), "?")
        elif leads.to in game.visited and _is_beside(places, room.id, leads.to):
            _draw_link(canvas, places[room.id], places[leads.to])


def _spot(place: Place, x: int, y: int, width: int) -> tuple[int, int]:
    """Where something that wide stands in the gap to one side of a box."""
    column, row = _corner(place)
    across = {1: _WIDTH + 1 - width // 2, 0: _WIDTH // 2, -1: -2 - width // 2}[x]
    return column + across, row + {1: _HEIGHT, 0: 1, -1: -1}[y]


def _is_beside(places: Mapping[str, Place], one: str, other: str) -> bool:
    x, y, level = (there - here for here, there in zip(places[one], places[other], strict=True))
    return level == 0 and max(abs(x), abs(y)) == 1


def _draw_link(canvas: _Canvas, one: Place, other: Place) -> None:
    x, y = other[0] - one[0], other[1] - one[1]
    link = _LINKS.get((x, y))
    if link:
        canvas.write(*_spot(one, x, y, len(link)), link)
    else:
        _draw_link(canvas, other, one)


def _links(story: Story, game: Game) -> Iterator[tuple[str, str, str, str]]:
    """Each pair of seen rooms that is joined, once: a room, the way, the other room, the way back or ""."""
    done: set[tuple[str, str]] = set()
    for room in game.visited:
        for way, leads in story.rooms[room].exits.items():
            if leads.to in game.visited and leads.to != room and (leads.to, room) not in done:
                done |= {(room, leads.to)}
                yield room, way, leads.to, _way_back(story.rooms[leads.to], way, room)


def _way_back(other: Room, way: str, room: str) -> str:
    """The way from a neighbour back to a room, the plain opposite if it is one; "" if there is none."""
    ways = [back for back, leads in other.exits.items() if leads.to == room]
    return OPPOSITES[way] if OPPOSITES[way] in ways else next(iter(ways), "")


def _notes(story: Story, game: Game, places: Mapping[str, Place]) -> list[str]:
    """One paragraph for the joins that are not lines on the map."""
    lines = [
        f"{story.rooms[room].title}: {way} to {story.rooms[other].title}"
        for room, way, other, _ in _links(story, game)
        if not _is_beside(places, room, other)
    ]
    stubs = [
        f"{story.rooms[room].title}: {way}, unexplored"
        for room in game.visited
        for way, leads in story.rooms[room].exits.items()
        if leads.to not in game.visited and way in {"up", "down", "in", "out"}
    ]
    return ["\n".join([*lines, *stubs])] if lines or stubs else []


def mermaid_map(story: Story, game: Game) -> str:
    """The rooms seen so far as a Mermaid flowchart; dashed arrows lead to what is unexplored."""
    lines = ["flowchart TD"]
    lines += [f'    {_node(room)}["{_label(story.rooms[room].title)}"]' for room in game.visited]
    lines += [
        f'    {_node(room)} {"---" if back else "-->"}|"{way}{" / " + back if back else ""}"| {_node(other)}'
        for room, way, other, back in _links(story, game)
    ]
    for room in game.visited:
        lines += [
            f'    {_node(room)} -.->|"{way}"| {_node(room)}_{way}(["?"])'
            for way, leads in story.rooms[room].exits.items()
            if leads.to not in game.visited
        ]
    return "\n".join((*lines, "    classDef here stroke-width:4px", f"    class {_node(game.room)} here"))


def _node(room: str) -> str:
    return "room_" + "".join(character if character.isalnum() else "_" for character in room)


def _label(title: str) -> str:
    return title.replace('"', "#quot;")
