"""What is wrong is answered with what would be right: nothing is lost, and nobody sees a traceback."""

import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.serving import PEOPLE, PERSON, ROOT, SECONDS, TLS, Served, environment, post, raw_headers, serving, start

WORLDS = ROOT / "tests" / "engine" / "mcp_adapter" / "worlds"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server that all bad input goes to; at the end it has seen nothing unforeseen and still serves."""
    with serving(tmp_path_factory.mktemp("bad"), WORLDS, command=PEOPLE) as server:
        yield server
        assert call(server, "desk_count", {}, "last")["structuredContent"]["result"] == 0
        assert "Traceback" not in server.logged(), server.logged()[-5000:]


@pytest.fixture
def person() -> str:
    return f"person-{uuid4().hex[:12]}"


def call(served: Served, tool: str, arguments: Any, person: str, **meta: Any) -> dict[str, Any]:
    """A tool's result on the raw wire."""
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    answer = post(served, "/mcp", "tools/call", params, person=person).json()
    assert "result" in answer, answer
    return dict(answer["result"])


def refusal(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"], result
    return dict(result["structuredContent"]["messages"][0])


def raw(
    served: Served, body: bytes, path: str = "/mcp", verb: str = "POST", name: str = "desk_write", **headers: str
) -> httpx2.Response:
    given = {**raw_headers("tools/call", {"name": name}), **headers}
    return httpx2.request(verb, f"{served.url}{path}", content=body, headers=given, verify=TLS, timeout=SECONDS)


def legacy(served: Served, body: bytes, **headers: str) -> httpx2.Response:
    given = {"accept": "application/json, text/event-stream", "content-type": "application/json", **headers}
    return httpx2.post(f"{served.url}/mcp", content=body, headers=given, verify=TLS, timeout=SECONDS)


def request_with(text: str, **meta: str) -> bytes:
    """A call of desk_write whose text is this piece of JSON."""
    given = json.dumps({**META, **meta})
    return (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        f'{{"name":"desk_write","arguments":{{"text":{text}}},"_meta":{given}}}}}'
    ).encode()


def test_an_unknown_tool_is_answered_with_the_known_ones(served: Served, person: str) -> None:
    answer = post(served, "/mcp", "tools/call", {"name": "desk_fly", "arguments": {}}, person=person).json()
    assert answer["error"]["code"] == -32602
    assert "desk_write" in answer["error"]["message"]


def test_wrong_types_are_answered_with_where_and_what(served: Served, person: str) -> None:
    wrong: list[tuple[str, Any, str]] = [
        ("desk_write", {"text": 5}, "$.text"),
        ("desk_write", {}, "$.text"),
        ("desk_write", {"text": None}, "$.text"),
        ("desk_copy", {"times": "x"}, "$.times"),
        ("desk_copy", {"times": 1.5}, "$.times"),
        ("desk_stamp", {"more": 1}, "$.more"),
        ("desk_stamp", {"session": 5}, "$.session"),
        ("desk_stamp", {"if_revision": "1"}, "$.if_revision"),
        ("desk_stamp", {"if_revision": True}, "$.if_revision"),
        ("desk_stamp", {"if_revision": -1}, "$.if_revision"),
        ("desk_stamp", {"if_revision": 10**30}, "$.if_revision"),
        ("start_session", {"world": "desk", "arguments": {"colour": "grey"}}, "$.colour"),
        ("start_session", {"world": "desk", "arguments": []}, "$.arguments"),
        ("session_history", {"world": "desk", "limit": 0}, "$.limit"),
        ("get_session", {"world": "desk", "at": -1}, "$.at"),
    ]
    for tool, arguments, path in wrong:
        message = refusal(call(served, tool, arguments, person))
        assert (message["code"], message["path"]) == ("invalid_arguments", path), (tool, arguments, message)
    assert call(served, "list_sessions", {}, person)["structuredContent"]["result"]["sessions"] == []


def test_numbers_beyond_what_the_database_holds_are_no_accident(served: Served, person: str) -> None:
    for tool, arguments in (
        ("desk_stamp", {"if_revision": 10**30}),
        ("get_session", {"world": "desk", "at": 10**30}),
        ("session_history", {"world": "desk", "since": 10**30}),
        ("session_history", {"world": "desk", "since": 2**63 - 1}),
        ("desk_stamp", {"if_revision": 2**63 - 1}),
        ("desk_copy", {"times": 10**400}),
        ("counter_add", {"a": 10**30}),
    ):
        answer = post(served, "/mcp", "tools/call", {"name": tool, "arguments": arguments}, person=person).json()
        assert "result" in answer, (tool, answer)


def test_an_unknown_session_is_answered_with_where_to_look(served: Served, person: str) -> None:
    for handle in ("ses_nobody", "ses_\u0000", "'; drop table session; --", "../../x"):
        message = refusal(call(served, "desk_stamp", {"session": handle}, person))
        assert message["code"] == "not_found", handle
        assert "list_sessions" in message["content"]
    for handle in ("", "x" * 10_000):
        message = refusal(call(served, "desk_stamp", {"session": handle}, person))
        assert (message["code"], len(message["content"]) < 500) == ("invalid_arguments", True)


def test_arguments_over_a_mebibyte_are_refused_with_their_size(served: Served, person: str) -> None:
    fits = call(served, "desk_write", {"text": "x" * (MIB - 100)}, person)
    assert not fits["isError"], fits["content"]
    message = refusal(call(served, "desk_write", {"text": "x" * (MIB + 100)}, person))
    assert message["code"] == "arguments_too_large"
    assert "at most 1,048,576" in message["content"]
    assert call(served, "desk_count", {}, person)["structuredContent"]["result"] == 1


def test_a_body_over_four_mebibytes_is_not_read(served: Served) -> None:
    body = request_with(json.dumps("x" * (4 * MIB + 1)))
    assert raw(served, body).status_code == 413
    assert legacy(served, body).status_code == 413


def test_what_is_not_json_is_a_parse_error(served: Served) -> None:
    for body in (b"", b"{", b"nonsense", b"\xff\xfe\x00", b'{"jsonrpc": "2.0", "id": 1,}'):
        for answer in (raw(served, body), legacy(served, body)):
            assert answer.status_code == 400, body
            assert answer.json()["error"]["code"] == -32700, body


def test_json_that_is_no_request_is_an_error(served: Served) -> None:
    for body in (b"[]", b"5", b"null", b'"x"', b"{}", b'{"jsonrpc": "1.0"}', b'{"jsonrpc":"2.0","id":1,"method":7}'):
        for answer in (raw(served, body), legacy(served, body)):
            assert 400 <= answer.status_code < 500, (body, answer.status_code, answer.text)
            assert answer.json()["error"]["code"] in (-32600, -32700, -32602, -32601), (body, answer.text)


@pytest.mark.parametrize("depth", [100, 2_000, 200_000])
def test_deep_nesting_is_refused(served: Served, depth: int, person: str) -> None:
    body = request_with("[" * depth + "]" * depth)
    answer = raw(served, body, **{PERSON: person})
    assert answer.status_code in (200, 400), answer.text
    said = answer.json()
    if "result" in said:
        assert refusal(said["result"])["code"] == "invalid_arguments"
    else:
        assert said["error"]["code"] in (-32700, -32600, -32602), said
    assert legacy(served, body).status_code < 500


def test_a_lone_surrogate_is_refused_wherever_it_stands(served: Served, person: str) -> None:
    lone = r'"\ud800"'
    text = raw(served, request_with(lone), **{PERSON: person}).json()
    assert "error" in text or refusal(text["result"])["code"] == "invalid_arguments", text
    calls: list[dict[str, Any]] = [
        {"name": "desk_stamp", "arguments": {"session": "\ud800"}},
        {"name": "desk_stamp", "arguments": {"\ud800": 1}},
        {"name": "desk_stamp", "arguments": {}, "_meta": {"turnkeeper/key": "\ud800"}},
        {"name": "start_session", "arguments": {"world": "\ud800"}},
        {"name": "share_session", "arguments": {"world": "desk", "person": "\ud800"}},
    ]
    for params in calls:
        given = {**params, "_meta": {**META, **params.get("_meta", {})}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given}
        answer = raw(served, json.dumps(body).encode(), name=params["name"], **{PERSON: person})
        assert answer.status_code in (200, 400), (params, answer.text)
        said = answer.json()
        assert ("result" in said and said["result"]["isError"]) or said["error"]["code"] in (-32602, -32700), (
            params,
            said,
        )
    assert call(served, "list_sessions", {}, person)["structuredContent"]["result"]["sessions"] == []
    resume = {"name": "desk_resume", "arguments": {"session": "\ud800"}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": resume}
    answer = raw(served, json.dumps(body).encode(), **{**raw_headers("prompts/get", resume), PERSON: person})
    assert answer.json()["error"]["code"] == -32602, answer.text


def test_a_nul_is_text_like_any_other(served: Served, person: str) -> None:
    written = call(served, "desk_write", {"text": "a\u0000b"}, person)
    assert written["structuredContent"]["result"]["text"] == "a\u0000b"
    rows = call(served, "get_session", {"world": "desk"}, person)["structuredContent"]["result"]["rows"]
    assert rows["desk__note"] == [{"id": 1, "text": "a\u0000b"}]


def test_requests_from_other_sites_are_refused(served: Served) -> None:
    body = request_with('"x"')
    for send in (raw, legacy):
        assert send(served, body, host="evil.example").status_code == 421
        assert send(served, body, origin="https://evil.example").status_code == 403
    assert raw(served, body, origin=served.url).status_code == 200


def test_the_modern_wire_has_only_post(served: Served) -> None:
    for verb in ("GET", "DELETE", "PUT"):
        assert raw(served, b"", verb=verb).status_code == 405, verb


def test_a_world_that_is_not_there_is_answered_with_those_that_are(served: Served) -> None:
    answer = raw(served, request_with('"x"'), path="/worlds/moon/mcp")
    assert answer.status_code == 404
    assert "desk" in answer.json()["reason"]


def test_an_unknown_protocol_revision_is_answered_with_the_known_ones(served: Served) -> None:
    future = "2031-01-01"
    body = request_with('"x"', **{"io.modelcontextprotocol/protocolVersion": future})
    answer = raw(served, body, **{"mcp-protocol-version": future})
    assert answer.status_code == 400
    assert "2026-07-28" in answer.text


# what keeps a server from starting


def run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that should end by itself."""
    variables = {**environment(folder), "TURNKEEPER_PORT": "0", **settings}
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *(command or ("serve",))],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def assert_refused(ended: subprocess.CompletedProcess[str], *words: str, code: int) -> None:
    said = ended.stderr
    assert ended.returncode == code, (ended.returncode, said)
    assert "Traceback" not in said and "Traceback" not in ended.stdout
    for word in words:
        assert word in said, said


def test_authorization_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    assert_refused(run(tmp_path, TURNKEEPER_AUTH="maybe"), "TURNKEEPER_AUTH=maybe", code=2)
    assert list(tmp_path.iterdir()) == []


def test_without_authorization_a_server_listens_on_loopback_only(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "example.org"):
        assert_refused(run(tmp_path, TURNKEEPER_HOST=host), f"TURNKEEPER_HOST={host}", "127.0.0.1", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert_refused(run(tmp_path, TURNKEEPER_PORT=port), f"127.0.0.1:{port}", "TURNKEEPER_PORT", code=1)


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "turnkeeper.db"
    file.write_bytes(b"Dear diary, " * 1000)
    for command in ("serve", "stdio"):
        assert_refused(run(tmp_path, command), str(file), "not a Turnkeeper database", code=3)
    assert file.read_bytes() == b"Dear diary, " * 1000


def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    with serving(tmp_path, WORLDS, command=PEOPLE) as served:
        for _ in range(30):
            call(served, "desk_write", {"text": "x" * 3000}, "ada")
    file = tmp_path / "turnkeeper.db"
    with sqlite3.connect(file) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    db.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))
    assert_refused(run(tmp_path, "serve"), str(file), "damaged", "backup", code=3)
    file.write_bytes(whole)
    with serving(tmp_path, WORLDS, command=PEOPLE) as served:
        assert call(served, "desk_count", {}, "ada")["structuredContent"]["result"] == 30


def test_a_database_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(folder):
        pass
    (folder / "server.log").unlink()
    file = folder / "turnkeeper.db"
    # Root may write whatever the file's mode says, so root has to give that up first.
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    file.chmod(0o400)
    folder.chmod(0o500)
    try:
        ended = subprocess.run(
            [*powerless, sys.executable, "-m", "engine.cli", "serve"],
            cwd=ROOT,
            env={**environment(folder), "TURNKEEPER_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        folder.chmod(0o700)
    assert_refused(ended, str(folder), code=3)
    assert "read-only" in ended.stderr or "cannot be opened" in ended.stderr


def test_a_data_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    assert_refused(run(tmp_path, TURNKEEPER_DATA_DIR=str(folder)), str(folder), "TURNKEEPER_DATA_DIR", code=3)


def test_worlds_that_cannot_be_loaded_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from engine import World\nclass Broken(World:\n")
    assert_refused(run(tmp_path, TURNKEEPER_WORLDS_PATH=str(tmp_path)), "broken.py", code=1)
    assert_refused(run(tmp_path, TURNKEEPER_WORLDS_PATH="/no/such/folder"), "/no/such/folder", code=1)


def test_a_world_that_is_not_there_cannot_be_served_on_pipes(tmp_path: Path) -> None:
    assert_refused(run(tmp_path, "stdio", "--world", "moon"), "moon", "counter", code=1)


# what goes wrong while it serves


def test_a_database_that_can_grow_no_more_refuses_and_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    served = start(tmp_path, WORLDS, command=PEOPLE)
    try:
        call(served, "desk_stamp", {}, "ada")
        before = log.stat().st_size
        limit = max(before, max(file.stat().st_size for file in tmp_path.iterdir())) + 200_000
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        acknowledged, failed = [], None
        for number in range(200):
            result = call(served, "desk_write", {"text": f"{number} " + "x" * 10_000}, "ada")
            if result["isError"]:
                failed = refusal(result)
                break
            acknowledged.append(result["structuredContent"]["revision"])
        # Where the limit is met while the commit is being written, nobody can say at once what the disk has.
        assert failed is not None and failed["code"] in ("store", "outcome_unknown"), failed
        assert ("nothing was changed" in failed["content"]) == (failed["code"] == "store")
        assert call(served, "desk_count", {}, "ada")["structuredContent"]["result"] == len(acknowledged)
        assert "Traceback" not in json.dumps(failed)
    finally:
        served.kill()
    with serving(tmp_path, WORLDS, command=PEOPLE) as again:
        assert call(again, "desk_count", {}, "ada")["structuredContent"]["result"] == len(acknowledged)
        changes = call(again, "session_history", {"world": "desk", "limit": 500}, "ada")
        revisions = [change["revision"] for change in changes["structuredContent"]["result"]["changes"]]
        assert revisions == list(range(1, acknowledged[-1] + 1))
        assert call(again, "desk_write", {"text": "room again"}, "ada")["structuredContent"]["revision"]


def test_a_database_that_others_hold_is_said_to_be_busy_and_then_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, WORLDS, command=PEOPLE) as served:
        first = call(served, "desk_write", {"text": "one"}, "ada")["structuredContent"]
        other = sqlite3.connect(tmp_path / "turnkeeper.db", isolation_level=None)
        try:
            other.execute("begin immediate")
            message = refusal(call(served, "desk_write", {"text": "two"}, "ada"))
            assert message["code"] == "busy" and "Try again" in message["content"]
            assert call(served, "desk_count", {}, "ada")["structuredContent"]["revision"] == first["revision"]
        finally:
            other.rollback()
            other.close()
        assert call(served, "desk_write", {"text": "two"}, "ada")["structuredContent"]["revision"] == 3
