"""The words every story shares: the directions, and the sentences in which each verb is said.

In a sentence X and Y stand for things, T for a topic in free words, D for a direction; "|" divides words of one
meaning.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

DIRECTIONS: Mapping[str, str] = {
    "north": "n", "south": "s", "east": "e", "west": "w", "northeast": "ne", "northwest": "nw",
    "southeast": "se", "southwest": "sw", "up": "u", "down": "d", "in": "in", "out": "out",
}  # fmt: skip
OPPOSITES: Mapping[str, str] = {
    "north": "south", "south": "north", "east": "west", "west": "east", "northeast": "southwest",
    "southwest": "northeast", "northwest": "southeast", "southeast": "northwest", "up": "down", "down": "up",
    "in": "out", "out": "in",
}  # fmt: skip
DIRECTION_WORDS: Mapping[str, str] = (
    {short: way for way, short in DIRECTIONS.items()}
    | {way: way for way in DIRECTIONS}
    | {"upstairs": "up", "downstairs": "down", "inside": "in", "outside": "out", "upwards": "up", "downwards": "down"}
)

SENTENCES: Mapping[str, tuple[str, ...]] = {
    "look": ("look|l", "look around|about", "look|l D"),
    "examine": ("examine|x|inspect|study|describe|check|watch X", "look|stare|gaze|peer at X", "look X"),
    "search": ("search|frisk|rummage X", "look in|inside|into|through|under|behind|beneath X", "search in|through X"),
    "take": ("take|get|grab|collect|hold|carry|steal|fetch X", "pick up X", "pick X up", "pick X",
             "take|get|remove|grab X from|off Y", "take|get|remove X out of Y"),
    "drop": ("drop|discard|release X", "put|set|lay down X", "put|set|lay X down"),
    "put": ("put|place|insert|set|lay|slot|fit|stick X in|into|inside|on|onto|to Y", "put|place X on top of Y",
            "hang X on|from Y", "drop X in|into|on|onto|down Y", "place|insert|fit X", "sprinkle X on|over|onto Y"),
    "open": ("open|uncover|uncork|unstopper X", "open X with Y"),
    "close": ("close|shut|cork X",),
    "unlock": ("unlock X with Y", "unlock X", "open X using Y"),
    "lock": ("lock X with Y", "lock X"),
    "go": ("go|walk|run|head|climb|move|crawl D", "go to|towards D", "D"),
    "enter": ("enter X", "go|walk|climb|crawl|get|squeeze in|into|inside|through|to|down|up|out X", "enter"),
    "climb": ("climb X", "climb over|onto X", "scale X"),
    "exit": ("exit|leave|disembark", "get|go|climb out|off", "exit|leave X"),
    "inventory": ("inventory|i|inv", "take inventory"),
    "wait": ("wait|z|pause|linger",),
    "light": ("light|ignite|kindle X with|using Y", "light|ignite|kindle X", "turn|switch on X", "turn|switch X on",
              "strike X"),
    "extinguish": ("extinguish|douse|snuff X", "blow|put|turn|switch out|off X", "blow|put|turn|switch X out|off"),
    "read": ("read X",),
    "write": ("sign|write X", "sign|write in|on X", "write|sign T in|on X"),
    "give": ("give|offer|hand|feed X to Y", "offer|feed X"),
    "show": ("show|present|display X to Y",),
    "talk": ("talk|speak to|with X", "greet X", "say hello|hi to X", "talk|speak X"),
    "ask": ("ask X about|for T", "ask X to T"),
    "tell": ("tell X about|to T", "say T to X"),
    "say": ("say|shout|yell|call|whisper|sing T", "shout|yell|sing|whistle", "call out T"),
    "push": ("push|press|shove|nudge|move X",),
    "pull": ("pull|drag|tug|yank|heave X", "pull on X"),
    "turn": ("turn|rotate|twist|wind|spin|crank X", "turn X with Y"),
    "eat": ("eat|taste|bite|lick X",),
    "drink": ("drink|sip|swallow X", "drink from X"),
    "wear": ("wear|don X", "put on X", "put X on"),
    "remove": ("remove|doff X", "take off X", "take X off"),
    "smell": ("smell|sniff X", "smell|sniff"),
    "listen": ("listen to X", "listen", "hear X"),
    "throw": ("throw|toss|hurl|lob|fling X at|to|into|through Y", "throw|toss|hurl|lob|fling X"),
    "attack": ("attack|hit|kill|fight|break|smash|strike|kick|chop|hack|shatter|punch X with Y",
               "attack|hit|kill|fight|break|smash|kick|chop|hack|shatter|punch X", "break open|down X"),
    "cut": ("cut|slice|saw X with Y", "cut|slice|saw X"),
    "burn": ("burn|melt|thaw|warm|heat X with Y", "burn|melt|thaw|warm|heat X"),
    "tie": ("tie|fasten|attach|lash|knot|secure X to|round|around|on Y", "tie|fasten|attach|lash|secure X"),
    "untie": ("untie|unfasten|unwind|undo|loosen|free|unknot X", "untie X from Y"),
    "fill": ("fill|refill|refuel|top X with|from Y", "fill|refill|refuel X", "fill up X"),
    "pour": ("pour|empty X in|into|on|onto|over Y", "pour|empty X"),
    "catch": ("catch|trap|capture|bottle|suck X with|in|into Y", "catch|trap|capture|bottle X", "suck up X"),
    "blow": ("blow X", "blow on|at|into X"),
    "wave": ("wave|shake|swing|wiggle X", "wave X at Y", "wave at|to X"),
    "touch": ("touch|feel|stroke|pet|pat|rub|hug|kiss|tickle X",),
    "knock": ("knock on|at X", "knock X", "knock"),
    "jump": ("jump|leap|hop", "jump in|into|over|off|down X"),
    "sleep": ("sleep|rest|nap", "lie|sit down", "lie|sit|sleep on|in X", "go to bed|sleep"),
    "dig": ("dig", "dig in|with X", "dig X"),
    "use": ("use|apply X on|with|to|in Y", "use|apply X"),
    "score": ("score|points",),
    "help": ("help|commands|verbs|about|info",),
    "hint": ("hint|hints|clue", "hint about|for|on T", "hint T"),
}  # fmt: skip

FREE = frozenset({"look", "inventory", "score", "help", "hint"})
"""Verbs that never cost a turn."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One way to say a verb. `asks` is true for a sentence that lacks its thing."""

    verb: str
    pattern: re.Pattern[str]
    literals: int
    asks: bool = False


def _compile(verb: str, form: str, asks: bool = False) -> Sentence:
    tokens = form.split()
    parts = [f"(?P<{token.lower()}>.+?)" if token in {"X", "Y", "T", "D"} else f"(?:{token})" for token in tokens]
    literals = sum(token not in {"X", "Y", "T", "D"} for token in tokens)
    return Sentence(verb, re.compile(" ".join(parts)), literals, asks)


def _sentences() -> tuple[Sentence, ...]:
    found = [_compile(verb, form) for verb, forms in SENTENCES.items() for form in forms]
    asking = [
        _compile(verb, form[:-2], True)
        for verb, forms in SENTENCES.items()
        for form in forms
        if form.endswith(" X") and " " in form and "Y" not in form
    ]
    return tuple(sorted(found, key=lambda sentence: -sentence.literals)) + tuple(asking)


ALL_SENTENCES = _sentences()
VERB_WORDS = frozenset(
    word for forms in SENTENCES.values() for form in forms for word in form.split()[0].split("|") if word.islower()
)
SENTENCE_WORDS = frozenset(re.findall("[a-z]+", " ".join(form for forms in SENTENCES.values() for form in forms)))
