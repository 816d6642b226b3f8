"""Clients that take their time, or take every place: they are cut off, and the others notice nothing."""

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.raw_connection import RawConnection
from tests.videos import RED, solid_video

VIDEO = solid_video(RED)
HALF = len(VIDEO) // 2

HEAD_SECONDS = 2
EACH = 10
SLACK_SECONDS = 20
"""What a busy machine may take until a client notices that it was cut off."""
MAX_UPLOADS = 4
MAX_CONNECTIONS = 30

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n"
KEPT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def patient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The limits that it is shipped with, but for the time for a head."""
    folder = tmp_path_factory.mktemp("patient")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", request_head_timeout_seconds=HEAD_SECONDS) as live:
        yield live


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Has few places, and a model that takes a while, one clip after the other."""
    folder = tmp_path_factory.mktemp("small")
    publish(folder / "models", work=60)
    bounds = {"max_queue_size": 1, "max_batch_size": 1, "max_uploads": MAX_UPLOADS, "max_connections": MAX_CONNECTIONS}
    with running_server(folder / "models", folder / "log", **bounds) as live:
        yield live


SLOW: dict[str, tuple[bytes, bytes, float]] = {
    "silent": (b"", b"", HEAD_SECONDS),
    "half a head": (HEAD, b"", HEAD_SECONDS),
    "a head without end": (HEAD + b"X: ", b"x", HEAD_SECONDS),
    "empty lines": (b"", b"\r\n", HEAD_SECONDS),
    "silent after an answer": (KEPT, b"", 5),
    "empty lines after an answer": (KEPT, b"\r\n", HEAD_SECONDS),
    "half a body": (HEAD + b"\r\n" + VIDEO, b"", 6),
    "a body without end": (HEAD + b"\r\n", b"x", 6),
}
"""What is sent at once, what is sent again and again, and the seconds in which the server should have had enough."""


