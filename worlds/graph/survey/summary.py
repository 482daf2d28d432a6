"""What an overview of a graph tells, and how it reads."""

from collections.abc import Iterable

from pydantic import BaseModel, Field


class TypeCount(BaseModel):
    """How many there are of a type."""

    type: str
    count: int


class Pattern(BaseModel):
    """How many relations of a type lead from entities of one type to those of another; null is no entity."""

    source_type: str | None
    relation_type: str
    target_type: str | None
    count: int


class Types(BaseModel):
    """The types, most frequent first, and which of them relate which; `left_out` is how many more there are."""

    entities: list[TypeCount]
    relations: list[TypeCount]
    patterns: list[Pattern]
    left_out: int


class Hub(BaseModel):
    """An entity that much leads to."""

    name: str
    type: str | None = Field(description="null for a name that relations use and that is no entity")
    score: float = Field(description="PageRank; all scores together are 1")
    neighbours: int


class Hubs(BaseModel):
    """Those that relations lead to most, by PageRank along relations whichever way they are worded."""

    exact: bool
    how: str
    entities: list[Hub]


class Community(BaseModel):
    """Entities that are related among each other more than with others: how many, and the foremost of them."""

    size: int
    foremost: list[str]
    types: list[TypeCount]


class Communities(BaseModel):
    """Louvain communities, the largest first."""

    exact: bool
    how: str
    count: int
    largest: list[Community]


class Bridge(BaseModel):
    """Two entities that nothing else joins: without their relations, the part they are in falls in two."""

    one: str
    other: str
    relation_types: list[str]
    cut_off: int = Field(description="how many entities the smaller of the two parts would have")


class Joint(BaseModel):
    """An entity without which the part it is in falls apart, into how many."""

    name: str
    parts: int


class Holding(BaseModel):
    """What alone holds parts of the graph together."""

    exact: bool
    how: str
    bridge_count: int
    bridges: list[Bridge]
    joint_count: int
    joints: list[Joint]


class Names(BaseModel):
    """How many there are, and the first of them."""

    count: int
    names: list[str]


class Overview(BaseModel):
    """A graph as a whole. Each part that is worked out says whether it is exact, and how it was come by."""

    exact: bool = Field(description="whether the whole graph was read")
    how: str
    revision: int
    entities: int
    observations: int
    relations: int
    facts: int
    imports: int
    types: Types
    components: int = Field(description="parts of two and more that nothing relates to each other")
    largest_component: int
    hubs: Hubs
    communities: Communities
    holding: Holding
    orphans: Names = Field(description="entities without relations to others")
    dangling: Names = Field(description="names that relations use and that are no entities")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(found: Overview) -> Iterable[str]:
    yield (
        f"{found.entities:,} entities, {found.observations:,} observations, {found.relations:,} relations;"
        f" {found.facts:,} facts at revision {found.revision}; files taken in: {found.imports:,}."
    )
    if not found.exact:
        yield f"Not exact: {found.how}."
    yield from _type_lines(found.types)
    yield f"Components: {found.components:,}; the largest has {found.largest_component:,} entities."
    yield _headed("Hubs", found.hubs.how, found.hubs.exact)
    yield from (
        f"  {hub.name} ({hub.type or 'no entity'}): {hub.score:.4f}, {hub.neighbours:,} neighbours"
        for hub in found.hubs.entities
    )
    groups = found.communities
    yield _headed(f"Communities: {groups.count:,}", groups.how, groups.exact)
    yield from (f"  {group.size:,}: {', '.join(group.foremost)}" for group in groups.largest)
    yield from _holding_lines(found.holding)
    for what, names in (("Orphans", found.orphans), ("Dangling names", found.dangling)):
        yield f"{what}: {names.count:,}" + (f": {_listed(names)}" if names.names else "")


def _type_lines(types: Types) -> Iterable[str]:
    yield "Entity types: " + (", ".join(f"{one.type} {one.count:,}" for one in types.entities) or "none")
    yield "Relation types: " + (", ".join(f"{one.type} {one.count:,}" for one in types.relations) or "none")
    for one in types.patterns:
        source, target = one.source_type or "(no entity)", one.target_type or "(no entity)"
        yield f"  {source} --{one.relation_type}--> {target}: {one.count:,}"
    if types.left_out:
        yield f"  and {types.left_out:,} rarer ones"


def _holding_lines(held: Holding) -> Iterable[str]:
    yield _headed(f"Bridges: {held.bridge_count:,}", held.how, held.exact)
    for one in held.bridges:
        yield f"  {one.one} – {one.other} ({', '.join(one.relation_types)}): cuts off {one.cut_off:,}"
    yield _headed(f"Articulation points: {held.joint_count:,}", held.how, held.exact)
    yield from (f"  {one.name}: joins {one.parts:,} parts" for one in held.joints)


def _headed(what: str, how: str, exact: bool) -> str:
    return f"{what} ({'exact' if exact else 'not exact'}: {how})"


def _listed(names: Names) -> str:
    more = names.count - len(names.names)
    return ", ".join(names.names) + (f" and {more:,} more" if more else "")
