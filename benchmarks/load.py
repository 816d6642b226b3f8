"""A load generator that costs little: one asyncio task per request over kept-alive HTTP/1.1 connections.

Latency is counted from the moment at which a request was meant to be sent, so that a server that falls behind is charged
for the wait (Gil Tene's "coordinated omission").
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

NO_ANSWER, GAVE_UP = 0, -1
"""What stands for the status where there is none: the connection broke, or the client's patience ended."""


@dataclass(frozen=True)
class Reply:
    """One request, as its client saw it."""

    status: int
    """HTTP status; ``NO_ANSWER`` or ``GAVE_UP`` where there was no answer."""
    latency_seconds: float
    """From the intended send time to the last byte of the answer."""
    body: bytes = b""
    retry_after: str | None = None
    """Value of the header, where the answer had one."""


@dataclass
class Client:
    """Kept-alive connections to one server; each carries one request at a time."""

    host: str
    port: int
    path: str = "/classify?top_k=1"
    patience_seconds: float | None = None
    """After the intended send time; then a request is given up and its connection closed. None: never."""
    max_connections: int = 512
    """Open at once; a request waits for one as long as its patience lasts."""
    headers: Sequence[str] = ("Content-Type: video/mp4",)
    """Lines without their ends."""

    def __post_init__(self) -> None:
        self._head = "\r\n".join([f"POST {self.path} HTTP/1.1", "Host: bench", *self.headers, "Content-Length: "]).encode()
        self._places = asyncio.Semaphore(self.max_connections)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes, intended: float | None = None) -> Reply:
        """Send one video. ``intended`` is the planned send time on ``time.perf_counter``'s clock; None: now."""
        start = time.perf_counter() if intended is None else intended
        left = None if self.patience_seconds is None else start + self.patience_seconds - time.perf_counter()
        try:
            async with asyncio.timeout(left), self._places:
                return await self._exchange(body, start)
        except TimeoutError:
            return Reply(GAVE_UP, time.perf_counter() - start)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return Reply(NO_ANSWER, time.perf_counter() - start)

    def close(self) -> None:
        """Close the connections that carry no request."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange(self, body: bytes, start: float) -> Reply:
        """Raises: OSError, asyncio.IncompleteReadError: the connection broke. ValueError: the answer is not HTTP."""
        reader, writer = self._kept() or await asyncio.open_connection(self.host, self.port)
        keep = False
        try:
            writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n")
            writer.write(body)
            status, headers, answer = await _read_answer(reader)
            keep = headers.get("connection") != "close"
        finally:
            self._idle.append((reader, writer)) if keep else writer.close()
        return Reply(status, time.perf_counter() - start, answer, headers.get("retry-after"))

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that the server has not closed meanwhile."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().rstrip().split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    _, code, *_ = first.split()  # a ValueError where there is no code
    status = int(code)
    if headers.get("transfer-encoding") == "chunked":
        return status, headers, b"".join([chunk async for chunk in _chunks(reader)])
    if "content-length" not in headers:
        raise ValueError("an answer without a length")
    return status, headers, await reader.readexactly(int(headers["content-length"]))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body; no trailers are expected."""
    while length := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(length + 2))[:-2]
    await reader.readexactly(2)


async def closed_loop(client: Client, videos: Sequence[bytes], clients: int, seconds: float) -> tuple[list[Reply], float]:
    """``clients`` callers, each of which sends its next video when it has its answer. Replies, and the seconds it took.

    A caller that is refused with a ``Retry-After`` waits that long; one that would come back after the end does not.
    """
    start = time.perf_counter()
    replies: list[Reply] = []

    async def caller(first: int) -> None:
        index = first
        while time.perf_counter() - start < seconds:
            reply = await client.post(videos[index % len(videos)])
            replies.append(reply)
            index += clients
            if reply.retry_after:
                pause = float(reply.retry_after)
                if time.perf_counter() + pause - start >= seconds:
                    return
                await asyncio.sleep(pause)

    await asyncio.gather(*(caller(i) for i in range(clients)))
    return replies, max(seconds, time.perf_counter() - start)


async def open_loop(
    client: Client, videos: Sequence[bytes], rate: float, seconds: float, seed: int = 0
) -> tuple[list[Reply], float]:
    """Poisson arrivals at ``rate`` a second, whatever the server does. Replies, and the seconds until the last."""
    start = time.perf_counter()
    tasks = await send_open_loop(client, videos, rate, seconds, seed)
    return list(await asyncio.gather(*tasks)), time.perf_counter() - start


def poisson_arrivals(rate: float, seconds: float, seed: int = 0) -> Iterator[float]:
    """Times from the start, s, at which requests are to be sent."""
    gaps, at = random.Random(seed), 0.0
    while (at := at + gaps.expovariate(rate)) < seconds:
        yield at


async def send_open_loop(
    client: Client, videos: Sequence[bytes], rate: float, seconds: float, seed: int = 0
) -> "list[asyncio.Task[Reply]]":
    """Poisson arrivals at ``rate`` a second for ``seconds``; back when the last is sent, whatever is still unanswered."""
    start, tasks = time.perf_counter(), []
    for index, due in enumerate(start + at for at in poisson_arrivals(rate, seconds, seed)):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(client.post(videos[index % len(videos)], due)))
    await asyncio.sleep(max(0.0, start + seconds - time.perf_counter()))
    return tasks
