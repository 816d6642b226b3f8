"""The proxy of the rolling restarts retries what nginx and Envoy would, and nothing else."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.retrying_proxy import Backend, Ended, Message, Refused, RetryingProxy, read_message

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
BROKEN = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
FAULT = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
REQUEST = Message("POST /classify HTTP/1.1", {"content-length": "5"}, b"video")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def answering(answer: bytes) -> Serve:
    """A server that gives this answer to every request but /readyz, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_message(reader)
        writer.write(BROKEN if "readyz" in request.start else answer)
        writer.close()

    return serve


def through(*answers: bytes | None) -> tuple[Message | None, dict[str, int]]:
    """What a client gets where the servers answer so, each tried in order (None: nothing listens), and the retries."""

    async def ask() -> tuple[Message | None, dict[str, int]]:
        servers = [await asyncio.start_server(answering(answer), "127.0.0.1", 0) for answer in answers if answer is not None]
        ports = iter([server.sockets[0].getsockname()[1] for server in servers])
        backends = [Backend(port=1 if answer is None else next(ports)) for answer in answers]
        async with RetryingProxy([*backends[-1:], *backends[:-1]]) as proxy:  # round robin begins with the second
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(REQUEST.encoded())
            try:
                answer = await read_message(reader)
            except Ended:
                answer = None
            writer.close()
        for server in servers:
            server.close()
        return answer, dict(proxy.retries)

    return asyncio.run(ask())


@pytest.mark.parametrize(("first", "reason"), [(None, "refused"), (b"", "ended"), (BUSY, "503")])
def test_a_server_that_gives_no_answer_is_followed_by_the_next(first: bytes | None, reason: str) -> None:
    answer, retries = through(first, GOOD)
    assert answer
    assert (answer.status, answer.body) == (200, b"good")
    assert retries == {reason: 1}


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED])
def test_a_connection_that_a_listener_had_not_taken_when_it_was_closed_is_refused(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reset(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(asyncio, "open_connection", reset)
    with pytest.raises(Refused):
        asyncio.run(Backend(port=1).ask(REQUEST))


@pytest.mark.parametrize("first", [GOOD, FAULT, BROKEN], ids=["good", "fault", "503 without a time"])
def test_an_answer_is_an_answer(first: bytes) -> None:
    answer, retries = through(first, GOOD)
    assert answer
    assert answer.encoded() == first
    assert not retries


@pytest.mark.parametrize("length", [10, len(GOOD) - 4, len(GOOD) - 1], ids=["in the head", "after the head", "in the body"])
def test_an_answer_that_stops_in_the_middle_is_lost(length: int) -> None:
    assert through(GOOD[:length], GOOD) == (None, {})


@pytest.mark.parametrize(("servers", "status"), [((None, None), 502), ((BUSY, BUSY), 503), ((BUSY, None), 503)])
def test_each_server_is_tried_once(servers: tuple[bytes | None, ...], status: int) -> None:
    answer, retries = through(*servers)
    assert answer
    assert answer.status == status
    assert sum(retries.values()) == 2
