"""Requests of all kinds, good ones and a few bad, at random moments of a steady rate."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random

from tests.retrying_proxy import Backend, Ended, Message
from tests.robustness.mutation import mutant
from tests.robustness.seeds import Seed

MAX_UPLOAD_BYTES = 2 * 2**20
"""To be set on the server."""
BATCH_VIDEOS = 3
GOOD = {"raw": 16, "form": 2, "batch": 1, "timeline": 1}
BAD = {"broken": 2, "empty": 1, "leaves": 1, "leaves timeline": 1, "too large": 1, "cut form": 1}
"""Kinds of requests and how often each comes among its like."""
MAY_BE = {
    "raw": {200},
    "form": {200},
    "batch": {200},
    "timeline": {200},
    "broken": {200, 400, 413, 415, 422},
    "empty": {400},
    "leaves": set[int](),
    "leaves timeline": {200},
    "too large": {413},
    "cut form": {400},
}
OVERLOAD = {408, 429, 504}
"""Answers that say something about the machine, not about the request."""
NO_ANSWER = 0


@dataclass
class Traffic:
    """What is sent to one server, and what came back."""

    port: int
    videos: Sequence[bytes]
    seeds: Sequence[Seed]
    bad_share: float
    statuses: Counter[str] = field(default_factory=Counter)
    """By kind and status."""
    wrong: Counter[str] = field(default_factory=Counter)
    """Those that may not be."""

    def __post_init__(self) -> None:
        self._server, self._random, self._number = Backend(self.port), Random(0), 0

    @property
    def sent(self) -> int:
        """How many requests are over."""
        return self.statuses.total()

    async def steady(self, rate: float, seconds: float) -> None:
        """``rate`` requests a second on average, whatever the server does, and return when all are over."""
        due = start = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        while (due := due + self._random.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self.one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def capacity(self, clients: int, seconds: float) -> float:
        """Requests a second that ``clients`` get answered who wait for each answer before the next. They are not counted."""
        start = time.monotonic()

        async def client() -> None:
            while time.monotonic() < start + seconds:
                await self.one()

        await asyncio.gather(*(client() for _ in range(clients)))
        answered, self.statuses = self.statuses.total(), Counter()
        return answered / (time.monotonic() - start)

    async def one(self) -> None:
        """The next request, of a random kind."""
        self._number += 1
        kinds = BAD if self._random.random() < self.bad_share else GOOD
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        request = self._message(kind, self._random.choice(self.videos))
        if kind == "leaves":
            await self._leave(request)
            self.statuses[kind] += 1
            return
        try:
            if "timeline" in kind:
                status = await self._timeline(request, to_the_end=kind == "timeline")
            else:
                status = (await self._server.ask(request)).status
        except (OSError, Ended, asyncio.IncompleteReadError):
            status = NO_ANSWER
        self.statuses[f"{kind} {status}"] += 1
        if status not in MAY_BE[kind] | OVERLOAD:
            self.wrong[f"{kind} {status}"] += 1

    def _message(self, kind: str, video: bytes) -> Message:
        several = self._random.choices(self.videos, k=BATCH_VIDEOS)
        messages = {
            "form": lambda: _form("/classify", "file", [video]),
            "cut form": lambda: _form("/classify", "file", [video], end=b""),
            "batch": lambda: _form("/classify/batch", "files", several),
            "timeline": lambda: _timeline(video),
            "leaves timeline": lambda: _timeline(video),
            "broken": lambda: _raw(mutant(self.seeds, self._number).data),
            "empty": lambda: _raw(b""),
            "too large": lambda: _chunked(MAX_UPLOAD_BYTES + 1),
        }
        return messages.get(kind, lambda: _raw(video))()

    async def _timeline(self, request: Message, *, to_the_end: bool) -> int:
        """The status, or none where the events did not come to their end. Else hang up after the first of them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request.encoded())
            status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
            if status == HTTPStatus.OK and not to_the_end:
                await reader.readuntil(b"\n")
            elif status == HTTPStatus.OK and b'{"event":"segments"' not in await reader.read(-1):
                return NO_ANSWER
            return status
        finally:
            writer.transport.abort()

    async def _leave(self, request: Message) -> None:
        """Send half of it and hang up."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            sent = request.encoded()
            writer.write(sent[: len(sent) // 2])
            await writer.drain()
            writer.transport.abort()
        except OSError:
            self.wrong["leaves, no connection"] += 1


def _raw(video: bytes) -> Message:
    return Message(_start("/classify"), _headers("video/mp4") | {"content-length": str(len(video))}, video)


def _timeline(video: bytes) -> Message:
    headers = _headers("video/mp4") | {"content-length": str(len(video)), "connection": "close"}
    return Message("POST /timeline?top_k=1&window_seconds=1 HTTP/1.1", headers, video)


def _chunked(size: int) -> Message:
    """Zeros that do not tell how many they are."""
    body = b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
    return Message(_start("/classify"), _headers("video/mp4") | {"transfer-encoding": "chunked"}, body)


def _form(path: str, name: str, videos: Sequence[bytes], end: bytes = b"--edge--\r\n") -> Message:
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="a.mp4"\r\n\r\n'.encode()
    body = b"".join(head + video + b"\r\n" for video in videos) + end
    headers = _headers("multipart/form-data; boundary=edge") | {"content-length": str(len(body))}
    return Message(_start(path), headers, body)


def _start(path: str) -> str:
    return f"POST {path}?top_k=1 HTTP/1.1"


def _headers(content_type: str) -> dict[str, str]:
    return {"host": "soak", "content-type": content_type}
