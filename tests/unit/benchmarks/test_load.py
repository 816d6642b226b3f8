"""The load generator, against servers of a few lines."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.load import GAVE_UP, NO_ANSWER, Client, Reply, open_loop

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DEADLINE_SECONDS = 10


def answering(answer: bytes, connections: list[asyncio.StreamWriter] | None = None) -> Serve:
    """A server that reads requests with a body of three bytes and gives all the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if connections is not None:
            connections.append(writer)
        while not reader.at_eof():
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(3)
            except asyncio.IncompleteReadError:
                break
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return serve


def with_client(serve: Serve, use: Callable[[Client], Awaitable[list[Reply]]], patience: float | None = None) -> list[Reply]:
    async def run() -> list[Reply]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            handlers: list[asyncio.Task[None]] = []

            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task
                handlers.append(task)
                await serve(reader, writer)

            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            client = Client("127.0.0.1", server.sockets[0].getsockname()[1], patience_seconds=patience, max_connections=2)
            try:
                return await use(client)
            finally:
                client.close()
                server.close()
                await asyncio.gather(*handlers)

    return asyncio.run(run())


async def one(client: Client) -> list[Reply]:
    return [await client.post(b"abc")]


def test_an_answer_is_read_with_its_status_body_and_retry_after() -> None:
    answer = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 4\r\n\r\nbusy"
    [reply] = with_client(answering(answer), one)
    assert (reply.status, reply.body, reply.retry_after) == (429, b"busy", "2")


def test_a_chunked_answer_is_read_whole_and_its_connection_used_again() -> None:
    async def two(client: Client) -> list[Reply]:
        return [*await one(client), *await one(client)]

    connections: list[asyncio.StreamWriter] = []
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    replies = with_client(answering(answer, connections), two)
    assert [reply.body for reply in replies] == [b"abcde", b"abcde"]
    assert len(connections) == 1


def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    async def two(client: Client) -> list[Reply]:
        return [*await one(client), *await one(client)]

    connections: list[asyncio.StreamWriter] = []
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert [reply.status for reply in with_client(answering(answer, connections), two)] == [200, 200]
    assert len(connections) == 2


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n"])
def test_what_is_no_answer_counts_as_none(answer: bytes) -> None:
    [reply] = with_client(answering(answer), one)
    assert reply.status == NO_ANSWER


def test_a_silent_server_is_given_up() -> None:
    [reply] = with_client(answering(b""), one, patience=0.05)
    assert reply.status == GAVE_UP


def test_requests_beyond_the_bound_of_connections_wait_for_one_and_are_given_up() -> None:
    async def four(client: Client) -> list[Reply]:
        return list(await asyncio.gather(*(client.post(b"abc") for _ in range(4))))

    connections: list[asyncio.StreamWriter] = []
    replies = with_client(answering(b"", connections), four, patience=0.2)
    assert {reply.status for reply in replies} == {GAVE_UP}
    assert len(connections) == 2


def test_open_loop_sends_the_same_arrivals_for_the_same_seed() -> None:
    async def twice(client: Client) -> list[Reply]:
        first, _ = await open_loop(client, [b"abc"], rate=200, seconds=0.2, seed=1)
        again, _ = await open_loop(client, [b"abc"], rate=200, seconds=0.2, seed=1)
        assert len(first) == len(again) > 0
        return first + again

    replies = with_client(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), twice)
    assert {reply.status for reply in replies} == {200}
