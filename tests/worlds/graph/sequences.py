"""Calls of the nine tools, as hypothesis draws them: few names, so that they meet."""

from typing import Any

from hypothesis import strategies as st

NAMES = ("Ada", "ada", "Bob", "ΟΔΟΣ", "Ki\u0307", "\u05d0\u202e!", "é", "e\u0301", "", "a b")
TEXTS = ("likes tea", "LIKES Tea", "ς", "100%", "a_b", 'it\'s\n"so"', "İstanbul", "\U0001f600", "Ada", "", "\u2028\x7f")
TYPES = ("person", "Place", "2", "")
QUERIES = (*NAMES, *TEXTS, "tea", "PERSON", "%", "_", "ada", "οδος", "i", "k", "İ", "\u212a", "nothing of that kind")

name, text, kind = st.sampled_from(NAMES), st.sampled_from(TEXTS), st.sampled_from(TYPES)
texts = st.lists(text, max_size=3)
entity = st.fixed_dictionaries({"name": name, "entityType": kind, "observations": texts})
relation = st.fixed_dictionaries({"from": name, "to": name, "relationType": kind})
contents = st.fixed_dictionaries({"entityName": name, "contents": texts})
deletion = st.fixed_dictionaries({"entityName": name, "observations": texts})

ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "create_entities": st.fixed_dictionaries({"entities": st.lists(entity, max_size=4)}),
    "create_relations": st.fixed_dictionaries({"relations": st.lists(relation, max_size=4)}),
    "add_observations": st.fixed_dictionaries({"observations": st.lists(contents, max_size=3)}),
    "delete_entities": st.fixed_dictionaries({"entityNames": st.lists(name, max_size=2)}),
    "delete_observations": st.fixed_dictionaries({"deletions": st.lists(deletion, max_size=2)}),
    "delete_relations": st.fixed_dictionaries({"relations": st.lists(relation, max_size=2)}),
    "read_graph": st.just({}),
    "search_nodes": st.fixed_dictionaries({"query": st.sampled_from(QUERIES)}),
    "open_nodes": st.fixed_dictionaries({"names": st.lists(name, max_size=3)}),
}
call = st.sampled_from(sorted(ARGUMENTS)).flatmap(lambda tool: st.tuples(st.just(tool), ARGUMENTS[tool]))
calls = st.lists(call, min_size=1, max_size=12)
