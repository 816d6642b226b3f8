"""What a server and its decode processes hold, read from /proc."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.workers import decode_processes

_KIB = 1024


@dataclass(frozen=True)
class Holding:
    """One process at one moment."""

    pid: int
    rss_bytes: int
    """Resident memory, shared pages in full."""
    pss_bytes: int
    """Resident memory, each shared page divided by those who share it."""
    anonymous_bytes: int
    """Resident memory that is no file's: heaps and stacks."""
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """All processes at one moment."""

    seconds: float
    """Since the load began."""
    server: Holding
    decode: list[Holding]


def sample(server_pid: int, seconds: float) -> Sample:
    """Raises: OSError: the server is gone."""
    decode = []
    for pid in decode_processes(server_pid):
        with suppress(OSError):  # it is gone
            decode.append(_holding(pid))
    return Sample(seconds, _holding(server_pid), decode)


def _holding(pid: int) -> Holding:
    folder = Path(f"/proc/{pid}")
    memory = _fields(folder / "smaps_rollup")
    return Holding(
        pid=pid,
        rss_bytes=memory["Rss"] * _KIB,
        pss_bytes=memory["Pss"] * _KIB,
        anonymous_bytes=memory["Anonymous"] * _KIB,
        descriptors=len(os.listdir(folder / "fd")),  # noqa: PTH208 numbers, not files
        threads=_fields(folder / "status")["Threads"],
    )


def _fields(path: Path) -> dict[str, int]:
    """The lines of ``Name: number``, with or without a unit."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
