"""Files made to break decoders: each gets its own fitting answer, in time, and the server goes on."""

from collections.abc import Iterator

import pytest

from tests.colour_model import publish
from tests.conftest import SHARED_DATA
from tests.live_server import LiveServer, running_server
from tests.robustness.bombs import repeated_index
from tests.robustness.fuzzing import MAX_WORKER_BYTES, STOPPED
from tests.robustness.hostile_files import Row, every_way, rows
from tests.robustness.late_stream import late_stream
from tests.robustness.workers import PeakMemory
from tests.videos import H264_MKV, RED, damaged, numbered_video, rotated, solid_video, truncated

HOSTILE = SHARED_DATA / "hostile"
ROWS = rows(HOSTILE)
LONGEST_SECONDS = 10.0


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("hardened")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", decode_timeout_seconds=LONGEST_SECONDS) as live:
        with PeakMemory(live.process.pid) as peak:
            yield live
        assert live.process.poll() is None
        assert live.classify(solid_video(RED)).status_code == 200
        assert 0 < peak.bytes < MAX_WORKER_BYTES


@pytest.mark.skipif(not ROWS, reason=f"no {HOSTILE}: the hostile files are not part of the repository")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_a_hostile_file_gets_the_answer_of_the_list(hardened: LiveServer, row: Row) -> None:
    for answer in every_way(hardened.client, (HOSTILE / row.file).read_bytes()):
        assert row.allows(answer), answer.text
        assert answer.elapsed.total_seconds() < LONGEST_SECONDS + 1
        assert STOPPED not in answer.text
        assert "Traceback" not in answer.text
        assert "/" not in answer.json().get("detail", "")


MP4 = numbered_video(width=160, height=120)
SIZE = (160).to_bytes(2, "big") + bytes(2) + (120).to_bytes(2, "big")
OWN_FILES = {
    "zeros": (bytes(100_000), {415}),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(1000), {415}),
    "zip": (b"PK\x03\x04" + bytes(1000), {415}),
    "cut-short": (truncated(MP4), {415, 422}),
    "cut-short-mkv": (truncated(solid_video(RED, encoding=H264_MKV), 0.9), {200, 422}),
    "overwritten": (damaged(MP4), {422}),
    "garbage-behind": (MP4 + bytes(range(256)) * 10, {200}),
    "garbage-in-front": (bytes(range(1, 256)) + MP4, {415}),
    "huge-size-in-header": (
        MP4.replace(SIZE, b"\xff\xff\0\0\xff\xff"),
        {200},
    ),
    "huge-duration-in-header": (MP4.replace(b"mvhd" + bytes(12), b"mvhd" + bytes(8) + b"\xff" * 4), {200}),
    "rotated": (rotated(MP4, 3), {200}),
    "a-stream-that-turns-up-halfway": (late_stream(), {200}),
    "an-index-that-names-one-picture-20000-times": (repeated_index(), {422}),
}


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_broken_file_is_answered_for_what_it_is(hardened: LiveServer, kind: str) -> None:
    data, statuses = OWN_FILES[kind]
    for answer in (hardened.classify(data), hardened.upload(data, "a.m3u8")):
        assert answer.status_code in statuses, answer.text
        assert STOPPED not in answer.text
        assert answer.elapsed.total_seconds() < LONGEST_SECONDS + 1


def test_every_byte_of_the_header_may_be_wrong(hardened: LiveServer) -> None:
    """One byte of the index flipped at a time: never a 5xx, never a dead server."""
    start = MP4.index(b"moov")
    for at in range(start, len(MP4), max(1, (len(MP4) - start) // 100)):
        data = bytearray(MP4)
        data[at] ^= 0xFF
        answer = hardened.classify(bytes(data))
        assert answer.status_code in {200, 415, 422}, (at, answer.text)
