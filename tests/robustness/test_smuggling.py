"""Bytes that two parsers could read differently are refused, so that no second request hides in the first."""

from collections.abc import Iterator

import pytest

from app.connections import MAX_HEAD_BYTES, MAX_HEADERS
from tests.live_server import LiveServer
from tests.raw_connection import RawConnection
from tests.robustness.workers import cpu_seconds

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

AMBIGUOUS = {
    "both lengths": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "the same length twice": POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": POST + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabcd",
    "a length with a sign": POST + b"Content-Length: +4\r\n\r\nabcd",
    "a hexadecimal length": POST + b"Content-Length: 0x4\r\n\r\nabcd",
    "two numbers": POST + b"Content-Length: 4 4\r\n\r\nabcd",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551620\r\n\r\nabcd",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not the last coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 4\r\n\r\nabcd",
    "a space before the colon of the coding": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a space before the first name": b"POST /classify HTTP/1.1\r\n Host: x\r\n\r\n",
    "a folded header": POST + b"X: a\r\n b\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "lines that end in LF": POST.replace(b"\r\n", b"\n") + b"Content-Length: 4\n\nabcd",
    "a head that ends in LF": POST + b"\n",
    "a lone CR": POST + b"X: a\rContent-Length: 4\r\n\r\nabcd",
    "a NUL": POST + b"X: a\x00b\r\n\r\n",
    "a chunk size that ends in LF": CHUNKED + b"4\nabcd\r\n0\r\n\r\n",
    "a chunk that ends in LF": CHUNKED + b"4\r\nabcd\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-4\r\nabcd\r\n0\r\n\r\n",
    "a chunk with 0x": CHUNKED + b"0x4\r\nabcd\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"4 \r\nabcd\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
    "an extension that ends in LF": CHUNKED + b"4;a\nb\r\nabcd\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 4\r\n\r\n",
    "words behind the version": b"GET /healthz HTTP/1.1 x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(server: LiveServer, request_bytes: bytes) -> None:
    with RawConnection(server) as connection:
        connection.write(request_bytes + HIDDEN)
        answer = connection.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1, answer


@pytest.mark.parametrize(
    "request_bytes",
    {
        "the first line of HTTP/0.9": b"GET /healthz\r\n\r\n",
        "HTTP/1.0 with chunks": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "a refused upload": POST + b"Content-Length: 999999999999\r\n\r\n",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_follows_a_last_request_is_not_answered(server: LiveServer, request_bytes: tuple[str, bytes]) -> None:
    with RawConnection(server) as connection:
        connection.write(request_bytes[1] + HIDDEN)
        assert connection.read_to_the_end().count(b"HTTP/1.1 ") == 1


def test_two_honest_requests_on_one_connection_are_both_answered(server: LiveServer) -> None:
    """Otherwise the tests above would prove nothing."""
    with RawConnection(server) as connection:
        connection.write(POST + b"Content-Length: 4\r\n\r\nabcd" + HIDDEN)
        assert connection.answer() == (415, "not_a_video")
        assert connection.answer() == (200, "")


START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"

LARGE_HEADS = {
    "20,000 headers": START + b"a: b\r\n" * 20_000 + b"\r\n",
    "one header too many": START + b"a: b\r\n" * MAX_HEADERS + b"\r\n",
    "a header of 300 KB": START + b"a: " + b"b" * 300_000 + b"\r\n\r\n",
    "a name of 300 KB": START + b"a" * 300_000 + b": b\r\n\r\n",
    "an address of 1 MB": b"GET /" + b"a" * 10**6 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without end": START + b"a: " + b"b" * 10**6,
    "a trailer without end": CHUNKED + b"0\r\na: " + b"b" * 10**6,
    "20,000 trailers": CHUNKED + b"0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    "a chunk extension without end": CHUNKED + b"4;a=" + b"b" * 10**6,
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("piece_bytes", [1000, 10**6])
@pytest.mark.parametrize("head", LARGE_HEADS.values(), ids=LARGE_HEADS)
def test_a_large_head_is_refused_and_costs_little(server: LiveServer, head: bytes, piece_bytes: int) -> None:
    before = cpu_seconds(server.process.pid)
    with RawConnection(server) as connection:
        try:
            for piece in pieces(head, piece_bytes):
                connection.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.read_to_the_end()
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert cpu_seconds(server.process.pid) - before < 1.0
    assert server.client.get("/healthz").status_code == 200


def test_the_answer_to_a_large_head_says_so(server: LiveServer) -> None:
    with RawConnection(server) as connection:
        connection.write(LARGE_HEADS["one header too many"])
        assert connection.answer()[0] == 431


def test_a_head_within_the_limits_is_answered(server: LiveServer) -> None:
    headers = b"".join(b"h%d: " % number + b"x" * 300 + b"\r\n" for number in range(MAX_HEADERS - 1))
    assert len(headers) < MAX_HEAD_BYTES
    with RawConnection(server) as connection:
        for piece in pieces(START + headers + b"\r\n", 7):
            connection.write(piece)
        assert connection.answer()[0] == 200


def test_a_body_is_not_taken_for_a_head(server: LiveServer) -> None:
    """Many chunks of one byte, each with a line of its own: more lines than a head may have."""
    with RawConnection(server) as connection:
        connection.write(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        assert connection.answer() == (415, "not_a_video")
