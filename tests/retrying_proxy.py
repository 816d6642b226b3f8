"""A proxy in front of several servers that retries as nginx (``proxy_next_upstream``) or Envoy (``retry_on``) would, no more.

client -> proxy -> the next ready server, round robin
                -> another one, where the connection was refused or reset before an answer began, or on 503 with Retry-After
                -> 502, where every server was tried once
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

_HEALTH_SECONDS = 0.2
_IDLE_SECONDS = 2.0
"""A kept connection that was idle for longer is not used again: the server closes it after 5 s."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Message:
    """A request or an answer."""

    start: str
    """First line."""
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start.split()[1])

    @property
    def says_close(self) -> bool:
        """Whether its connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"

    def encoded(self) -> bytes:
        """As it goes over a connection that is kept."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers.items() if name != "connection")]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


BAD_GATEWAY = Message("HTTP/1.1 502 Bad Gateway", {"content-length": "0"}, b"")


class Ended(Exception):
    """The connection ended before a message began."""


class Refused(ConnectionError):
    """No connection came to be."""


async def read_message(reader: asyncio.StreamReader) -> Message:
    """The next one, whole. Raises: Ended. ConnectionError, IncompleteReadError: the connection ended in the middle of it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (ConnectionError, asyncio.IncompleteReadError) as end:
        if getattr(end, "partial", b""):
            raise
        raise Ended from end
    start, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Message(start, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@dataclass
class Backend:
    """One server."""

    port: int
    """Of 127.0.0.1; may change while the server restarts."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where the last look at /readyz said so."""
    _idle: list[tuple[Connection, float]] = field(default_factory=list)

    async def ask(self, request: Message) -> Message:
        """Send one request. Raises: Refused. Ended: before an answer began. Others: in the middle of it."""
        reader, writer = self._kept() or await self._connect()
        try:
            writer.write(request.encoded())
            answer = await read_message(reader)
        except BaseException:
            writer.close()
            raise
        self._keep((reader, writer), answer)
        return answer

    async def look(self) -> None:
        """Ask for its readiness, over a new connection."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\n\r\n")
            is_ready = (await read_message(reader)).status == 200
            writer.close()
        except (OSError, Ended, asyncio.IncompleteReadError):
            is_ready = False
        if is_ready:
            self.ready.set()
        else:
            self.ready.clear()

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop()[0][1].close()

    async def _connect(self) -> Connection:
        """A new one. One that a listener had not taken yet when it was closed is reset, not refused."""
        try:
            return await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError as error:
            raise Refused from error

    def _keep(self, connection: Connection, answer: Message) -> None:
        if answer.says_close:
            connection[1].close()
        else:
            self._idle.append((connection, monotonic()))

    def _kept(self) -> Connection | None:
        while self._idle:
            (reader, writer), since = self._idle.pop()
            if not reader.at_eof() and monotonic() - since < _IDLE_SECONDS:
                return reader, writer
            writer.close()
        return None


class RetryingProxy:
    """Listens on a free port of 127.0.0.1 for as long as the ``async with`` lasts."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.port = 0
        self.retries: Counter[str] = Counter()
        """Requests that went to another server, by reason: ``refused``, ``ended`` or ``503``."""
        self._backends, self._next = backends, 0
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._watch = asyncio.create_task(self._look_at_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        self._server.close()
        for writer in self._clients:
            writer.close()
        for backend in self._backends:
            backend.close()
        await self._server.wait_closed()

    async def _look_at_all(self) -> None:
        while True:
            await asyncio.gather(*(backend.look() for backend in self._backends))
            await asyncio.sleep(_HEALTH_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection; it ends where an answer stops in the middle."""
        self._clients.add(writer)
        with suppress(ConnectionError, Ended, asyncio.IncompleteReadError):
            while True:
                answer = await self._forward(await read_message(reader))
                writer.write(answer.encoded())
                await writer.drain()
        self._clients.discard(writer)
        writer.close()

    async def _forward(self, request: Message) -> Message:
        answer = BAD_GATEWAY
        for backend in self._in_turn():
            try:
                answer = await backend.ask(request)
            except Refused:
                self.retries["refused"] += 1
            except Ended:
                self.retries["ended"] += 1
            else:
                if answer.status != 503 or "retry-after" not in answer.headers:
                    return answer
                self.retries["503"] += 1
        return answer

    def _in_turn(self) -> Iterator[Backend]:
        """Each once, those that are ready first."""
        self._next += 1
        start = self._next % len(self._backends)
        turns = [*self._backends[start:], *self._backends[:start]]
        yield from sorted(turns, key=lambda backend: not backend.ready.is_set())
