"""A stream of events that is not read to its end leaves nothing behind."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import Request
from starlette.types import Message

from app.api.event_stream import EventStream
from app.api.timeline_events import Event, SegmentsEvent
from tests.unit.app.inference.echo_model import run


class Caller:
    """One end of a connection: reads so many messages, and then no more; or leaves."""

    def __init__(self, reads: int, accept: bytes = b"*/*") -> None:
        self.scope: dict[str, Any] = {"type": "http", "headers": [(b"accept", accept)], "state": {}}
        self.got: list[Message] = []
        self.left, self.reads_no_more = asyncio.Event(), asyncio.Event()
        self._reads = reads

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.got) == self._reads:
            self.reads_no_more.set()
            await asyncio.Event().wait()
        self.got.append(message)

    @property
    def request(self) -> Request:
        return Request(self.scope, self.receive)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)


class Events:
    """So many events, and whether they were closed; where they are ``endless``, others are waited for."""

    def __init__(self, count: int, *, endless: bool = False) -> None:
        self._count, self._endless = count, endless
        self.closed = False
        self.waits = asyncio.Event()

    async def stream(self) -> AsyncGenerator[Event, None]:
        try:
            for _ in range(self._count):
                yield segments(failed_windows=0)
            if self._endless:
                self.waits.set()
                await asyncio.Event().wait()
        finally:
            self.closed = True


def segments(failed_windows: int) -> SegmentsEvent:
    return SegmentsEvent(event="segments", segments=[], failed_windows=failed_windows)


async def stream(caller: Caller, events: Events) -> None:
    response = EventStream(caller.request, events.stream(), interrupted=segments(failed_windows=1))
    await response(caller.scope, caller.receive, caller.send)


LINE = b'{"event":"segments","segments":[],"failed_windows":0}\n'
LAST = LINE.replace(b"0", b"1")
END = {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        (b"*/*", LINE),
        (b"application/x-ndjson", LINE),
        (b"text/html, Text/Event-Stream;q=0.9", b"event: segments\ndata: " + LINE + b"\n"),
    ],
)
def test_the_form_is_the_one_that_is_asked_for(accept: bytes, body: bytes) -> None:
    async def test() -> None:
        caller, events = Caller(100, accept), Events(3)
        await stream(caller, events)
        assert caller.body == body * 3
        assert caller.got[-1] == END
        assert events.closed
        assert "problem_code" not in caller.scope["state"]

    run(test)


def test_a_caller_that_leaves_ends_the_events() -> None:
    async def test() -> None:
        caller, events = Caller(reads=3), Events(10)
        sending = asyncio.create_task(stream(caller, events))
        await caller.reads_no_more.wait()
        caller.left.set()
        await sending
        assert events.closed
        assert caller.scope["state"]["problem_code"] == "client_closed_request"

    run(test)


def test_a_server_that_ends_says_so_in_the_last_event() -> None:
    async def test() -> None:
        caller, events = Caller(100), Events(10, endless=True)
        sending = asyncio.create_task(stream(caller, events))
        await events.waits.wait()
        sending.cancel()
        await sending
        assert events.closed
        assert caller.body == LINE * 10 + LAST
        assert caller.got[-1] == END
        assert caller.scope["state"]["problem_code"] == "draining"

    run(test)
