"""A graph on two times as a plain list: facts with when they were recorded and when they held."""

from dataclasses import dataclass, replace
from typing import Any

Thing = dict[str, Any]
FOREVER = "~"
"""After every time, as texts compare."""


@dataclass
class Said:
    """A fact. `order` is the order of telling; it stood from revision `since` on and before `until`."""

    order: int
    kind: str
    name: str
    type: str
    object: str
    start: str
    """Since when it held; empty is always."""
    end: str
    since: int
    until: int | None = None


class Model:
    """What a graph is told, and what it was told when."""

    def __init__(self, single: str) -> None:
        self.said: list[Said] = []
        self.single = single
        """The one relation type of which there is one at a time."""
        self.revision = 1
        self.undoable: list[int] = []
        self.redoable: list[tuple[int, int]] = []
        self._count = 0

    def standing(self, revision: int | None = None) -> list[Said]:
        """What stood at a revision, in the order of telling."""
        at = self.revision if revision is None else revision
        found = [one for one in self.said if one.since <= at and (one.until is None or one.until > at)]
        return sorted(found, key=lambda one: one.order)

    # changing

    def begin(self) -> None:
        """A change begins: what follows is its own."""
        self.revision += 1
        self.undoable.append(self.revision)
        self.redoable.clear()

    def add(self, kind: str, name: str, type: str, object: str, start: str = "", end: str = FOREVER) -> None:
        self._count += 1
        self.said.append(Said(self._count, kind, name, type, object, start, end, self.revision))

    def end(self, one: Said) -> None:
        """A fact stands no longer; one told by the same change never did."""
        if one.since == self.revision:
            self.said.remove(one)
        else:
            one.until = self.revision

    def shift(self, to: int) -> None:
        """Have stand what stood at a revision, recorded now: undo and redo."""
        self.revision += 1
        then = {one.order: one for one in self.standing(to)}
        now = {one.order: one for one in self.standing()}
        for order in now.keys() - then.keys():
            now[order].until = self.revision
        for order in then.keys() - now.keys():
            self.said.append(replace(then[order], since=self.revision, until=None))

    def undo(self) -> None:
        target = self.undoable.pop()
        self.redoable.append((target, self.revision))
        self.shift(target - 1)

    def redo(self) -> None:
        target, before = self.redoable.pop()
        self.undoable.append(target)
        self.shift(before)

    # what is asked

    def names(self, valid_at: str, revision: int | None = None) -> dict[str, str]:
        """What each alias stands for, at the end of the chain."""
        direct = {
            one.name: one.object
            for one in self.standing(revision)
            if one.kind == "alias" and one.start <= valid_at < one.end
        }
        found = {}
        for name in direct:
            end = direct[name]
            while end in direct:
                end = direct[end]
            found[name] = end
        return found

    def seen(self, valid_at: str, revision: int | None = None) -> Any:
        """The whole graph as read_graph shows it, without order."""
        held = [one for one in self.standing(revision) if one.start <= valid_at < one.end]
        names = self.names(valid_at, revision)
        entities: dict[tuple[str, int], Thing] = {}
        counts: dict[str, int] = {}
        for one in (one for one in held if one.kind == "entity"):
            counts[one.name] = counts.get(one.name, 0) + 1
            place = (names.get(one.name, one.name), counts[one.name])
            entity = entities.setdefault(place, {"type": one.type, "texts": []})
            if one.name == place[0]:
                entity["type"] = one.type
        by: dict[Any, str] = {}
        for one in (one for one in held if one.kind == "observation"):
            place = (names.get(one.name, one.name), 1)
            if place in entities and by.setdefault((place, one.object), one.name) == one.name:
                entities[place]["texts"].append(one.object)
        ends: dict[Any, Any] = {}
        relations = []
        for one in (one for one in held if one.kind == "relation"):
            relation = (names.get(one.name, one.name), one.type, names.get(one.object, one.object))
            if ends.setdefault(relation, (one.name, one.object)) == (one.name, one.object):
                relations.append(relation)
        shown = sorted((name, one["type"], tuple(sorted(one["texts"]))) for (name, _), one in entities.items())
        return shown, sorted(relations)

    # the rules

    def whole(self, name: str, now: str) -> str:
        return self.names(now).get(name, name)

    def same(self, one: Said, kind: str, name: str, type: str, object: str, now: str) -> bool:
        """Whether a fact is in the place of another: says the same, or is of what there is one at a time."""
        if one.kind != kind or self.whole(one.name, now) != self.whole(name, now):
            return False
        if kind == "entity" or (kind == "relation" and type == self.single == one.type):
            return True
        if kind == "observation":
            return one.object == object
        return one.type == type and self.whole(one.object, now) == self.whole(object, now)

    def tell(self, now: str, kind: str, name: str, type: str, object: str, start: str = "", end: str = FOREVER) -> bool:
        """Tell a fact, within a change; whether that changed anything."""
        dateless = (start, end) == ("", FOREVER)
        single = kind == "entity" or (kind == "relation" and type == self.single)
        others = [one for one in self.standing() if self.same(one, kind, name, type, object, now)]
        equal = [one for one in others if (one.type, one.object) == (type, object)]
        if any((one.start, one.end) == (start, end) for one in equal):
            return False
        if dateless and any(one.start <= now and one.end == FOREVER for one in equal):
            return False
        if single:
            if start == "" and end > now and any(one.start < end and start < one.end for one in others):
                start = now
            if end == FOREVER and start != "":
                end = min([one.start for one in others if one.start > start], default=FOREVER)
            if any((one.start, one.end) == (start, end) for one in equal):
                return False
            for one in [one for one in others if one.start < end and start < one.end]:
                self.end(one)
                if one.start < start:
                    self.add(kind, one.name, one.type, one.object, one.start, start)
                if end < one.end:
                    self.add(kind, one.name, one.type, one.object, end, one.end)
        self.add(kind, name, type, object, start, end)
        return True

    def about(self, name: str, now: str) -> list[Said]:
        """All that stands about what a name stands for, and leads to it."""
        whole = self.whole(name, now)

        def is_it(other: str) -> bool:
            return self.whole(other, now) == whole

        return [
            one
            for one in self.standing()
            if is_it(one.name) or (one.kind in ("relation", "alias") and is_it(one.object))
        ]
