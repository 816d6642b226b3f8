"""The videos to measure with, by set: real clips, odd real files, and generated ones of 1080p."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.decoding.generated import generated_files
from benchmarks.decoding.wanted import Wanted, wanted
from clips import ClipError

SETS = ("exercise10", "containers", "1080p_10s", "1080p_60s")
_DEFAULT_COUNT = {"exercise10": 60}
_CONTAINERS_LONGER_THAN_SECONDS = 1.0


@dataclass(frozen=True)
class Folders:
    """Where each set lies; None: the set is left out."""

    exercise10: Path | None
    containers: Path | None
    generated: Path

    def has(self, name: str) -> bool:
        """Whether there is a folder for the set."""
        return name.startswith("1080p") or getattr(self, name) is not None


@contextmanager
def videos(name: str, folders: Folders, count: int | None) -> Iterator[list[Wanted]]:
    """The videos of one set that ``clips`` accepts, copied to memory; ``count`` at most, evenly spread."""
    root, files = _files(name, folders)
    with TemporaryDirectory(dir="/dev/shm", prefix="clipserve-") as memory:
        found = []
        for number, file in enumerate(files):
            video = _in_memory(file, str(file.relative_to(root)), Path(memory) / f"{number}{file.suffix}")
            if video and (name != "containers" or video.duration_seconds > _CONTAINERS_LONGER_THAN_SECONDS):
                found.append(video)
        if not found:
            raise SystemExit(f"{root} holds no videos for the set {name}")
        chosen = min(count or _DEFAULT_COUNT.get(name, len(found)), len(found))
        yield [found[i * len(found) // chosen] for i in range(chosen)]


def _files(name: str, folders: Folders) -> tuple[Path, list[Path]]:
    if name.startswith("1080p"):
        return folders.generated, generated_files(folders.generated, int(name.removeprefix("1080p_").removesuffix("s")))
    root: Path = getattr(folders, name)
    return root, sorted(f for f in root.rglob("*.avi" if name == "exercise10" else "*") if f.is_file())


def _in_memory(file: Path, name: str, copy: Path) -> Wanted | None:
    shutil.copyfile(file, copy)
    try:
        return wanted(name, copy)
    except ClipError:
        copy.unlink()
        return None
