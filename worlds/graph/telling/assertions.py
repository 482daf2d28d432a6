"""Facts as they are told one by one, named again, and shown: what the tools for time take and give."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Limit

from worlds.graph import facts
from worlds.graph.facts import Fact, Kind
from worlds.graph.naming import LONGEST, brief
from worlds.graph.times import Moment, short

LARGEST = 100_000
"""Characters of a text, or of attributes, that a history tells; other answers tell no more of a text than of a name."""
Subject = Annotated[str, Limit(description="the entity that it is about, by any of its names")]


class _Told(BaseModel):
    """What every fact may be told with."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)
    valid_from: Annotated[
        Moment | None, Limit(description="since when it holds: a date or time; left out, it always did")
    ] = None
    valid_to: Annotated[Moment | None, Limit(description="until when it holds, which it then does no more")] = None
    attributes: Annotated[dict[str, Any] | None, Limit(description="whatever else there is to say")] = None
    source: Annotated[
        str | None, Limit(max_length=facts.LONGEST_SOURCE, description="where this is known from: a title, a URI")
    ] = None

    @model_validator(mode="after")
    def holds_at_some_time(self) -> "_Told":
        """Insist that it begins before it ends."""
        if self.valid_from is not None and self.valid_to is not None and self.valid_from >= self.valid_to:
            raise ValueError(
                f"it would hold from {self.valid_from} to {self.valid_to}, which is at no time;"
                " valid_from has to be before valid_to"
            )
        if "\0" in (self.source or ""):
            raise ValueError("the source holds the character NUL (\\u0000), which is not kept")
        return self

    @property
    def _more(self) -> dict[str, Any]:
        names = ("valid_from", "valid_to", "attributes", "source")
        return {name: getattr(self, name) for name in names}


class EntityFact(_Told):
    """There is an entity of that type; of one type at a time."""

    kind: Literal["entity"]
    name: Annotated[str, Limit(description="the name by which other facts mean it")]
    type: Annotated[str, Limit(description="what it is, such as person")]

    def fact(self) -> dict[str, Any]:
        """The columns of the fact. Raises Refused."""
        return facts.entity(self.name, self.type, **self._more)


class ObservationFact(_Told):
    """Something was observed of an entity that there is."""

    kind: Literal["observation"]
    name: Subject
    text: str

    def fact(self) -> dict[str, Any]:
        """The columns of the fact. Raises Refused."""
        return facts.observation(self.name, self.text, **self._more)


class RelationFact(_Told):
    """One entity is related to another, whether or not there are such entities yet."""

    kind: Literal["relation"]
    source_name: Annotated[str, Limit(alias="from", description="the entity that the relation leads from")]
    type: Annotated[str, Limit(description="how they are related, in active voice, such as works at")]
    to: Annotated[str, Limit(description="the entity that it leads to")]
    weight: Annotated[float | None, Limit(allow_inf_nan=False, description="how strong or how far it is")] = None

    def fact(self) -> dict[str, Any]:
        """The columns of the fact. Raises Refused."""
        return facts.relation(self.source_name, self.type, self.to, weight=self.weight, **self._more)


NewFact: TypeAlias = Annotated[EntityFact | ObservationFact | RelationFact, Limit(discriminator="kind")]


class Match(BaseModel):
    """Facts that were told, by what they say; what is left out may be anything. Also alias and functional ones."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    name: Annotated[
        str, Limit(description="what it is about: of a relation where it leads from, of an alias the alias")
    ]
    type: Annotated[str | None, Limit(description="of an entity or a relation")] = None
    to: Annotated[str | None, Limit(description="where a relation leads to, or what an alias stands for")] = None
    text: Annotated[str | None, Limit(description="of an observation, the whole of it")] = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None

    def __str__(self) -> str:
        given = self.model_dump(mode="json", exclude_none=True).items()
        return ", ".join(f"{name} {str(value)[:60]!r}" for name, value in given)


class Shown(BaseModel):
    """A fact; of very long names and texts the beginning. `id` is what retract_facts and supersede know it by."""

    id: int
    kind: Kind
    name: str = Limit(description="what it is about: of a relation where it leads from, of an alias the alias")
    type: str | None = None
    to: str | None = Limit(None, description="where a relation leads to, or what an alias stands for")
    text: str | None = Limit(None, description="what was observed")
    valid_from: str | None = Limit(None, description="since when it holds; null: it always did")
    valid_to: str | None = Limit(None, description="until when it holds; null: it still does")
    weight: float | None = None
    attributes: dict[str, Any] | None = None
    source: str | None = None

    def __str__(self) -> str:
        return f"{self.id}: {said(self)}{period(self.valid_from, self.valid_to)}" + (
            f" [{self.source}]" if self.source else ""
        )


def shown(fact: Fact) -> Shown:
    """A fact as it is shown."""
    return shown_values(fact.id, {name: getattr(fact, name) for name in COLUMNS})


COLUMNS = tuple(name for name in Fact.model_fields if name not in ("session_id", "id", "since", "until"))


def shown_values(id: int, values: Mapping[str, Any], longest: int = LONGEST) -> Shown:
    """The fact of these columns as it is shown, with so many characters of a text."""
    kind, object = Kind(values["kind"]), values["object"]
    return Shown(
        id=id,
        kind=kind,
        name=brief(values["subject"]),
        type=values["type"] if kind in (Kind.ENTITY, Kind.RELATION) else None,
        to=brief(object) if kind in (Kind.RELATION, Kind.ALIAS) else None,
        text=brief(object, longest) if kind is Kind.OBSERVATION else None,
        attributes=_brief_attributes(values["attributes"]),
        source=None if values["source"] is None else brief(values["source"]),
        **{name: values[name] for name in ("valid_from", "valid_to", "weight")},
    )


def _brief_attributes(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Attributes, or where they are very long, that they are."""
    characters = 0 if given is None else len(json.dumps(given))
    return given if characters <= LARGEST else {"left out": f"attributes of {characters:,} characters"}


def said(fact: Shown) -> str:
    """What a fact says, in a line."""
    match fact.kind:
        case Kind.ENTITY:
            return f"{fact.name} ({fact.type})"
        case Kind.OBSERVATION:
            return f"{fact.name}: {fact.text}"
        case Kind.RELATION:
            return f"{fact.name} --{fact.type}--> {fact.to}"
        case Kind.ALIAS:
            return f"{fact.name} is another name of {fact.to}"
        case Kind.FUNCTIONAL:
            return f"of {fact.name}, an entity has one at a time"


def period(since: str | None, until: str | None) -> str:
    """When something held, in words; nothing for always."""
    begun = "" if since is None else f" from {short(since)}"
    return begun + ("" if until is None else f" until {short(until)}")
