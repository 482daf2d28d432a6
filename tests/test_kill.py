"""The server is killed in the middle of play, again and again; the game goes on with every acknowledged turn."""

import time
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import httpx2

from tests.serving import SECONDS, TLS, Served, raw_headers, start

KILLS = 20
TURNS = ("look", "wait", "wait", "north", "south", "east", "west", "up", "down", "take all", "inventory", "dance")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "player", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Player:
    """Plays turn after turn, each under a key of its own, and notes what was acknowledged."""

    def __init__(self, served: Served, random: Random) -> None:
        self.served = served
        self.random = random
        self.number = 0
        self.sent: dict[str, dict[str, Any]] = {}
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, int] = {}
        self.stopped = False

    def call(self, http: httpx2.Client, tool: str, arguments: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        """One call over the wire; its structured answer."""
        meta = {**META, **({"turnkeeper/key": key} if key is not None else {})}
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = http.post(f"{self.served.url}/mcp", json=body, headers=raw_headers("tools/call", params))
        return dict(answer.json()["result"]["structuredContent"])

    def turn(self, http: httpx2.Client) -> None:
        """One turn of either game."""
        self.number += 1
        key = f"turn-{self.number}"
        game = self.random.choice(("adventure_command", "counter_add"))
        arguments = {"text": self.random.choice(TURNS)} if game == "adventure_command" else {"a": self.number}
        self.sent[key] = {"tool": game, "arguments": arguments}
        self.note(key, self.call(http, game, arguments, key))

    def note(self, key: str, answer: dict[str, Any]) -> None:
        """Remember an answer, unless the turn changed nothing: then it made no revision."""
        game = self.sent[key]["tool"]
        if "replayed" in answer or answer["revision"] > self.seen.get(game, 1):
            self.acknowledged[key] = answer
        else:
            del self.sent[key]
        self.seen[game] = answer["revision"]

    def play(self) -> None:
        """Play until the server is gone."""
        with httpx2.Client(verify=TLS, timeout=SECONDS) as http:
            try:
                while not self.stopped:
                    self.turn(http)
            except (httpx2.TransportError, ValueError):
                # It was killed in the middle of this turn: nobody knows yet what became of it.
                return


def killed_in_the_middle(player: Player, after: float) -> None:
    """Play, and kill the server once some turns were answered and a random moment has passed."""
    before = len(player.acknowledged)
    playing = Thread(target=player.play)
    playing.start()
    deadline = time.monotonic() + SECONDS
    while len(player.acknowledged) < before + 2 and playing.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(after)
    player.served.kill()
    player.stopped = True
    playing.join(SECONDS)
    assert not playing.is_alive()
    assert len(player.acknowledged) >= before + 2
    player.stopped = False


def history(player: Player, http: httpx2.Client, world: str) -> list[dict[str, Any]]:
    """A main session's whole history."""
    changes: list[dict[str, Any]] = []
    while True:
        since = changes[-1]["revision"] if changes else 0
        page = player.call(http, "session_history", {"world": world, "since": since, "limit": 500})
        if not page["result"]["changes"]:
            return changes
        changes += page["result"]["changes"]


def check(player: Player, http: httpx2.Client) -> None:
    """Every acknowledged turn is in the history once, where it was said to be; every other one at most once."""
    for world, tool in (("adventure", "adventure_command"), ("counter", "counter_add")):
        changes = history(player, http, world)
        assert [change["revision"] for change in changes] == list(range(1, len(changes) + 1))
        sent = {key: turn for key, turn in player.sent.items() if turn["tool"] == tool}
        done = {key: answer for key, answer in player.acknowledged.items() if key in sent}
        found = {change["revision"]: change for change in changes[1:]}
        for key, answer in done.items():
            change = found.pop(answer.get("replayed", answer["revision"]))
            assert change["arguments"] == sent[key]["arguments"]
            assert change["result"] == answer["result"]
        unknown = [turn["arguments"] for key, turn in sent.items() if key not in done]
        assert len(found) <= len(unknown)
        for change in found.values():
            unknown.remove(change["arguments"])


def retry_all(player: Player, http: httpx2.Client, keys: list[str]) -> None:
    """Send turns again under their keys: what was done is answered as it was, what was not is done now."""
    for key in keys:
        turn = player.sent[key]
        answer = player.call(http, turn["tool"], turn["arguments"], key)
        if key in player.acknowledged:
            known = player.acknowledged[key]
            assert answer["result"] == known["result"]
            assert answer.get("replayed") == known.get("replayed", known["revision"]), (key, turn, known, answer)
        else:
            player.note(key, answer)


def test_a_server_killed_twenty_times_in_the_middle_of_play_loses_nothing(tmp_path: Path) -> None:
    random = Random(20261123)
    player = Player(start(tmp_path), random)
    try:
        for _ in range(KILLS):
            killed_in_the_middle(player, random.uniform(0, 0.05))
            player.served = start(tmp_path, port=player.served.port)
            with httpx2.Client(verify=TLS, timeout=SECONDS) as http:
                latest = list(player.sent)[-3:]
                retry_all(player, http, latest)
        with httpx2.Client(verify=TLS, timeout=SECONDS) as http:
            retry_all(player, http, list(player.acknowledged))
            check(player, http)
        assert len(player.acknowledged) > KILLS * 2
        assert {turn["tool"] for turn in player.sent.values()} == {"adventure_command", "counter_add"}
    finally:
        player.served.kill()
