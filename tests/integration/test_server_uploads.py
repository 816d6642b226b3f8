"""The body of a request: counted as it arrives whatever the headers claim, kept without a name, gone with the answer."""

import json
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, command, environment, running_server
from tests.raw_connection import RawConnection
from tests.robustness.workers import cpu_seconds
from tests.videos import RED, solid_video

MAX_BYTES = 100_000
UPLOAD_SECONDS = 8

VIDEO = solid_video(RED)
LARGE = 3 * 2**20
"""Bytes of a video that goes to the disk."""


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("strict")
    publish(folder / "models")
    limits = {"max_upload_bytes": MAX_BYTES, "upload_timeout_seconds": UPLOAD_SECONDS}
    with running_server(folder / "models", folder / "log", **limits) as live:
        yield live


@pytest.fixture(scope="module")
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def roomy_server(tmp_path_factory: pytest.TempPathFactory, temporary_folder: Path) -> Iterator[LiveServer]:
    """Takes 5 MB, and keeps what is larger than 1 MiB in a folder of its own."""
    folder = tmp_path_factory.mktemp("roomy")
    publish(folder / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary_folder))
        limits = {"max_upload_bytes": 5_000_000, "upload_timeout_seconds": UPLOAD_SECONDS}
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


@pytest.mark.parametrize("form", ["raw", "multipart", "chunked"])
@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, LARGE])
def test_a_video_is_read_alike_from_memory_and_from_the_disk(roomy_server: LiveServer, form: str, size: int) -> None:
    answer = send(roomy_server, form, padded(size))
    assert (answer.status_code, answer.json()["predictions"][0]["label"]) == (200, "red")


