"""Completion for players: slash commands, actions, their arguments, and what the world suggests."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from engine.actions import Action
from engine.cli.lines import as_typed, choices, schema_properties
from engine.cli.output import first_line

if TYPE_CHECKING:
    from engine.cli.player import Player


class PlayCompleter(Completer):
    """Offers what fits in the player's session now."""

    def __init__(self, player: "Player") -> None:
        self._player = player

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand where the cursor is."""
        line = document.text_before_cursor.lstrip()
        head, space, rest = line.partition(" ")
        for suggestion in self._player.suggestions:
            if suggestion.startswith(line) and suggestion != line:
                yield Completion(suggestion, -len(line))
        if not space:
            yield from self._first_words(head)
        elif head.startswith("/"):
            yield from _matching(rest, self._player.slash_words(head[1:]))
            yield from self._arguments(head[1:], rest)
        elif not self._player.takes_lines:
            yield from self._arguments(head, rest)

    def _first_words(self, head: str) -> Iterator[Completion]:
        if head.startswith("/"):
            words = {f"/{name}": meaning for name, meaning in self._player.slash_commands().items()}
            words |= {f"/{name}": meaning for name, meaning in self._actions().items() if f"/{name}" not in words}
            yield from _matching(head, words)
        elif not self._player.takes_lines:
            yield from _matching(head, self._actions())

    def _actions(self) -> dict[str, str]:
        possible = self._player.last.allowed_actions
        actions = self._player.definition.actions
        ordered = sorted(actions, key=lambda name: name not in possible)
        return {name: first_line(actions[name].description) for name in ordered}

    def _arguments(self, name: str, rest: str) -> Iterator[Completion]:
        action = self._player.definition.actions.get(name)
        if action is not None:
            before, _, word = rest.rpartition(" ")
            yield from _matching(word, _argument_words(action, before.split(), word))


def _argument_words(action: Action, before: list[str], word: str) -> dict[str, str]:
    properties = schema_properties(action.parameters)
    given = {part.partition("=")[0] for part in before if "=" in part}
    free = [name for name in properties if name not in given]
    name, keyword, _ = word.partition("=")
    if keyword:
        return {f"{name}={as_typed(value)}": "" for value in choices(properties.get(name, {}))}
    place = sum("=" not in part for part in before)
    values = choices(properties[free[place]]) if place < len(free) else []
    words = {as_typed(value): free[place] for value in values}
    return words | {f"{name}=": str(properties[name].get("description", "")) for name in free[place:]}


def _matching(start: str, words: dict[str, str]) -> Iterator[Completion]:
    for word, meaning in words.items():
        if word.startswith(start):
            yield Completion(word, -len(start), display_meta=meaning)
