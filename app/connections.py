"""What a connection may cost before and after it is a request: time, bytes, headers, and how many there are.

uvicorn has no such limits: a connection that is silent, or sends its head a byte a minute, stays open for ever, and its parser
takes 300 KB of headers. ``timeout_keep_alive`` begins after an answer only, and no ASGI application sees a request before its
head is complete. What a caller does not read is kept for ever, too. So the limits sit in the protocol. (https://github.com/encode/uvicorn/issues/157)
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http_parser import UpgradeIgnoringParser
from app.observability import metrics

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class ConnectionLimits:
    """What the server grants to whoever connects."""

    max_connections: int
    """One more is closed at once."""
    head_timeout_seconds: float
    """From connecting, or from the first byte on a connection that is kept, to the last byte of the head."""
    send_timeout_seconds: float
    """For the caller to take what the kernel has no room for any more."""


class HeadTooLarge(Exception):
    """Raised through the parser, which stops there."""


class NoProxy(Exception):
    """Raised through the parser, which would take what follows a ``CONNECT`` for another protocol."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with limits. What breaks one is closed, after a 431 where the head is too large."""

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = UpgradeIgnoringParser(self, self._head_without_wish)
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._head_bytes = self._num_headers = 0
        self._answering: RequestResponseCycle | None = None
        self._unparsed_bytes = 0
        """Since the parser last had something to tell: the part of a line that has no end yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        metrics.CONNECTIONS.set(len(self.connections))
        if len(self.connections) > self.limits.max_connections:
            metrics.CONNECTIONS_REFUSED.labels("too_many").inc()
            transport.abort()
        else:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_send_timer()
        super().connection_lost(exc)
        if self._answering:  # uvicorn tells the request that came last, which is another where requests are pipelined
            self._answering.disconnected = True
            self._answering.message_event.set()
        metrics.CONNECTIONS.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        elif self.cycle is None or self.cycle.response_complete:
            self._start_head_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        self._stop_send_timer()
        super().resume_writing()
        self._bound_close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._bound_close()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._bound_close()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn where the parser stopped."""
        if self._head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            self._refuse_head()
        else:
            metrics.CONNECTIONS_REFUSED.labels("not_http").inc()
            super().send_400_response(msg)
            self._bound_close()

    def on_message_begin(self) -> None:
        self._head_bytes = self._num_headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._num_headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        if self.parser.get_method() == b"CONNECT":
            raise NoProxy
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        """Asked by uvicorn only where the request wishes for it: it does nothing then, and the request is read again."""
        return True

    def _head_without_wish(self) -> bytes:
        start = f"{self.scope['method']} ".encode() + self.url + f" HTTP/{self.scope['http_version']}\r\n".encode()
        fields = (name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade")
        return start + b"".join(fields) + b"\r\n"

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def _count(self, num_bytes: int) -> None:
        """Heads and, as they come here too, the trailers of a chunked body."""
        self._unparsed_bytes = 0
        self._head_bytes += num_bytes
        if self._head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            raise HeadTooLarge

    def _refuse_head(self) -> None:
        metrics.CONNECTIONS_REFUSED.labels("head_too_large").inc()
        self.transport.write(_TOO_LARGE)
        self.transport.close()
        self._bound_close()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_timeout_seconds, self._give_up, "head_timeout")

    def _give_up(self, reason: str) -> None:
        metrics.CONNECTIONS_REFUSED.labels(reason).inc()
        self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _bound_close(self) -> None:
        """A transport that closes waits for its caller to take the rest, for ever."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._start_send_timer()

    def _start_send_timer(self) -> None:
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self.limits.send_timeout_seconds, self._give_up, "send_timeout")

    def _stop_send_timer(self) -> None:
        if self._send_timer:
            self._send_timer.cancel()
            self._send_timer = None


def limited_protocol(limits: ConnectionLimits) -> type[LimitedProtocol]:
    """The class for ``uvicorn.Config(http=...)``, which makes one object for each connection and hands it no settings."""
    return type("ConfiguredProtocol", (LimitedProtocol,), {"limits": limits})
