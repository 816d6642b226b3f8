"""A folder of tiny clips, and one thread for torch: two busy threads wait for each other longer than they compute."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from tests.videos import solid_video

MakeClips = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def big_files() -> Iterator[Path]:
    """A folder for checkpoints, gone after the test: pytest keeps ``tmp_path`` of several sessions."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def make_clips(tmp_path: Path) -> MakeClips:
    """``make_clips({"red": 3, "blue": 2})`` writes ``clips/red/0.mp4`` and so on, each with another content."""

    def make(counts: dict[str, int], folder: str = "clips") -> Path:
        for label, (name, count) in enumerate(counts.items()):
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(count):
                colour = tuple(200 - 25 * i if channel == label % 3 else 10 + 9 * (label // 3) for channel in range(3))
                (tmp_path / folder / name / f"{i}.mp4").write_bytes(solid_video(colour, num_frames=6, width=48))
        return tmp_path / folder

    return make
