"""A load generator that costs little: one asyncio task per request over kept-alive HTTP/1.1 connections.

Latency is counted from the moment at which a request was meant to be sent, so that a server that falls behind is charged
for the wait (Gil Tene's "coordinated omission").
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """One request, as its client saw it."""

    status: int
    """HTTP status; 0 where there was no answer."""
    latency_seconds: float
    """From the intended send time to the last byte of the answer."""


class Client:
    """Kept-alive connections to one server; each carries one request at a time."""

    def __init__(self, host: str, port: int, path: str = "/classify?top_k=1") -> None:
        self._host, self._port, self._path = host, port, path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes, intended: float | None = None) -> Reply:
        """Send one video. ``intended`` is the planned send time on ``time.perf_counter``'s clock; None: now."""
        start = time.perf_counter() if intended is None else intended
        try:
            reader, writer = self._kept() or await asyncio.open_connection(self._host, self._port)
            head = (
                f"POST {self._path} HTTP/1.1\r\nHost: bench\r\nContent-Type: video/mp4\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode())
            writer.write(body)
            status = await _read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return Reply(0, time.perf_counter() - start)
        self._idle.append((reader, writer))
        return Reply(status, time.perf_counter() - start)

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that the server has not closed meanwhile."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:")).split(":")[1]
    await reader.readexactly(int(length))
    return int(head.split()[1])


async def closed_loop(client: Client, videos: Sequence[bytes], clients: int, seconds: float) -> tuple[list[Reply], float]:
    """``clients`` callers, each of which sends its next video when it has its answer. Replies, and the seconds it took."""
    start = time.perf_counter()
    replies: list[Reply] = []

    async def caller(first: int) -> None:
        index = first
        while time.perf_counter() - start < seconds:
            replies.append(await client.post(videos[index % len(videos)]))
            index += clients

    await asyncio.gather(*(caller(i) for i in range(clients)))
    return replies, time.perf_counter() - start


async def open_loop(client: Client, videos: Sequence[bytes], rate: float, seconds: float) -> tuple[list[Reply], float]:
    """Poisson arrivals at ``rate`` a second, whatever the server does. Replies, and the seconds until the last."""
    arrivals, start = random.Random(0), time.perf_counter()
    tasks, due, index = [], start, 0
    while (due := due + arrivals.expovariate(rate)) < start + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(client.post(videos[index % len(videos)], due)))
        index += 1
    return list(await asyncio.gather(*tasks)), time.perf_counter() - start
