"""A knowledge graph: entities, what was observed of them, and how they are related, as somebody told it over time."""

from typing import Annotated, Literal

from pydantic import Field as Limit

from engine import Reply, World, action, resource
from worlds.graph import exporting, importing
from worlds.graph.commands import export_file, import_file
from worlds.graph.exchange import Format
from worlds.graph.facts import LONGEST_SOURCE
from worlds.graph.facts import Fact as Fact
from worlds.graph.facts import Import as Import
from worlds.graph.memory import contract as told
from worlds.graph.memory import tools
from worlds.graph.pictures import picture
from worlds.graph.search import searching
from worlds.graph.survey.duplicates import Duplicates, duplicates
from worlds.graph.survey.overview import overview
from worlds.graph.survey.summary import Overview
from worlds.graph.telling import asserting, histories, merging, retracting
from worlds.graph.telling.assertions import Match, NewFact
from worlds.graph.times import AsOf, AsOfText, Moment, ValidAt, view_of
from worlds.graph.view import View
from worlds.graph.walks.neighbours import Neighbours, neighbours
from worlds.graph.walks.paths import Paths, paths
from worlds.graph.walks.subgraphs import Subgraph, start_of, subgraph
from worlds.graph.walks.ways import Direction, ways_of

Following = Annotated[
    Direction,
    Limit(description="follow relations as they are told (out: from what to what), backwards (in), or both ways"),
]
RelationTypes = Annotated[
    list[str] | None, Limit(min_length=1, max_length=100, description="relation types to follow; without, all")
]
EntityTypes = Annotated[
    list[str] | None, Limit(min_length=1, max_length=100, description="list only entities of these types")
]
Depth = Annotated[int, Limit(ge=1, le=5, description="how many relations away at most")]
Around = Annotated[int, Limit(ge=0, le=5, description="how many relations away; 0 is only what is named")]
Count = Annotated[int, Limit(ge=1, le=500, description="how many at most; the answer says how many are left out")]
Names = Annotated[list[str], Limit(min_length=1, max_length=100, description="names of entities to begin with")]
Written = Annotated[
    Format | Literal["json"], Limit(description="json gives lists; the others give the part as `text` in that format")
]
Top = Annotated[int, Limit(ge=1, le=50, description="how many of each thing that stands out")]

Pairs = Annotated[int, Limit(ge=1, le=200, description="how many pairs")]
Score = Annotated[float, Limit(ge=0.5, le=1, description="the least score, from 0.5 to 1")]

SVG = "image/svg+xml"
TOLD = (Fact, Import)
"""What any read of the graph is made of."""


