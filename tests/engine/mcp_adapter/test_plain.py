"""Plain calls: what is answered without the SDK is answered as it would, and what is not plain goes to it."""

import json
from typing import Any

import httpx2
import pytest
from mcp_types import methods

from tests.engine.mcp_adapter.answers import begun
from tests.serving import MODERN, PERSON, SECONDS, TLS, Served, post, raw_headers

TURNED = {"accept": "text/event-stream, application/json"}
"""An Accept header that means the same, but that the plain way does not know."""

DESK, EXACT = "/worlds/desk/mcp", "/worlds/verbatim/mcp"


def plainly(answer: httpx2.Response) -> bool:
    """Whether it was answered without the SDK, which writes ASCII only."""
    assert answer.headers["content-type"] == "application/json"
    return "·".encode() in answer.content


def send(served: Served, body: object, headers: dict[str, str] | None = None, path: str = DESK) -> httpx2.Response:
    named = {**raw_headers("tools/call", {"name": "count"}), **(headers or {})}
    text = body if isinstance(body, str) else json.dumps(body)
    return httpx2.post(f"{served.url}{path}", content=text, headers=named, timeout=SECONDS, verify=TLS)


def counting(**changed: Any) -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "count", "arguments": {}, "_meta": meta, **changed.pop("params", {})}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params, **changed}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("count", {}),
        ("write", {"text": 5}),
        ("write", {}),
        ("unlock", {}),
        ("count", {"session": "ses_nobodys"}),
        ("count", {"session": 5}),
        ("write", {"text": "x", "if_revision": 7}),
    ],
)
def test_a_plain_call_is_answered_as_the_sdk_would(
    served: Served, person: str, name: str, arguments: dict[str, Any]
) -> None:
    begun(served, person)
    post(served, DESK, "tools/call", {"name": "stamp", "arguments": {}}, person=person)
    params = {"name": name, "arguments": arguments}
    plain = post(served, DESK, "tools/call", params, person=person)
    turned = post(served, DESK, "tools/call", params, person=person, headers=TURNED)
    assert (plain.status_code, plain.json()) == (turned.status_code, turned.json())
    assert not plainly(turned)


def test_a_result_is_whole_by_the_protocols_own_schema(served: Served, person: str) -> None:
    for name in ("stamp", "count", "unlock"):
        answer = post(served, DESK, "tools/call", {"name": name, "arguments": {}}, person=person)
        assert plainly(answer)
        result = answer.json()["result"]
        assert methods.serialize_server_result("tools/call", MODERN, result) == result
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "turnkeeper-desk"
        assert result["resultType"] == "complete"


def test_a_plain_call_on_all_worlds_together(served: Served, person: str) -> None:
    assert plainly(post(served, "/mcp", "tools/call", {"name": "desk_count", "arguments": {}}, person=person))


def test_an_error_that_nobody_foresaw_is_as_opaque_either_way(served: Served, person: str) -> None:
    for headers in ({}, TURNED):
        answer = post(
            served, DESK, "tools/call", {"name": "spill", "arguments": {}}, person=person, headers=headers
        ).json()
        assert answer["error"]["code"] == -32603
        assert "blot" not in answer["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, -32700),
        ("[]", 400, -32600),
        ([counting()], 400, -32600),
        (counting(jsonrpc="1.0"), 400, -32600),
        (counting(id=None), 400, -32600),
        (counting(id=True), 400, -32600),
        (counting(method="tools/list"), 400, -32020),
        (counting(params={"_meta": None}), 400, -32602),
        (counting(params={"_meta": {}}), 400, -32602),
        (counting(params={"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}}), 400, -32602),
        (counting(params={"name": "stamp"}), 400, -32020),
        (counting(params={"name": 5}), 400, -32020),
        (counting(params={"arguments": []}), 400, -32602),
        (counting(params={"requestState": "forged"}), 400, -32602),
    ],
)
def test_what_is_malformed_is_refused_as_the_protocol_says(
    served: Served, body: object, status: int, code: int
) -> None:
    answer = send(served, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "elsewhere.example"}, 421),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"content-type": "text/plain"}, 400),
        ({"accept": "text/html"}, 406),
        ({"mcp-method": "tools/list"}, 400),
        ({"mcp-name": "stamp"}, 400),
        ({"mcp-protocol-version": "2099-01-01"}, 400),
    ],
)
def test_headers_are_checked_as_the_protocol_says(served: Served, headers: dict[str, str], status: int) -> None:
    assert send(served, counting(), headers).status_code == status


def test_a_routing_header_that_comes_twice_is_refused(served: Served) -> None:
    headers = [*raw_headers("tools/call", {"name": "count"}).items(), ("mcp-name", "stamp")]
    answer = httpx2.post(f"{served.url}{DESK}", json=counting(), headers=headers, timeout=SECONDS, verify=TLS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


def test_a_page_of_our_own_may_call(served: Served, person: str) -> None:
    answer = send(served, counting(), {"origin": served.url, PERSON: person})
    assert answer.json()["result"]["isError"] is False


def test_an_exact_contract_is_kept_to_the_letter_either_way(served: Served, person: str) -> None:
    listed = post(served, EXACT, "tools/list", person=person).json()["result"]["tools"]
    for tool in listed:
        params = {"name": tool["name"], "arguments": {}}
        plain = post(served, EXACT, "tools/call", params, person=person).json()
        turned = post(served, EXACT, "tools/call", params, person=person, headers=TURNED).json()
        for answer in (plain, turned):
            answer.get("result", {}).pop("_meta", None)
        assert plain.get("result", {}).keys() == turned.get("result", {}).keys(), tool["name"]
