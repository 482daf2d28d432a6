"""The server that is killed: a process forked from a warm one, so that a kill costs little."""

import json
import socket
from threading import Thread
from typing import Any

import uvicorn

from engine import failpoints
from engine.application import opened
from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL, Outcome
from engine.web.app import build_app
from tests.crash.ledger import Ledger

LEDGER = Ledger.definition.name


def serve(kind: str, listener: socket.socket, url: str, failpoint: str | None) -> None:
    """Serve a database's ledgers on a listening socket, as `lines` of JSON or as real `http`, until killed."""
    with opened(settings(url), Registry([Ledger])) as dispatcher:
        failpoints.arm(failpoint)
        {"lines": _lines, "http": _http}[kind](dispatcher, listener)


def settings(url: str) -> Settings:
    """The settings of every process that has to do with a database. Whatever changes two rows is written ahead."""
    return Settings(database_url=url, auth="off", limit_sessions=1_000_000, limit_at_once=1)


def answered(dispatcher: Dispatcher, request: dict[str, Any]) -> dict[str, Any]:
    """What comes of one request."""
    try:
        outcome = _carried_out(dispatcher, **request)
    except EngineError as error:
        return {"refused": error.rule}
    return {
        "session": outcome.session,
        "revision": outcome.revision,
        "value": outcome.value,
        "replayed": outcome.replayed,
    }


def _carried_out(dispatcher: Dispatcher, *, session: str, action: str, arguments: dict[str, Any], key: str) -> Outcome:
    if action == "start":
        return dispatcher.start(LOCAL, LEDGER, key=key)
    if action == "fork":
        return dispatcher.fork(LOCAL, session, arguments["at"], key=key)
    call = Call(principal=LOCAL, world=LEDGER, session=session, action=action, arguments=arguments, key=key)
    return dispatcher.dispatch(call)


def _lines(dispatcher: Dispatcher, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        Thread(target=_talk, args=(dispatcher, connection), daemon=True).start()


def _talk(dispatcher: Dispatcher, connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rwb") as file:
        for line in file:
            file.write(json.dumps(answered(dispatcher, json.loads(line))).encode() + b"\n")
            file.flush()


def _http(dispatcher: Dispatcher, listener: socket.socket) -> None:
    app = build_app(dispatcher, ("127.0.0.1",))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