class Graph(World, rows=TOLD, commands=[export_file, import_file]):
    """A graph of entities, observations and relations. Nothing that was told is lost."""

    # The nine tools of the memory server, to the letter: their descriptions end without a full stop.

    @action(title="Create Entities", input_schema=told.ENTITIES, output_schema=told.NEW_ENTITIES, **told.TELLS)
    def create_entities(self, entities: list[told.EntityTold]) -> Reply:
        """Create multiple new entities in the knowledge graph"""
        return tools.create_entities(self, entities)

    @action(title="Create Relations", input_schema=told.RELATIONS, output_schema=told.NEW_RELATIONS, **told.TELLS)
    def create_relations(self, relations: list[told.RelationTold]) -> Reply:
        """Create multiple new relations between entities in the knowledge graph. Relations should be in active voice"""
        return tools.create_relations(self, relations)

    @action(title="Add Observations", input_schema=told.OBSERVATIONS, output_schema=told.NEW_OBSERVATIONS, **told.TELLS)
    def add_observations(self, observations: list[told.ContentsTold]) -> Reply:
        """Add new observations to existing entities in the knowledge graph"""
        return tools.add_observations(self, observations)

    @action(title="Delete Entities", input_schema=told.ENTITIES_GONE, output_schema=told.GONE, **told.DELETES)
    def delete_entities(self, entityNames: list[str]) -> Reply:
        """Delete multiple entities and their associated relations from the knowledge graph"""
        return tools.delete_entities(self, entityNames)

    @action(title="Delete Observations", input_schema=told.OBSERVATIONS_GONE, output_schema=told.GONE, **told.DELETES)
    def delete_observations(self, deletions: list[told.ObservationsTold]) -> Reply:
        """Delete specific observations from entities in the knowledge graph"""
        return tools.delete_observations(self, deletions)

    @action(title="Delete Relations", input_schema=told.RELATIONS_GONE, output_schema=told.GONE, **told.DELETES)
    def delete_relations(self, relations: list[told.RelationTold]) -> Reply:
        """Delete multiple relations from the knowledge graph"""
        return tools.delete_relations(self, relations)

    @action(title="Read Graph", input_schema=told.NOTHING, output_schema=told.GRAPH, **told.READS)
    def read_graph(self) -> Reply:
        """Read the entire knowledge graph"""
        return tools.read_graph(View(self))

    @action(title="Search Nodes", input_schema=told.QUERY, output_schema=told.GRAPH, **told.READS)
    def search_nodes(self, query: str) -> Reply:
        """Search for nodes in the knowledge graph based on a query"""
        return tools.search_nodes(View(self), query)

    @action(title="Open Nodes", input_schema=told.NAMES, output_schema=told.GRAPH, **told.READS)
    def open_nodes(self, names: list[str]) -> Reply:
        """Open specific nodes in the knowledge graph by their names"""
        return tools.open_nodes(View(self), names)

    @resource(
        name="knowledge-graph",
        title="Knowledge Graph",
        uri="memory://knowledge-graph",
        mime_type="application/json",
        of=TOLD,
        contract="exact",
    )
    def knowledge_graph(self) -> str:
        """The full knowledge graph with all entities and relations"""
        return tools.read_text(View(self))

    @action(read_only=True)
    def neighbours(
        self,
        name: str,
        depth: Depth = 1,
        direction: Following = Direction.BOTH,
        types: RelationTypes = None,
        entity_types: EntityTypes = None,
        limit: Count = 50,
        cursor: Annotated[str | None, Limit(description="`next` of the page before, to go on")] = None,
        as_of: AsOf = None,
        valid_at: ValidAt = None,
    ) -> Neighbours:
        """See what an entity is related to, nearest first, each with the relation that leads there.

        Begin with depth 1: with each step the number of neighbours multiplies. `left_out` says how many come after this
        page. A name that was merged into another's is that one; what an entity is related to itself by is no neighbour.
        An unknown name is refused with likely ones.
        """
        ways = ways_of(direction, types)
        return neighbours(self, name, depth, ways, entity_types, limit, cursor, as_of, valid_at)

    @action(read_only=True)
    def paths(
        self,
        source: str,
        target: str,
        k: Annotated[int, Limit(ge=1, le=10, description="how many paths: the k shortest, or cheapest")] = 1,
        weighted: Annotated[
            bool, Limit(description="least sum of weights instead of fewest relations; without a weight, one costs 1")
        ] = False,
        direction: Following = Direction.BOTH,
        types: RelationTypes = None,
        max_length: Annotated[int | None, Limit(ge=1, le=100, description="of how many relations at most")] = None,
        as_of: AsOf = None,
        valid_at: ValidAt = None,
    ) -> Paths:
        """Find how two entities are related: the shortest paths between them, none of which comes by a name twice.

        `certain` says whether what is told is all there is to it: in a very large graph a search stops early, tells
        what it found, and says so. No paths and `certain` means that there is none.
        """
        view = view_of(self, as_of, valid_at)
        return paths(view, source, target, ways_of(direction, types), k=k, weighted=weighted, most=max_length)

    @action(read_only=True)
    def subgraph(
        self,
        names: Names | None = None,
        query: Annotated[str | None, Limit(description="or a query as search takes it: around what it finds")] = None,
        depth: Around = 1,
        direction: Following = Direction.BOTH,
        types: RelationTypes = None,
        limit: Count = 100,
        format: Written = "json",
        as_of: AsOf = None,
        valid_at: ValidAt = None,
    ) -> Subgraph:
        """Get the part of the graph around some entities, or around the best that a search finds, with all relations.

        Give `names` or `query`. The nearest are shown; `left_out` counts what is near enough and was not, and the
        relations to what is not shown. depth 0 gives only what is named, or found, and the relations among that.
        mermaid is a diagram for people.
        """
        view, ways = view_of(self, as_of, valid_at), ways_of(direction, types)
        return subgraph(view, start_of(view, names, query, limit), depth, ways, limit=limit, format=format)

    @action(read_only=True)
    def overview(self, top: Top = 10, as_of: AsOf = None, valid_at: ValidAt = None) -> Overview:
        """See what the graph is about as a whole, before looking into parts of it.

        Gives counts; the types of entities and relations, and which types relate which; hubs by PageRank; communities;
        bridges and articulation points, without which parts would come apart; orphans without relations; and dangling
        names that relations use though there is no such entity. What would take too long in a large graph is answered
        from a sample or in part, and then says so (`exact`, `how`).
        """
        return overview(view_of(self, as_of, valid_at), top)

    @action
    def assert_facts(
        self,
        facts: Annotated[list[NewFact], Limit(max_length=1000)],
        functional: Annotated[
            list[str],
            Limit(max_length=100, description="relation types of which an entity has one at a time, as lives in"),
        ] = [],  # noqa: B006
    ) -> asserting.Asserted:
        """Tell facts with the time when they hold (valid_from, valid_to), their weight, attributes and source.

        A fact that stands is not told twice. Give valid_from where you know since when it holds. Of a relation type
        that is declared functional, here or before, an entity has one at a time, and one type: a new fact closes the
        older one at its own valid_from (without dates, now), and ends where a later one begins, so nothing contradicts.
        An observation needs its entity; relations may lead to what is not there yet. Nothing is overwritten: as_of
        reads what was believed before.
        """
        return asserting.assert_facts(self, facts, functional)

    @action(destructive=True)
    def retract_facts(
        self,
        ids: Annotated[list[int], Limit(max_length=1000, description="ids of facts")] = [],  # noqa: B006
        facts: Annotated[list[Match], Limit(max_length=100, description="or facts by what they say")] = [],  # noqa: B006
    ) -> retracting.Retracted:
        """Take back facts that were wrong: they stand no longer, whenever they were to hold.

        If something was true and is not any more, use supersede, or assert_facts with valid_to. Retracting the fact of
        a merge (kind alias) unmerges. With the last fact of kind entity of a name, all else that stands of it ends.
        """
        return retracting.retract_facts(self, ids, facts)

    @action
    def supersede(
        self,
        fact: Annotated[int | Match, Limit(description="the id of the fact that holds no longer, or what it says")],
        by: Annotated[NewFact, Limit(description="what holds instead")],
        valid_from: Annotated[Moment | None, Limit(description="since when; left out, as `by` says, or now")] = None,
    ) -> asserting.Superseded:
        """Have one fact hold until a time, and another from then on: something changed.

        Both stay: valid_at finds each in its time.
        """
        return asserting.supersede(self, fact, by, valid_from)

    @action
    def merge(
        self,
        names: Annotated[list[str], Limit(min_length=1, max_length=100, description="names that mean the same")],
        into: Annotated[str, Limit(description="the name to show it by")],
    ) -> merging.Merged:
        """Make entities one that are the same: the names become other names of `into`.

        What is known of any is read of all of them, by any of the names. Nothing is moved: to unmerge, give the ids in
        the answer to retract_facts, or undo.
        """
        return merging.merge(self, names, into)

    @action(read_only=True)
    def entity_history(
        self,
        name: str,
        as_of: AsOf = None,
        valid_at: Annotated[
            Moment | None, Limit(description="only what was told of this time; without, of any")
        ] = None,
        limit: Annotated[int, Limit(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Limit(description="where the last answer ended")] = None,
    ) -> histories.History:
        """See everything that was ever told about an entity, and what became of it, in order.

        Facts of all its names, with relations from and to it: when each was recorded, by whom, through which client and
        from which source, when it holds, and by what it ended (retract_facts, supersede, undo …).
        """
        return histories.entity_history(view_of(self, as_of, None), name, valid_at, limit, cursor)

    @action(prepare=importing.take_in)
    def import_graph(
        self,
        prepared: importing.Taken,
        format: Annotated[Format | None, Limit(description="how it is written; without, it is guessed")] = None,
        text: Annotated[str | None, Limit(description="the content of the file")] = None,
        source: Annotated[
            str | None, Limit(max_length=LONGEST_SOURCE, description="where it is from, to be kept with each fact")
        ] = None,
    ) -> importing.Imported:
        """Take in a graph from the content of a file, as a whole and by one change.

        Reads jsonl (of the memory server), csv (edges), graphml, gexf, node-link, cytoscape, turtle, nquads and jsonld.
        Facts that are there already are skipped, so the same file twice adds nothing; an entity of a known name is
        skipped whatever its type, and its new observations are taken. What could not be taken is reported with its
        line, and the rest is taken.
        """
        return importing.adopt(self, prepared)

    @resource(name="export", title="The graph in a format", uri="graph://export/{format}", mime_type="text/plain")
    def export(self, format: Format) -> str:
        """The graph as a file: jsonl, csv, graphml, gexf, node-link, cytoscape, turtle, nquads, jsonld, mermaid or dot.

        Mermaid shows the first 60 entities. What does not fit into an answer is refused; write that to a file with
        `turnkeeper graph export FILE`.
        """
        return exporting.answered(View(self), format)

    @resource(title="The graph in a format as it was", uri="graph://at/{as_of}/export/{format}", of=())
    def export_then(self, as_of: AsOfText, format: Format) -> str:
        """The graph in a format, as it was told up to a revision's number, or a time such as 2026-05-03."""
        return exporting.answered(view_of(self, as_of, None), format)

    @resource(title="What held, in a format", uri="graph://at/{as_of}/held/{valid_at}/export/{format}", of=TOLD)
    def export_held(self, as_of: AsOfText, valid_at: Moment, format: Format) -> str:
        """What held at a date or time, in a format, as it was told up to a revision's number, a time, or `now`."""
        return exporting.answered(view_of(self, as_of, valid_at), format)

    @action(read_only=True)
    def search(
        self,
        query: str,
        detail: searching.Detail = "summary",
        types: list[str] | None = None,
        limit: searching.Size = 20,
        cursor: Annotated[str | None, Limit(description="`next` of the page before, to go on")] = None,
        max_tokens: searching.Budget = 2_000,
        as_of: AsOf = None,
        valid_at: ValidAt = None,
    ) -> searching.Found:
        """Find entities by words in their names, types and observations, the best first.

        Words side by side must all be there, in any of an entity's texts. `"two words"` are words in a row, `dog*`
        what begins so; AND, OR, NOT, `-word` and parentheses put terms together; `type:person` and `rel:works_at`
        are entities of a type, or with such a relation either way. Accents and case do not count. If nothing has a
        word, words like it are tried, and named in `corrected`. `next` leads to the next page of the same graph,
        whatever was told meanwhile.
        """
        asked = searching.Asked(query, tuple(types or ()), as_of, valid_at)
        return searching.search(self, asked, detail=detail, limit=limit, cursor=cursor, max_tokens=max_tokens)

    @action(read_only=True)
    def duplicates(
        self, limit: Pairs = 20, threshold: Score = 0.7, as_of: AsOf = None, valid_at: ValidAt = None
    ) -> Duplicates:
        """Find entities that may be one and the same, told under names that differ a little.

        Names are compared without case, accents, spacing, punctuation and order of words, and by their spelling; names
        with different numbers in them are different. Being of one type, and neighbours and observations in common,
        speak for a pair. Each has a score, the reasons, and the arguments with which `merge` would join two: look at
        both before you do. Where not all names could be compared, the answer says so.
        """
        return duplicates(view_of(self, as_of, valid_at), limit, threshold)

    @resource(title="Picture of the graph", mime_type=SVG, of=TOLD)
    def picture(self) -> str:
        """A drawing (SVG) of the whole graph, or of the 60 hubs of a larger one."""
        return picture.whole(View(self))

    @resource(title="Picture around an entity", uri="graph://picture/{name}", mime_type=SVG, of=TOLD)
    def picture_around(self, name: str) -> str:
        """A drawing (SVG) of an entity and what is nearest to it, up to 60 names."""
        return picture.around(View(self), name)

    @resource(title="Picture of the graph as it was", uri="graph://at/{as_of}/picture", mime_type=SVG, of=())
    def picture_then(self, as_of: AsOfText) -> str:
        """A drawing (SVG) of the graph as it was told up to a revision's number, or a time such as 2026-05-03."""
        return picture.whole(view_of(self, as_of, None))

    @resource(title="Picture around an entity as it was", uri="graph://at/{as_of}/picture/{name}", mime_type=SVG, of=())
    def picture_around_then(self, as_of: AsOfText, name: str) -> str:
        """A drawing (SVG) of an entity and what was nearest to it, as told up to a revision's number, or a time."""
        return picture.around(view_of(self, as_of, None), name)

    @resource(title="Picture of what held", uri="graph://at/{as_of}/held/{valid_at}/picture", mime_type=SVG, of=TOLD)
    def picture_held(self, as_of: AsOfText, valid_at: Moment) -> str:
        """A drawing (SVG) of what held at a date or time, as told up to a revision's number, a time, or `now`."""
        return picture.whole(view_of(self, as_of, valid_at))

    @resource(
        title="Picture of what held around an entity",
        uri="graph://at/{as_of}/held/{valid_at}/picture/{name}",
        mime_type=SVG,
        of=TOLD,
    )
    def picture_around_held(self, as_of: AsOfText, valid_at: Moment, name: str) -> str:
        """A drawing (SVG) of what held around an entity at a time, as told up to a revision, a time, or `now`."""
        return picture.around(view_of(self, as_of, valid_at), name)