class Drip:
    """One slow client."""

    def __init__(self, connection: RawConnection, kind: str) -> None:
        self.connection, self.kind, self.answer = connection, kind, b""
        start, self._drop, _ = SLOW[kind]
        self.connection.write(start)

    def drip(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.write(self._drop)

    def has_ended(self) -> bool:
        """After its socket became readable."""
        try:
            part = self.connection.socket.recv(65536)
        except ConnectionResetError:
            return True
        self.answer += part
        return not part


def drip_until_closed(drips: list[Drip], seconds_of_life: dict[str, float]) -> None:
    """A byte from each of them ten times a second, until the server has closed them all."""
    started, alive = monotonic(), {drip.connection.socket: drip for drip in drips}
    while alive and monotonic() - started < 60:
        for ready in select.select(list(alive), [], [], 0.1)[0]:
            if alive[ready].has_ended():
                kind = alive.pop(ready).kind
                seconds_of_life[kind] = max(seconds_of_life.get(kind, 0), monotonic() - started)
        for drip in alive.values():
            drip.drip()


@contextmanager
def in_background(work: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_slow_clients_are_cut_off_while_the_others_are_answered(patient_server: LiveServer) -> None:
    seconds_of_life: dict[str, float] = {}
    answers = []
    with ExitStack() as stack:
        drips = [Drip(stack.enter_context(RawConnection(patient_server)), kind) for kind in SLOW for _ in range(EACH)]
        with in_background(lambda: drip_until_closed(drips, seconds_of_life)) as slow:
            while slow.is_alive():
                answers.append(patient_server.classify(VIDEO))
    assert len(answers) > 5
    assert {answer.status_code for answer in answers} == {200}
    for kind, (_, _, seconds) in SLOW.items():
        assert seconds_of_life.get(kind, 99) < seconds + SLACK_SECONDS, f"{kind}: {seconds_of_life}"
    bodies = [drip for drip in drips if "body" in drip.kind]
    assert all(drip.answer.startswith(b"HTTP/1.1 408 ") and b"bytes per second" in drip.answer for drip in bodies)
    assert patient_server.metric("clipserve_uploads ") == 0


@contextmanager
def arriving(server: LiveServer, uploads: int) -> Iterator[list[RawConnection]]:
    """Uploads that have stopped half way."""
    with ExitStack() as stack:
        connections = [stack.enter_context(RawConnection(server)) for _ in range(uploads)]
        for connection in connections:
            connection.post(f"Content-Length: {len(VIDEO)}", body=VIDEO[:HALF])
        server.until(lambda: server.metric("clipserve_uploads ") == uploads)
        yield connections
    server.until(lambda: server.metric("clipserve_uploads ") == 0)


def test_one_upload_too_many_is_refused_at_once_until_another_has_ended(small_server: LiveServer) -> None:
    with arriving(small_server, MAX_UPLOADS) as connections:
        refused = small_server.classify(VIDEO)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) > 0
        connections[0].write(VIDEO[HALF:])
        assert connections[0].answer() == (200, "")
        assert small_server.classify(VIDEO).status_code == 200


def test_uploads_that_all_end_at_once_are_all_answered(small_server: LiveServer) -> None:
    """The queue has one place: what was let in before it was taken is not refused for want of another."""
    with arriving(small_server, MAX_UPLOADS) as connections:
        for connection in connections:
            connection.write(VIDEO[HALF:])
        assert [connection.answer() for connection in connections] == [(200, "")] * MAX_UPLOADS


def test_slow_uploads_take_no_place_in_the_queue(small_server: LiveServer) -> None:
    with arriving(small_server, MAX_UPLOADS - 1):
        assert [small_server.classify(VIDEO).status_code for _ in range(10)] == [200] * 10


def test_a_sender_that_leaves_gives_its_place_back(small_server: LiveServer) -> None:
    for _ in range(3):
        with arriving(small_server, MAX_UPLOADS):
            pass
    assert small_server.classify(VIDEO).status_code == 200


def test_connections_beyond_the_bound_are_closed_and_those_within_it_work(small_server: LiveServer) -> None:
    assert small_server.client.get("/healthz").status_code == 200
    with ExitStack() as stack:
        connections = [stack.enter_context(RawConnection(small_server)) for _ in range(MAX_CONNECTIONS + 5)]
        assert connections[-1].is_closed(timeout_seconds=20)
        num_open = sum(not connection.is_closed() for connection in connections)
        assert MAX_CONNECTIONS - 5 <= num_open <= MAX_CONNECTIONS
        connections[0].write(KEPT)
        assert connections[0].answer() == (200, "")
    assert small_server.classify(VIDEO).status_code == 200


def test_few_descriptors_are_reported_at_the_start(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", max_connections=10**12) as live:
        assert live.classify(VIDEO).status_code == 200
    assert '"event": "few_descriptors"' in (tmp_path / "log").read_text()


SEND_SECONDS = 2
NOT_READ = 'clipserve_connections_refused_total{reason="send_timeout"}'


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Does not wait long for callers that do not read, and has few connections."""
    folder = tmp_path_factory.mktemp("impatient")
    publish(folder / "models")
    bounds = {"send_timeout_seconds": SEND_SECONDS, "max_connections": MAX_CONNECTIONS}
    with running_server(folder / "models", folder / "log", **bounds) as live:
        yield live


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "to be closed"])
def test_callers_that_do_not_read_their_answers_are_closed(impatient_server: LiveServer, last: bytes) -> None:
    """More is asked for than the kernel keeps for a caller."""
    before, others = impatient_server.metric(NOT_READ), impatient_server.metric("clipserve_connections ")
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n"
    with ExitStack() as stack:
        for _ in range(EACH):
            connection = stack.enter_context(RawConnection(impatient_server))
            connection.write((asked + b"\r\n") * 100 + asked + last + b"\r\n")
        impatient_server.until(lambda: impatient_server.metric(NOT_READ) == before + EACH)
        impatient_server.until(lambda: impatient_server.metric("clipserve_connections ") <= others)
    assert impatient_server.classify(VIDEO).status_code == 200
    assert "Traceback" not in impatient_server.log.read_text()


def test_a_caller_that_reads_slowly_and_does_read_gets_everything(impatient_server: LiveServer) -> None:
    count = 60
    with RawConnection(impatient_server) as connection:
        connection.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        impatient_server.until(lambda: impatient_server.metric("clipserve_connections ") > 1)
        body = impatient_server.client.get("/openapi.json").content
        received = b""
        while received.count(body) < count:
            received += connection.socket.recv(1 << 20)
    assert received.count(b"HTTP/1.1 200 OK") == count
