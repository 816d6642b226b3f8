"""The promise of the house: the array that a model is trained and measured on is the array that the server gives it."""

import asyncio
import hashlib
from pathlib import Path

import numpy as np
import pytest

from app.inference.decode_policy import DecodePolicy
from app.inference.decoder import Decoder
from app.inference.video_file import SPOOL_BYTES, VideoFile
from clips import Clip, ClipSpec, DecodeLimits
from tests.encodings import ENCODINGS, grainy
from tests.videos import GOOD_VIDEOS, anamorphic_video, grainy_video, numbered_video, variable_rate_video
from training.dataset import LabelledClip
from training.decoding import decode_clips

SHARED = Path(__file__).parents[3] / "shared" / "data"
SPECS = {
    "crop": ClipSpec(num_frames=8, height=160, width=160),
    "stretch": ClipSpec(num_frames=3, height=96, width=128, fit="stretch"),
    "nearest_reference": ClipSpec(num_frames=5, height=48, width=64, sampling="nearest_reference"),
}


def own_files(folder: Path) -> list[Path]:
    """Videos of every kind, made here."""
    makers = {**GOOD_VIDEOS, "anamorphic": anamorphic_video, "variable-rate": variable_rate_video, "numbered": numbered_video}
    videos = {name: make() for name, make in makers.items()} | {name: grainy(name) for name in ENCODINGS}
    for name, video in (videos | {"larger-than-memory-holds": larger_than_memory_holds()}).items():
        (folder / name).write_bytes(video)
    return sorted(folder.iterdir())


def larger_than_memory_holds() -> bytes:
    """An upload that the server moves to its disk."""
    video = grainy_video(60, ENCODINGS["prores-mov"], width=320, height=240)
    assert len(video) > SPOOL_BYTES
    return video


def real_files() -> list[Path]:
    """Clips filmed by people: every class, and containers of other makers."""
    exercise = sorted((SHARED / "exercise10").glob("*/*.avi"))[::24]
    return exercise + sorted((SHARED / "containers" / "mmaction2-tests").rglob("*.mp4"))


def compare(paths: list[Path], spec: ClipSpec, folder: Path) -> None:
    labelled = [
        LabelledClip(path, path.name, path.parent.name, path.name, "train", hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
    ]
    trained_on, skipped = decode_clips(labelled, spec, folder / "frames.dat", workers=0, title="decoding")
    assert not skipped
    served = asyncio.run(decode_as_the_server(paths, spec))
    for i, path in enumerate(paths):
        assert np.array_equal(trained_on.read([i])[0], served[i]), path.name


async def decode(decoder: Decoder, video: bytes, spec: ClipSpec) -> Clip:
    with VideoFile.of(video) as file:
        return await decoder.decode(file, spec)


async def decode_as_the_server(paths: list[Path], spec: ClipSpec) -> list[np.ndarray]:
    decoder = Decoder(DecodePolicy(workers=2, timeout_seconds=30, limits=DecodeLimits()))
    await decoder.start()
    try:
        return [clip.frames for clip in await asyncio.gather(*(decode(decoder, path.read_bytes(), spec) for path in paths))]
    finally:
        await decoder.close()


@pytest.mark.parametrize("name", SPECS)
def test_training_and_server_see_the_same_array(name: str, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    compare(own_files(tmp_path / "videos"), SPECS[name], tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}: real clips are not part of the repository")
def test_training_and_server_see_the_same_array_of_real_clips(tmp_path: Path) -> None:
    compare(real_files(), SPECS["crop"], tmp_path)
