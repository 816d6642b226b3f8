"""Hostile files and the odd files of other projects, POSTed to a server of its own: answers, slowest, memory of the decoder.

Hostile files come under three names, as a form and as a raw body, and must get the answer of ``expected.csv``; the others come
once, and must get 200 or a 4xx.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.record import write_result
from benchmarks.serve import server
from tests.conftest import SHARED_DATA
from tests.robustness.hostile_files import code_of, every_way, rows
from tests.robustness.workers import decode_processes, forget_peak, peak_bytes

BOMBS = ("bomb", "gif_", "huge_", "long_", "many_", "nested_", "uhd_", "vp8_", "y4m_", "aspect_")
"""By their first letters."""

KINDS = {
    "playlists and references": {".m3u8", ".ffconcat", ".mpd", ".sdp", ".txt", ".xml", ".mov", ".idx", ".ass", ".svg"},
    "pictures and sound": {".png", ".gif", ".jpg", ".bmp", ".webp", ".avif", ".wav", ".m4a"},
    "not media": {".bin", ".zip"},
}
"""By ending; what is in none of them is a video, sound or broken."""


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--hostile", type=Path, default=SHARED_DATA / "hostile", help="folder with expected.csv")
    parser.add_argument("--containers", type=Path, default=SHARED_DATA / "containers", help="folder of files of others")
    parser.add_argument("--model", type=Path, default=Path("models/exercise10/1"), help="published version")
    args = parser.parse_args()
    with server(args.model) as (port, pid), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        figures = {
            "hostile": table(hostile(client, pid, args.hostile)),
            "containers": table(containers(client, pid, args.containers)),
            "decode_protections": client.get("/readyz").json().get("decode_protections"),
        }
    for name in ("hostile", "containers"):
        print(name)
        for row in figures[name]:
            print(f"  {row}")
    write_result("hostile", figures)


def hostile(client: httpx.Client, pid: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One row a file."""
    for row in rows(folder):
        answers, peak = watched(pid, every_way(client, (folder / row.file).read_bytes()))
        wrong = sum(not row.allows(answer) for answer in answers)
        yield one_file(row.file, _kind(row.file), answers, peak, wrong)


def containers(client: httpx.Client, pid: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One row a file."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("LICENSE")):
        name = path.relative_to(folder)
        answers, peak = watched(pid, _once(client, path.read_bytes()))
        wrong = sum(answer.status_code not in {200, 400, 413, 415, 422} for answer in answers)
        yield one_file(name.as_posix(), name.parts[0], answers, peak, wrong)


def _once(client: httpx.Client, data: bytes) -> Iterator[httpx.Response]:
    yield client.post("/classify", content=data, headers={"Content-Type": "application/octet-stream"})


def watched(pid: int, asking: Iterable[httpx.Response]) -> tuple[list[httpx.Response], int]:
    """The answers, and the most resident memory of any one decode process meanwhile, bytes."""
    for process in decode_processes(pid):
        forget_peak(process)
    answers, peak = [], 0
    for answer in asking:
        answers.append(answer)
        peak = max([peak, *map(peak_bytes, decode_processes(pid))])
    return answers, peak


def one_file(name: str, kind: str, answers: list[httpx.Response], peak: int, wrong: int) -> dict[str, Any]:
    """The row of one file."""
    return {
        "file": name,
        "kind": kind,
        "answers": Counter(f"{answer.status_code} {code_of(answer)}".strip() for answer in answers),
        "slowest_seconds": round(max(answer.elapsed.total_seconds() for answer in answers), 3),
        "peak_mib": round(peak / 2**20),
        "wrong": wrong,
    }


def table(files: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each kind, with the files that took longest and most."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        kinds.setdefault(file["kind"], []).append(file)
    return [_row(kind, members) for kind, members in sorted(kinds.items())]


def _row(kind: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    slowest, largest = (max(files, key=lambda file: file[key]) for key in ("slowest_seconds", "peak_mib"))
    answers = sum((file["answers"] for file in files), Counter())
    return {
        "kind": kind,
        "files": len(files),
        "answers": dict(answers.most_common()),
        "slowest_seconds": slowest["slowest_seconds"],
        "slowest": slowest["file"],
        "peak_mib": largest["peak_mib"],
        "largest": largest["file"],
        "wrong": [file["file"] for file in files if file["wrong"]],
    }


def _kind(name: str) -> str:
    if name == "hls_disguised.mp4":
        return "playlists and references"
    if name.startswith(BOMBS):
        return "bombs"
    return next((kind for kind, endings in KINDS.items() if Path(name).suffix in endings), "videos, sound or broken")


if __name__ == "__main__":
    main()
