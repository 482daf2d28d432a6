"""Reading XML as it comes: no document type, nothing from elsewhere, and bounded in depth and length."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from engine import Refused
from worlds.graph import facts
from worlds.graph.exchange.elements import DEEPEST, LONGEST, Found, plain, quoted, unreadable

PIECE = 64 * 1024
_FORBIDDEN = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}
_LINES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


class Reading:
    """A document under way: `begin(name, attributes)` and `end(name, text)` hear of elements, and leave facts."""

    def __init__(
        self, format: str, begin: Callable[[str, dict[str, str]], None], end: Callable[[str, str], None]
    ) -> None:
        self.found: list[Found] = []
        self._format, self._begin, self._end = format, begin, end
        self._text: list[str] = []
        self._length = self._depth = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._no_document_type
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.CharacterDataHandler = self._read

    @property
    def line(self) -> int:
        """Where the reading is."""
        return self._parser.CurrentLineNumber

    def facts(self, stream: BinaryIO) -> Iterator[Found]:
        """What the document tells, as it is read. Raises Refused where it is no XML."""
        piece = b" "
        while piece:
            piece = stream.read(PIECE)
            try:
                self._parser.Parse(piece, not piece)
            except expat.ExpatError as wrong:
                raise unreadable(self._format, wrong.lineno, expat.errors.messages[wrong.code]) from None
            except (LookupError, ValueError) as wrong:  # an encoding that there is not, or not of one byte
                raise unreadable(self._format, self.line, str(wrong)) from None
            yield from self.found
            self.found.clear()

    def _no_document_type(self, *declared: Any) -> None:
        raise Refused(
            "document_type",
            f"The {self._format} has a document type (<!DOCTYPE …>, line {self.line}), by which a few bytes can stand"
            " for gigabytes.",
            hint="Remove that declaration; the format needs none. Nothing was taken from it.",
        )

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        if not self._depth and _local(name) != self._format.lower():
            raise unreadable(self._format, self.line, f"its outermost element is {quoted(_local(name))}")
        self._depth += 1
        if self._depth > DEEPEST:
            raise unreadable(self._format, self.line, f"its elements lie more than {DEEPEST} deep")
        self._text, self._length = [], 0
        self._begin(_local(name), attributes)

    def _closed(self, name: str) -> None:
        self._depth -= 1
        self._end(_local(name), "".join(self._text))
        self._text, self._length = [], 0

    def _read(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST:
            raise unreadable(self._format, self.line, f"a text is longer than {LONGEST:,} characters")
        self._text.append(text)


class Names:
    """What the nodes of a file are called, where it tells them apart by ids of its own."""

    def __init__(self) -> None:
        self._named: dict[str, str] = {}
        self._taken: set[int] = set()

    def give(self, id: Any, label: Any) -> str:
        """The name of a node: its label, unless another has that already."""
        id, label = str(plain(id)), str(plain(label))
        name = label if facts.node(label) not in self._taken else f"{label} ({id})"
        self._taken.add(facts.node(name))
        if name != id:
            self._named[id] = name
        return name

    def of(self, id: Any) -> str:
        """The name of the node of an id."""
        return self._named.get(str(plain(id)), str(plain(id)))


def typed(kind: str, text: str) -> Any:
    """A value as its declaration says; the text where it is not of that type."""
    try:
        match kind:
            case "int" | "long" | "integer" | "short" | "byte":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return text.strip().lower() in ("true", "1")
    except ValueError:
        pass
    return text


def content(text: str) -> str:
    """A text as XML has it; what XML cannot carry is U+FFFD."""
    return escape(text.translate(_FORBIDDEN), {"\r": "&#13;"})


def attribute(text: str) -> str:
    """A text as the value of an attribute, in quotes."""
    return quoteattr(text.translate(_FORBIDDEN), _LINES)


def joined(pieces: Iterable[str]) -> str:
    """Pieces of one element."""
    return "".join(pieces) + "\n"


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
