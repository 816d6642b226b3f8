"""Limits on the body: bytes are counted as they arrive, whatever the headers claim."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.videos import RED, solid_video

MAX_BYTES = 100_000
UPLOAD_SECONDS = 2

VIDEO = solid_video(RED)


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("strict")
    publish(folder / "models")
    limits = {"max_upload_bytes": MAX_BYTES, "upload_timeout_seconds": UPLOAD_SECONDS}
    with running_server(folder / "models", folder / "log", **limits) as live:
        yield live


def padded(size: int) -> bytes:
    """The video with a box of nothing behind it, ``size`` bytes in all."""
    room = size - len(VIDEO)
    return VIDEO + room.to_bytes(4, "big") + b"free" + bytes(room - 8)


def chunked(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def send(server: LiveServer, form: str, body: bytes) -> httpx.Response:
    if form == "multipart":
        return server.upload(body)
    if form == "chunked":
        return server.client.post("/classify", content=chunked(body), headers={"Content-Type": "video/mp4"})
    return server.classify(body)


@pytest.mark.parametrize("form", ["raw", "multipart", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES - 1, 200), (MAX_BYTES, 200), (MAX_BYTES + 1, 413)])
def test_a_video_may_have_exactly_the_bytes_of_the_setting(
    strict_server: LiveServer, form: str, size: int, status: int
) -> None:
    answer = send(strict_server, form, padded(size))
    assert answer.status_code == status, answer.text
    if status == 413:
        assert answer.json()["code"] == "upload_too_large"
        assert str(MAX_BYTES) in answer.json()["detail"]


class RawConnection:
    """A request written by hand, for what no client library would send."""

    def __init__(self, server: LiveServer) -> None:
        self._socket = socket.create_connection((server.client.base_url.host, server.client.base_url.port or 80), timeout=20)

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *headers: str, body: bytes = b"") -> None:
        lines = ["POST /classify HTTP/1.1", "Host: x", "Content-Type: video/mp4", *headers, "", ""]
        self._socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self) -> tuple[int, str]:
        """Status and problem code; what is not HTTP is answered by uvicorn, without one."""
        with self._socket.makefile("rb") as lines:
            status = int(lines.readline().split()[1])
            headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
            is_problem = headers.get("content-type") == "application/problem+json"
            return status, json.loads(lines.read(int(headers["content-length"])))["code"] if is_problem else ""


def test_an_honest_length_is_refused_before_the_body_is_sent(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.send(f"Content-Length: {10**12}")
        assert connection.answer() == (413, "upload_too_large")


def test_a_body_without_end_is_refused_at_the_limit(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        connection.send("Transfer-Encoding: chunked", body=2 * block)
        assert connection.answer() == (413, "upload_too_large")


def test_a_body_that_never_arrives_is_answered_in_time(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.send("Content-Length: 1000", body=b"slow")
        assert connection.answer() == (408, "upload_timeout")


@pytest.mark.parametrize("length", ["Content-Length: 4", "Content-Length: 0"])
def test_a_length_that_is_too_short_ends_the_body_there(strict_server: LiveServer, length: str) -> None:
    with RawConnection(strict_server) as connection:
        connection.send(length, body=VIDEO)
        assert connection.answer() in {(415, "not_a_video"), (400, "empty_body"), (400, "")}


@pytest.mark.parametrize(
    "headers",
    [("Content-Length: -1",), ("Content-Length: 4", "Transfer-Encoding: chunked"), ("Content-Length: 4", "Content-Length: 5")],
)
def test_lengths_that_contradict_each_other_are_not_http(strict_server: LiveServer, headers: tuple[str, ...]) -> None:
    with RawConnection(strict_server) as connection:
        connection.send(*headers, body=b"body")
        assert connection.answer() == (400, "")


def test_a_sender_that_gives_up_leaves_the_server_well(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.send("Content-Length: 1000", body=b"half")
    assert strict_server.classify(VIDEO).status_code == 200


def test_nothing_is_written_to_disk(tmp_path: Path) -> None:
    """A container's file system may be read-only: here the temporary folder does not even exist."""
    publish(tmp_path / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path / "nowhere"))
        with running_server(tmp_path / "models", tmp_path / "log") as live:
            assert live.upload(padded(3 * 2**20)).status_code == 200
