"""What stands in front of every request."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.connections import ConnectionLimits, LimitedProtocol, limited_protocol
from app.observability import metrics

LIMITS = ConnectionLimits(max_connections=1, head_timeout_seconds=2.0, send_timeout_seconds=3.0)


def test_requests_are_parsed_by_httptools_within_limits() -> None:
    """Where it is not told, uvicorn takes another parser if this one is missing, without limits of ours."""
    config = uvicorn.Config("app.main:none", http=limited_protocol(LIMITS))
    assert isinstance(config.http, type)
    assert issubclass(config.http, LimitedProtocol)
    assert issubclass(LimitedProtocol, HttpToolsProtocol)
    assert config.http.limits == LIMITS


class Unread(asyncio.Transport):
    """A connection whose caller takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = self.aborted = False

    def get_write_buffer_size(self) -> int:
        return 10

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.mark.parametrize(
    "sent",
    [b"\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"],
    ids=["not HTTP", "too large a head"],
)
def test_a_connection_that_is_closed_with_bytes_unread_is_not_waited_for(sent: bytes) -> None:
    async def connection() -> None:
        transport = Unread()
        limits = ConnectionLimits(max_connections=1, head_timeout_seconds=60.0, send_timeout_seconds=0.0)
        config = uvicorn.Config("app.main:none", http=limited_protocol(limits), log_config=None)
        config.load_app = lambda: None  # type: ignore[method-assign,assignment]
        protocol = limited_protocol(limits)(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(transport)
        protocol.data_received(sent)
        assert transport.closing
        for _ in range(3):
            await asyncio.sleep(0)
        assert transport.aborted
        protocol.connection_lost(None)

    asyncio.run(connection())


KERNEL_BYTES = 4096
"""Of the buffers on both sides, which the kernel enlarges several times and no further once they are set."""
ANSWER_BYTES = 60_000
"""More than the kernel keeps, less than the 64 KiB from which a transport holds up who writes."""


async def answers(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(ANSWER_BYTES).encode())]})
    await send({"type": "http.response.body", "body": b"x" * ANSWER_BYTES})


def test_a_caller_that_leaves_the_end_of_its_last_answer_unread_is_closed() -> None:
    """Too little to hold up the server, and yet a connection that would wait for ever to be closed."""
    refused = metrics.CONNECTIONS_REFUSED.labels("send_timeout")
    before = refused._value.get()

    async def serve(listener: socket.socket, caller: socket.socket) -> None:
        limits = ConnectionLimits(max_connections=1, head_timeout_seconds=60.0, send_timeout_seconds=0.2)
        server = uvicorn.Server(uvicorn.Config(answers, http=limited_protocol(limits), lifespan="off", log_config=None))
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        await asyncio.to_thread(caller.sendall, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while refused._value.get() == before:  # noqa: ASYNC110 - a metric tells nobody
            await asyncio.sleep(0.01)
        server.should_exit = True
        await serving

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as caller:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        caller.settimeout(60)
        caller.connect(listener.getsockname())
        asyncio.run(asyncio.wait_for(serve(listener, caller), 60))
        received = sum(len(part) for part in iter(lambda: caller.recv(65536), b""))
    assert 0 < received < ANSWER_BYTES
