"""Text adventures: each session is one game of a story, told turn by turn, kept and undoable."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from engine import Refused, World, action, prompt, resource
from worlds.adventure.game import Game
from worlds.adventure.library import load, stories
from worlds.adventure.map import mermaid_map, text_map
from worlds.adventure.reply import Reply
from worlds.adventure.story import Story
from worlds.adventure.turns import begin, play, take_stock, view

DEFAULT_STORY = "stillweather"
Words = Annotated[
    str,
    Field(min_length=1, max_length=500, description='what to do, in plain words: "take lamp", "n. open the door"'),
]


class State(StrEnum):
    PLAYING = "playing"
    ENDED = "ended"


class Adventure(World, states=State, start=State.PLAYING, final={State.ENDED}):
    """A text adventure: rooms to explore, things to handle, a story that can end in several ways.

    Send what the player does as a command in plain words and tell them what the story answers. The story keeps all
    facts itself, so never invent rooms, things or results; look, inventory and the map show what is so. Nothing is
    lost by trying: every turn can be undone, and a refused command costs no turn.
    """

    data: Game

    def start(self, story: Annotated[str, Field(description="the name of an installed story")] = DEFAULT_STORY) -> str:
        """Begin a story. Returns its opening words."""
        if story not in stories():
            raise Refused("unknown_story", f"There is no story {story!r}; installed are {', '.join(stories())}.")
        self.data, reply = begin(load(story))
        return str(reply)

    @property
    def _story(self) -> Story:
        return load(self.data.story)

    @action(source=State.PLAYING, target=(State.PLAYING, State.ENDED))
    def command(self, text: Words) -> Reply:
        """Do something in the story, in plain words, as a player would type it.

        Use short sentences of verb and thing: "examine desk", "put key in box", "ask her about the well", "north".
        Several may be joined by "then" or full stops; they stop at the first that is refused. The reply tells what
        happened, which exits and things there are, and a few commands that make sense now; others often do too. If
        the story asks a question, the next command may be its answer. "hint" helps, a little more each time.
        """
        game, reply = play(self._story, self.data, text, self.random)
        if game.same_as(self.data):
            self.unchanged()
            return reply
        self.data = game
        if reply.ended is not None:
            self.enter(State.ENDED)
        return reply

    @action(read_only=True)
    def look(self) -> Reply:
        """Look around again, without a turn: the room, its exits and things, what is carried, the score."""
        return view(self._story, self.data)

    @action(read_only=True)
    def inventory(self) -> Reply:
        """List what the player carries and wears, without a turn."""
        return take_stock(self._story, self.data)

    @resource(mime_type="text/plain")
    def map(self) -> str:
        """The rooms seen so far, drawn in characters, with the present one and unexplored ways marked."""
        return text_map(self._story, self.data)

    @resource(mime_type="text/vnd.mermaid", name="map.mmd")
    def map_mermaid(self) -> str:
        """The rooms seen so far as a Mermaid flowchart."""
        return mermaid_map(self._story, self.data)

    @prompt
    def play(self) -> str:
        """Play this story together with a person, from where it stands."""
        return (
            f"Let us play {self._story.title} together, from where it stands; begin by calling look.\n\n"
            "You are the voice of the story, and I am the player. Tell me what the replies say, in their own mood and "
            "without leaving out exits or things; do not add facts of your own. After each turn stop, and let me "
            "choose: offer two or three things one might do if I seem unsure, and never play several turns ahead or "
            "hurry towards an ending unless I ask you to. Turn what I say into short commands. If a command is not "
            "understood, try it once in other words before you ask me. Give hints only when I ask for one, one step "
            "at a time. The map shows where we have been. If I regret something, it can be undone. When the story "
            "ends, tell me the ending in full, and how many points we found."
        )
