"""Responses leave in one write: on a real transport, over a pair of sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from engine.web.writing import HeldTransport


def test_what_is_written_in_one_turn_leaves_at_once_and_in_order() -> None:
    async def written(held: HeldTransport, client: socket.socket) -> None:
        held.write(b"head ")
        with pytest.raises(BlockingIOError):
            client.recv(100)
        held.write(b"body")
        assert client.recv(100) == b"head body"

    _run(written)


def test_a_head_alone_leaves_when_the_turn_is_over() -> None:
    async def written(held: HeldTransport, client: socket.socket) -> None:
        held.write(b"head")
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b"head"
        held.write(b"first event")
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b"first event"

    _run(written)


def test_what_is_held_when_the_connection_is_closed_still_leaves() -> None:
    async def written(held: HeldTransport, client: socket.socket) -> None:
        held.write(b"goodbye")
        held.close()
        assert held.is_closing()
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b"goodbye"
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b""

    _run(written)


def _run(written: Callable[[HeldTransport, socket.socket], Awaitable[None]]) -> None:
    async def on_a_connection() -> None:
        loop = asyncio.get_running_loop()
        server, client = socket.socketpair()
        client.setblocking(False)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, server)
        try:
            await written(HeldTransport(transport, loop), client)
        finally:
            transport.close()
            client.close()

    asyncio.run(on_a_connection())
