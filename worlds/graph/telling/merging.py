"""Merging entities that are one: a name becomes another's alias, which can be taken back."""

from collections.abc import Sequence

from pydantic import BaseModel, Field
from sqlmodel import col

from engine import Refused, World
from worlds.graph import facts
from worlds.graph.facts import Fact, Kind, node
from worlds.graph.naming import QUOTED, brief
from worlds.graph.telling.assertions import Shown, shown
from worlds.graph.view import Name, View


class Merged(BaseModel):
    """What names stand for now."""

    into: str = Field(description="the name by which the entity is shown")
    aliases: list[Shown] = Field(description="the facts that say so: to unmerge, retract them by their ids")
    names: list[str] = Field(description="those of the names given that stood for it already")

    def __str__(self) -> str:
        already = [f"already names of {self.into}: {', '.join(dict.fromkeys(self.names))}"] if self.names else []
        return "\n".join([f"{len(self.aliases)} merged into {self.into}.", *map(str, self.aliases), *already])


def merge(graph: World, names: Sequence[str], into: str) -> Merged:
    """Have names stand for an entity from now on. Raises Refused: no_such_entity, cycle."""
    view = View(graph)
    whole = _existing(view, into)
    already, new = [], dict[int, Name]()
    for name in names:
        one = _existing(view, name)
        if one.node != whole.node:
            new[one.node] = one
        elif node(name) != one.node and name != into:
            already.append(brief(name))
        else:
            raise _cycle(view, name, into)
    if not new:
        graph.unchanged()
    rows = graph.rows(Fact).add_all([facts.alias(one.name, whole.name) for one in new.values()])
    return Merged(into=brief(whole.name), aliases=[shown(row) for row in rows], names=already)


def _existing(view: View, name: str) -> Name:
    """What a name stands for, if there is such an entity now. Raises Refused: no_such_entity."""
    found = view.named(name)
    if not list(view.about(Fact.id, nodes=view.all_names([found.node]), kind=Kind.ENTITY)):
        raise Refused(
            "no_such_entity", f"Entity with name {brief(name, QUOTED)} not found.", hint="Names are case-sensitive."
        )
    return found


def _cycle(view: View, name: str, into: str) -> Refused:
    shown, whole = brief(name, QUOTED), brief(into, QUOTED)
    if name == into:
        return Refused("cycle", f"{shown} cannot be merged into itself.", hint="Name two entities.")
    found = view.select(Fact.id, where=(col(Fact.kind) == Kind.ALIAS.value, col(Fact.node) == node(into)))
    ids = ", ".join(str(id) for (id,) in found)
    return Refused(
        "cycle",
        f"{whole} is already another name of {shown}, so {shown} cannot become one of {whole}.",
        hint=f"They are one entity; to have it shown as {whole}, retract fact {ids} first.",
    )