def test_an_honest_length_is_refused_before_the_body_is_sent(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.post(f"Content-Length: {10**12}")
        assert connection.answer() == (413, "upload_too_large")


FORM_TYPE = "Content-Type: multipart/form-data; boundary=edge"
FORM_HEAD = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.mark.parametrize("headers", [(), (FORM_TYPE,)], ids=["raw", "multipart"])
def test_a_body_without_end_is_refused_at_the_limit_and_swallowed_no_further(
    strict_server: LiveServer, headers: tuple[str, ...]
) -> None:
    with RawConnection(strict_server) as connection:
        connection.post(*headers, "Transfer-Encoding: chunked", body=b"%x\r\n" % len(FORM_HEAD) + FORM_HEAD + b"\r\n")
        sent = connection.write_until_closed(b"10000\r\n" + bytes(0x10000) + b"\r\n", most_bytes=2**30)
        assert sent < 64 * 2**20, "what fits into the buffers of the kernel, and one more MiB"
        assert connection.answer() == (413, "upload_too_large")


def test_a_sender_that_stops_at_the_refusal_reads_it_and_is_told_to_close(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.post("Transfer-Encoding: chunked", body=2 * (b"10000\r\n" + bytes(0x10000) + b"\r\n"))
        answer = connection.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_that_never_arrives_is_answered_in_time(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.post("Content-Length: 1000", body=b"slow")
        assert connection.answer() == (408, "upload_timeout")


@pytest.mark.parametrize("length", ["Content-Length: 4", "Content-Length: 0"])
def test_a_length_that_is_too_short_ends_the_body_there(strict_server: LiveServer, length: str) -> None:
    with RawConnection(strict_server) as connection:
        connection.post(length, body=VIDEO)
        assert connection.answer() in {(415, "not_a_video"), (400, "empty_body"), (400, "")}


def test_a_sender_that_gives_up_leaves_the_server_well(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.post("Content-Length: 1000", body=b"half")
    assert strict_server.classify(VIDEO).status_code == 200


def test_an_answer_before_the_body_was_read_closes_the_connection(strict_server: LiveServer) -> None:
    """Else the unread body would be swallowed, or taken for the next request."""
    with RawConnection(strict_server) as connection:
        connection.write(
            b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = connection.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1") == 1


WISH = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
"""Of HTTP clients that would like HTTP/2: Java's sends it with its first request."""


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(VIDEO)}", VIDEO),
        ("Transfer-Encoding: chunked", b"%x\r\n" % len(VIDEO) + VIDEO + b"\r\n0\r\n\r\n"),
    ],
    ids=["length", "chunked"],
)
def test_a_request_that_would_like_another_protocol_is_answered_in_this_one(
    strict_server: LiveServer, framing: str, body: bytes
) -> None:
    with RawConnection(strict_server) as connection:
        for _ in range(2):
            connection.post(*WISH, framing, body=body[:100])
            connection.write(body[100:])
            assert connection.answer() == (200, "")


def test_a_body_behind_a_wish_to_upgrade_is_not_the_next_request(strict_server: LiveServer) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with RawConnection(strict_server) as connection:
        connection.post(*WISH, f"Content-Length: {len(smuggled)}")
        connection.write(smuggled + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = connection.read_to_the_end()
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"415", b"404"]


@pytest.mark.parametrize(("version", "connection"), [("1.1", "Upgrade, close"), ("1.0", "Upgrade")])
def test_a_wish_on_a_connection_that_is_not_kept_is_ignored_too(
    strict_server: LiveServer, version: str, connection: str
) -> None:
    body = bytes(60_000)
    lines = [f"POST /classify HTTP/{version}", "Host: x", "Content-Type: video/mp4", f"Content-Length: {len(body)}"]
    with RawConnection(strict_server) as sender:
        sender.write("\r\n".join([*lines, "Upgrade: h2c", f"Connection: {connection}", "", ""]).encode())
        sender.write(body)
        answer = sender.read_to_the_end()
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"415"]


def test_wishes_to_upgrade_can_be_pipelined(strict_server: LiveServer) -> None:
    request = "\r\n".join(["GET /healthz HTTP/1.1", "Host: x", *WISH, "", ""]).encode()
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with RawConnection(strict_server) as connection:
        connection.write(2000 * request + last)
        assert connection.read_to_the_end().count(b"HTTP/1.1 200 ") == 2001


@pytest.mark.parametrize("target", ["example.com:443", "/classify"])
def test_the_server_is_no_proxy(strict_server: LiveServer, target: str) -> None:
    with RawConnection(strict_server) as connection:
        connection.write(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = connection.read_to_the_end()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/classify", "/classify/batch", "/nowhere"])
def test_a_length_of_more_digits_than_python_reads_is_no_fault(strict_server: LiveServer, path: str) -> None:
    with RawConnection(strict_server) as connection:
        connection.post("Content-Length: " + "0" * 5000 + "4", body=b"1234", path=path)
        status, code = connection.answer()
    assert (status, code) in {(415, "not_a_video"), (415, "unsupported_media_type"), (404, "not_found")}


def test_an_answer_to_a_body_that_was_read_keeps_the_connection(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        for _ in range(2):
            connection.post("Content-Length: 4", body=b"1234")
            assert connection.answer() == (415, "not_a_video")


def videos_held(server: LiveServer) -> list[str]:
    """What the server's process has open that could be an upload."""
    held = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            target = os.readlink(link)  # noqa: PTH115 the target is not a path
        except FileNotFoundError:
            continue
        if target.startswith("/memfd:video") or ("(deleted)" in target and not target.startswith("/memfd:")):
            held.append(target)
    return held


def until_held(server: LiveServer, condition: Callable[[list[str]], bool]) -> list[str]:
    """Wait until it is so."""
    held: list[str] = []

    def happens() -> bool:
        held[:] = videos_held(server)
        return condition(held)

    server.until(happens)
    return held


def leave_in_the_middle(server: LiveServer, size: int) -> int:
    with RawConnection(server) as connection:
        connection.post(f"Content-Length: {size + 1}", body=bytes(size))
        until_held(server, bool)
        return 0


def never_finish(server: LiveServer, size: int) -> int:
    with RawConnection(server) as connection:
        connection.post(f"Content-Length: {size + 1}", body=bytes(size))
        return connection.answer()[0]


def cut_form(server: LiveServer, size: int) -> int:
    body = FORM_HEAD + bytes(size)
    return server.client.post("/classify", content=body, headers=dict([FORM_TYPE.split(": ")])).status_code


ENDINGS: dict[str, tuple[Callable[[LiveServer, int], int], int]] = {
    "answered": (lambda server, size: send(server, "raw", padded(size)).status_code, 200),
    "answered form": (lambda server, size: send(server, "multipart", padded(size)).status_code, 200),
    "not a video": (lambda server, size: send(server, "raw", bytes(size)).status_code, 415),
    "too large": (lambda server, _: send(server, "chunked", bytes(5_000_001)).status_code, 413),
    "too late": (lambda server, _: server.classify(VIDEO, timeout_ms=1).status_code, 504),
    "too slow": (never_finish, 408),
    "cut form": (cut_form, 400),
    "left": (leave_in_the_middle, 0),
}


@pytest.mark.parametrize("size", [2**16, LARGE], ids=["memory", "disk"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_of_a_video_once_its_request_is_over(
    roomy_server: LiveServer, temporary_folder: Path, ending: str, size: int
) -> None:
    act, status = ENDINGS[ending]
    until_held(roomy_server, lambda held: not held)
    files = set(temporary_folder.iterdir())
    assert act(roomy_server, size) == status
    until_held(roomy_server, lambda held: not held)
    assert set(temporary_folder.iterdir()) == files
    assert roomy_server.metric("clipserve_uploads ") == 0
    assert roomy_server.metric("clipserve_admitted ") == 0


def test_a_server_that_is_killed_leaves_no_file(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    (tmp_path / "uploads").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path / "uploads"))
        with running_server(tmp_path / "models", tmp_path / "log") as live, RawConnection(live) as connection:
            files = set((tmp_path / "uploads").iterdir())
            connection.post(f"Content-Length: {LARGE + 1}", body=bytes(LARGE))
            until_held(live, lambda held: len(held) == 1 and str(tmp_path) in held[0])  # it is in both while it moves
            assert set((tmp_path / "uploads").iterdir()) == files, "it has no name while it is there"
            live.process.kill()
            live.process.wait()
            assert set((tmp_path / "uploads").iterdir()) == files


def test_a_full_disk_is_a_problem_of_its_own_and_leaves_nothing_behind(roomy_server: LiveServer) -> None:
    pid = roomy_server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 * 2**20, resource.RLIM_INFINITY))
    try:
        for form in ("raw", "multipart", "chunked"):
            answer = send(roomy_server, form, padded(LARGE))
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_full"), answer.text
            assert int(answer.headers["retry-after"]) > 0
        assert send(roomy_server, "raw", padded(2**20)).status_code == 200
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    until_held(roomy_server, lambda held: not held)
    assert send(roomy_server, "raw", padded(LARGE)).status_code == 200


def test_without_a_temporary_folder_the_server_says_so_and_does_not_start(repository: Path) -> None:
    script = 'ulimit -f 0; exec "$@"'  # no file may grow: to this process every disk is full
    settings = environment(port=0, model_repository=repository)
    arguments = ["bash", "-c", script, "server", *command("serve")]
    result = subprocess.run(arguments, env=settings, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    complaint = result.stderr.strip()
    assert "uploads larger than 1 MiB need a writable temporary folder; set TMPDIR" in complaint
    assert "\n" not in complaint


HOSTILE_NAMES = {
    "line break": "secret\r\n{'event': 'forged'}.mp4",
    "encoded line break": "secret%0d%0aforged.mp4",
    "colour": "secret\x1b[31m.mp4",
    "right to left": "secret\u202e4pm.exe",
    "path": "../../secret",
    "playlist": "secret.m3u8",
    "10 KB": "secret" * 1700,
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_the_name_of_a_file_has_no_effect_and_no_trace(strict_server: LiveServer, name: str) -> None:
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = head + VIDEO + b"\r\n--edge--\r\n"
    answer = strict_server.client.post("/classify", content=body, headers=dict([FORM_TYPE.split(": ")]))
    assert answer.status_code == (400 if len(name) > 1000 or "\r" in name else 200)
    log = strict_server.log.read_text()
    assert "secret" not in log + answer.text
    assert "forged" not in log
    assert all(json.loads(line)["event"] for line in log.splitlines())
    assert json.loads(log.splitlines()[-1])["route"] == "/classify"


COSTLY_SECONDS = 1.0
"""Of processor time: most of what a form may cost that is refused. It takes a tenth."""

COSTLY_FORMS = {
    "1000 fields": FORM_HEAD.replace(b'"file"', b'"x"').replace(b'; filename="a.mp4"', b"") * 1000,
    "200 part headers": FORM_HEAD[:-2] + b"X: y\r\n" * 200 + b"\r\n",
    "preamble": b"x" * (10 * 2**20) + FORM_HEAD,
    "preamble of lines": b"\r\n" * (5 * 2**20) + FORM_HEAD,
    "false delimiters": FORM_HEAD + b"\r\n--edgeX" * 2**20,
    "padded delimiter": FORM_HEAD + b"\r\n--edge" + b" " * (10 * 2**20),
    "epilogue": FORM_HEAD + b"\r\n--edge--\r\n" + bytes(10 * 2**20),
    "endless header": FORM_HEAD[:-2] + b"X: " + b"y" * (10 * 2**20),
}


@pytest.mark.parametrize("body", COSTLY_FORMS.values(), ids=COSTLY_FORMS)
def test_a_form_that_breaks_the_rules_costs_little(server: LiveServer, body: bytes) -> None:
    before = cpu_seconds(server.process.pid)
    with RawConnection(server) as connection:
        connection.post(FORM_TYPE, f"Content-Length: {len(body)}")
        connection.write_until_closed(body, most_bytes=len(body))
        assert connection.answer() == (400, "malformed_upload")
    assert cpu_seconds(server.process.pid) - before < COSTLY_SECONDS
