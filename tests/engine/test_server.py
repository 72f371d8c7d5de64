"""The HTTP shell: auth, statuses, keep-alive, and what a hang-up cancels."""

import base64
import json
import socket
from contextlib import asynccontextmanager

import anyio
import pytest

from pipelines.engine.server import Server

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@asynccontextmanager
async def serving(answer):
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    async with anyio.create_task_group() as group:
        group.start_soon(Server(answer, "token").serve, listening)
        yield port
        group.cancel_scope.cancel()


async def echo(request):
    return json.dumps({"data": request.query, "trace": request.traceparent}).encode()


def message(body: bytes, *, token="token", path="/query", method="POST", extra="") -> bytes:
    auth = base64.b64encode(f"{token}:".encode()).decode()
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {auth}\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


QUERY = json.dumps({"query": "{version}"}).encode()


async def roundtrip(port: int, request: bytes) -> tuple[int, bytes]:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        reply = await stream.receive()
        head, _, body = reply.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


async def test_a_query_is_answered_with_its_trace():
    async with serving(echo) as port:
        status, body = await roundtrip(port, message(QUERY, extra="traceparent: 00-a-b-01\r\n"))
    assert (status, json.loads(body)) == (200, {"data": "{version}", "trace": "00-a-b-01"})


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (message(QUERY, token="other"), 401),
        (message(QUERY, path="/elsewhere"), 404),
        (message(QUERY, method="PUT"), 405),
        (message(b"not json"), 400),
        (message(b"[]"), 400),
        (message(b'{"query": 3}'), 400),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_what_is_refused_says_so(request_bytes, status):
    async with serving(echo) as port:
        assert (await roundtrip(port, request_bytes))[0] == status


async def test_a_connection_serves_many_queries():
    async with serving(echo) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        for _ in range(3):
            await stream.send(message(QUERY))
            assert b"200" in (await stream.receive()).split(b"\r\n")[0]


async def test_a_client_that_hangs_up_cancels_its_query():
    begun, cancelled = anyio.Event(), anyio.Event()

    async def endless(request):
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with serving(endless) as port:
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.send(message(QUERY))
        await begun.wait()
        await stream.aclose()
        with anyio.fail_after(10):
            await cancelled.wait()
