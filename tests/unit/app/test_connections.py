"""What stands in front of every request."""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.connections import ConnectionLimits, LimitedProtocol, limited_protocol

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
