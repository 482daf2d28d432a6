"""In which order a world's rows can be written a few at a time: each after those it refers to.

Deleting goes the other way round. Rows that refer to each other in a circle
have to be written together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import networkx
from sqlalchemy import ForeignKeyConstraint, Table

from engine.models import Row, table_of

Values: TypeAlias = Mapping[str, Any]
"""A row's values by column."""
Placed: TypeAlias = tuple[Table, Values]


def table_groups(rows: Iterable[type[Row]]) -> list[list[Table]]:
    """The tables, each after those it refers to; those that refer to each other, or to themselves, as one list."""
    tables = {table_of(row).name: table_of(row) for row in rows}
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(tables)
    graph.add_edges_from(
        (constraint.referred_table.name, name)
        for name, table in tables.items()
        for constraint in references(table)
        if constraint.referred_table.name in tables
    )
    return [[tables[name] for name in sorted(members)] for members in _in_order(graph)]


def in_circle(group: list[Table]) -> bool:
    """Whether rows of these tables may refer to each other."""
    return len(group) > 1 or any(constraint.referred_table is group[0] for constraint in references(group[0]))


def references(table: Table) -> list[ForeignKeyConstraint]:
    """The foreign keys of a world's table but the one to its session."""
    found = [one for one in table.foreign_key_constraints if list(one.column_keys) != ["session_id"]]
    return sorted(found, key=lambda one: list(one.column_keys))


def row_groups(rows: list[Placed]) -> Iterator[list[Placed]]:
    """Rows of one session, each after those it refers to; those in a circle as one list."""
    edges: list[tuple[int, int]] = []
    tables = dict.fromkeys(table for table, _ in rows)
    for constraint in {one: None for table in tables for one in references(table)}:
        columns = [
            (pair.parent.name, pair.column.name) for pair in constraint.elements if pair.parent.name != "session_id"
        ]
        places = {
            tuple(values[referred] for _, referred in columns): place
            for place, (table, values) in enumerate(rows)
            if table is constraint.referred_table
        }
        for place, (table, values) in enumerate(rows):
            wanted = tuple(values[name] for name, _ in columns)
            if table is constraint.table and wanted in places:
                edges.append((places[wanted], place))
    if all(referred <= place for referred, place in edges):  # they stand in order, as most do
        yield from ([row] for row in rows)
        return
    graph: networkx.DiGraph[int] = networkx.DiGraph(edges)
    graph.add_nodes_from(range(len(rows)))
    for members in _in_order(graph):
        yield [rows[place] for place in sorted(members)]


def _in_order(graph: "networkx.DiGraph[Any]") -> Iterator[set[Any]]:
    condensed = networkx.condensation(graph)
    for node in networkx.lexicographical_topological_sort(
        condensed, key=lambda one: min(condensed.nodes[one]["members"])
    ):
        yield condensed.nodes[node]["members"]
